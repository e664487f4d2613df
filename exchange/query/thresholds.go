package query

import (
	"context"
	"database/sql"
	"errors"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/predicate"
	"github.com/huitong-bus/huitong/exchange/store"
)

// DefaultThresholds is how many thresholds of one check may be asked about one
// subject in one case: with more of them a caller could close in on the value
// that only a yes or no is meant to leave of.
const DefaultThresholds = 3

// counted gives what counts a check's threshold in the transaction of its entry,
// exactly. A threshold that was asked before in this case is not counted again:
// its row is never taken back, so that needs no look in the transaction.
func (q *Queries) counted(ctx context.Context, question *checking, r *result) ([]access.Also, error) {
	if !r.limited {
		return nil, nil
	}
	asked := predicate.AskedToken(q.Keyring, question.caller.Participant, question.Acting.GetCaseNumber(), question.subject, question.Topic, question.Check)
	known, err := askedBefore(ctx, q.DB.Brief(), asked, r.threshold)
	if err != nil || known {
		return nil, err
	}
	limit := DefaultThresholds
	if q.Thresholds != nil {
		limit = q.Thresholds()
	}
	return []access.Also{func(ctx context.Context, tx store.Tx, slot journal.Slot) error {
		return countThreshold(ctx, tx, asked, r.threshold, limit, slot.Index)
	}}, nil
}

func askedBefore(ctx context.Context, tx store.Tx, asked []byte, value int64) (bool, error) {
	var one int
	err := tx.QueryRowContext(ctx, "SELECT 1 FROM check_thresholds WHERE asked = $1 AND value = $2", asked, value).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// countThreshold refuses one threshold too many. Two calls of one group see each
// other's rows: they run in one transaction.
func countThreshold(ctx context.Context, tx store.Tx, asked []byte, value int64, limit int, index uint64) error {
	known, err := askedBefore(ctx, tx, asked, value)
	if err != nil || known {
		return err
	}
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM check_thresholds WHERE asked = $1", asked).Scan(&n); err != nil {
		return err
	}
	if n >= limit {
		return fault.New(fault.Denied, "check.thresholds",
			"%d thresholds of this check were asked about the subject in this case, and no more may be; ask one of these again", n)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO check_thresholds (asked, value, idx) VALUES ($1, $2, $3)", asked, value, int64(index))
	return err
}
