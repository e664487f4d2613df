package correction

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// errRepeat ends a call whose dispute was raised before.
var errRepeat = errors.New("it is disputed already, in the same words")

// again refuses a second open dispute of one record by one department: a repeat of
// the first by errRepeat, so that whoever did not hear the answer may ask again.
func (d *dispute) again(ctx context.Context, tx store.Tx, before *row) error {
	if err := d.unlike(ctx, tx, before); err != nil {
		return err
	}
	return fault.New(fault.AlreadyExists, "dispute.open", "your department disputes the record already; wait for the answer, or withdraw that dispute")
}

// answered refuses by errRepeat what disputes the same version in the same words as a
// dispute that its provider answered: that answer stands. With another reason, of a
// later version, or after it was taken back, a record is disputed anew.
func (d *dispute) answered(ctx context.Context, tx store.Tx) error {
	ended, err := readRows(ctx, tx, "WHERE participant = $1 AND key_token = $2 AND topic = $3 AND version = $4 AND state IN ($5, $6)",
		d.caller.Participant, d.version.KeyToken, d.topic.Name, int64(d.version.Index), int64(corrected), int64(kept))
	if err != nil {
		return err
	}
	for _, before := range ended {
		if err := d.unlike(ctx, tx, before); err != nil {
			return err
		}
	}
	return nil
}

// unlike refuses a repeat of an earlier dispute by errRepeat.
func (d *dispute) unlike(ctx context.Context, tx store.Tx, before *row) error {
	_, said, err := d.k.line(ctx, tx, before.idx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		// It is in this very group, whose entries are written last: decided anew.
		return journal.ErrPolicyMoved
	case err != nil:
		return err
	}
	acting := d.request.GetActing()
	if before.consumer == d.caller.System && before.version == d.version.Index && slices.Equal(before.fields, d.fields) &&
		said.GetReason() == strings.TrimSpace(d.request.Reason) && said.GetPerson() == acting.GetPerson() && said.GetCaseNumber() == acting.GetCaseNumber() {
		d.before = before.idx
		return errRepeat
	}
	return nil
}

// repeat answers by the dispute that was raised before.
func (d *dispute) repeat(ctx context.Context, response *exchangev1.DisputeRecordResponse) (err error) {
	if d.request.ValidateOnly {
		return nil
	}
	if response.Receipt, err = d.k.receiptOf(ctx, d.before); err != nil {
		return err
	}
	response.Dispute, err = d.k.Get(ctx, d.caller, d.before)
	return err
}

// receiptOf is the receipt of an entry that was committed before.
func (k *Corrections) receiptOf(ctx context.Context, index uint64) (*exchangev1.Receipt, error) {
	r := &exchangev1.Receipt{Index: index, Repeat: true}
	if err := k.DB.Reader().QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(index)).Scan(&r.Leaf); err != nil {
		return nil, fmt.Errorf("entry %d: %w", index, err)
	}
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(r.Leaf, entry); err != nil {
		return nil, fmt.Errorf("entry %d: %w", index, err)
	}
	r.At = timeOf(entry.AtUs)
	return r, nil
}
