package journal_test

import (
	"errors"
	"testing"

	. "github.com/huitong-bus/huitong/exchange/journal/journaltest"

	"github.com/huitong-bus/huitong/exchange/journal"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// TestSeen ends and corrects a record that calls give out, in groups of their own and in one
// group: none of them stands behind the end of what it gives out.
func TestSeen(t *testing.T) {
	l := New(t, 1)
	put := l.Put("a", "1", "in force")
	first := l.Publish(put).Index
	read := func(status exchangev1.Status, payload uint64) *journal.Call {
		return &journal.Call{
			From: Provider, Entries: []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Read{Read: &ledgerv1.LedgerRead{Action: "read"}}}}},
			Seen: []journal.Seen{{Topic: journal.Number("a"), Token: put.KeyToken, Status: status, Payload: payload}},
		}
	}
	active, suspended := exchangev1.Status_STATUS_ACTIVE, exchangev1.Status_STATUS_SUSPENDED
	submit := func(c *journal.Call, want error) {
		t.Helper()
		if _, err := l.Journal.Submit(t.Context(), c); !errors.Is(err, want) {
			t.Fatal(err, want)
		}
	}
	submit(read(active, first), nil)
	submit(read(suspended, first), journal.ErrPolicyMoved)
	second := l.Publish(l.Put("a", "1", "corrected")).Index
	submit(read(active, first), journal.ErrPolicyMoved)
	submit(read(active, second), nil)

	// In one group, what stands before counts.
	suspend, erase := l.Record("a", "1", ledgerv1.Operation_OPERATION_SUSPEND, ""), l.Record("a", "1", ledgerv1.Operation_OPERATION_ERASE, "")
	inOneGroup(t, l,
		[]*journal.Call{read(active, second), Call(suspend), read(active, second), read(suspended, second), Call(erase), read(suspended, second)},
		[]error{nil, nil, journal.ErrPolicyMoved, nil, nil, journal.ErrPolicyMoved})
	submit(read(suspended, second), journal.ErrPolicyMoved)
}
