package correction

import (
	"context"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

// Eraser ends the disputes of a record that is erased, in the journal's
// transaction, and takes the reasons that were written: they tell of the record.
// Who raised a dispute for which case stays, as it does for a query.
func Eraser(s journal.Sealer, origin string) func(ctx context.Context, tx store.Tx, e journal.Erased) error {
	return func(ctx context.Context, tx store.Tx, e journal.Erased) error {
		rows, err := readRows(ctx, tx, "WHERE key_token = $1 AND topic = $2", e.KeyToken, e.Topic)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := erase(ctx, tx, r, e); err != nil {
				return err
			}
			if err := mute(ctx, tx, s, origin, r.idx); err != nil {
				return err
			}
			if r.answerPlusOne == 0 {
				continue
			}
			if err := mute(ctx, tx, s, origin, r.answerPlusOne-1); err != nil {
				return err
			}
		}
		return nil
	}
}

func erase(ctx context.Context, tx store.Tx, r *row, e journal.Erased) error {
	if r.state == open {
		r.state = erased
		if _, err := deadline.Stop(ctx, tx, e.At, deadline.CorrectionAnswer, object(r.idx)); err != nil {
			return err
		}
	}
	r.changed = e.Index
	if err := r.end(ctx, tx); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "UPDATE disputes SET key_token = NULL WHERE idx = $1", int64(r.idx))
	return err
}

// mute takes the reason out of an entry's opening.
func mute(ctx context.Context, tx store.Tx, s journal.Sealer, origin string, index uint64) error {
	var body []byte
	if err := tx.QueryRowContext(ctx, "SELECT body FROM sealed WHERE idx = $1", int64(index)).Scan(&body); err != nil {
		return fmt.Errorf("the opening of entry %d: %w", index, err)
	}
	opening, err := journal.OpenEntry(s, origin, body)
	if err != nil {
		return fmt.Errorf("the opening of entry %d: %w", index, err)
	}
	opening.Reason = ""
	if body, err = journal.SealEntry(s, origin, opening); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE sealed SET body = $1 WHERE idx = $2", body, int64(index))
	return err
}
