package inspect

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/predicate"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// lookedAt checks that the details of a check are all there, and of earlier entries.
func lookedAt(index uint64, o *ledgerv1.ReadOpening, want []byte) error {
	for i, raw := range o.Details {
		d := &ledgerv1.ReleaseDetail{}
		if err := proto.Unmarshal(raw, d); err != nil || d.Index >= index || len(d.PayloadDigest) > 0 {
			return fmt.Errorf("detail %d is of no earlier entry, or says that its payload left", i)
		}
	}
	if !bytes.Equal(verify.CommitDetails(o.Secret, o.Details), want) {
		return errors.New("the details are not those that the entry commits to")
	}
	return nil
}

// askedToken names what a check's entry counts under.
func (c *checker) askedToken(k *ledgerv1.RecordsChecked, o *ledgerv1.ReadOpening) []byte {
	return predicate.AskedToken(c.keys, verify.ParticipantOf(k.Consumer), o.CaseNumber, o.Subject, k.Topic, k.Check)
}

func thresholdName(asked []byte, value int64) string { return fmt.Sprintf("%x value %d", asked, value) }

// checkAsked checks that the threshold of a check's entry is counted.
func (c *checker) checkAsked(ctx context.Context, r *row, o *ledgerv1.ReadOpening) error {
	k := r.entry.GetChecked()
	if k.GetThreshold() == "" {
		return nil
	}
	var n int
	token := c.askedToken(k, o)
	err := c.db.Reader().QueryRowContext(ctx, "SELECT count(*) FROM check_thresholds WHERE asked = $1 AND value = $2 AND idx <= $3",
		token, k.ThresholdValue, int64(r.index)).Scan(&n)
	if err != nil {
		return unreadable(ctx, c.db, err, "check_thresholds", nil)
	}
	if n == 0 {
		return wrong("check_thresholds", thresholdName(token, k.ThresholdValue), "no row counts the threshold that entry %d asks", r.index)
	}
	return nil
}

// checkThresholds checks that each threshold counted was asked by the entry that
// its row names.
func (c *checker) checkThresholds(ctx context.Context) error {
	type asked struct {
		token      []byte
		value, idx int64
	}
	var all []asked
	if err := c.each(ctx, "check_thresholds", "SELECT asked, value, idx FROM check_thresholds ORDER BY idx", func(rows *sql.Rows) error {
		var a asked
		err := rows.Scan(&a.token, &a.value, &a.idx)
		all = append(all, a)
		return err
	}); err != nil {
		return err
	}
	for _, a := range all {
		var leaf, body []byte
		err := c.db.Reader().QueryRowContext(ctx, "SELECT l.leaf, s.body FROM ledger l JOIN sealed s ON s.idx = l.idx WHERE l.idx = $1", a.idx).Scan(&leaf, &body)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return unreadable(ctx, c.db, err, "sealed", a.idx)
		}
		if !c.asks(leaf, body, a.token, a.value) {
			return wrong("check_thresholds", thresholdName(a.token, a.value), "entry %d asks no threshold, or another one, or another check, subject or case", a.idx)
		}
	}
	return nil
}

// asks says whether an entry asks a threshold of the check that a token names.
func (c *checker) asks(leaf, body, token []byte, value int64) bool {
	entry, err := decode(leaf)
	if k := entry.GetChecked(); err != nil || k.GetThreshold() == "" || k.GetThresholdValue() != value {
		return false
	}
	opening, err := journal.OpenEntry(c.keys, c.origin, body)
	return err == nil && bytes.Equal(c.askedToken(entry.GetChecked(), opening), token)
}

// asOf checks that a question of what was known once is of a past before its
// entry, and answered with versions of that past.
func asOf(index uint64, q *ledgerv1.RecordsQueried, details [][]byte) error {
	if q.AsOfPlusOne == 0 {
		return nil
	}
	if q.AsOfPlusOne > index {
		return errors.New("it asks for a past that had not come")
	}
	for i, raw := range details {
		d := &ledgerv1.ReleaseDetail{}
		if err := proto.Unmarshal(raw, d); err != nil || d.Index >= q.AsOfPlusOne {
			return fmt.Errorf("detail %d is of a version that was not known then", i)
		}
	}
	return nil
}
