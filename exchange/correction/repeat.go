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
	return fault.New(fault.AlreadyExists, "dispute.open", "your department disputes the record already; wait for the answer, or withdraw that dispute")
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
