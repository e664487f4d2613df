package journal_test

import (
	"context"
	"errors"
	"testing"

	. "github.com/huitong-bus/huitong/exchange/journal/journaltest"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// TestGuards moves a guard while calls rest on it, in groups of their own and in
// one group.
func TestGuards(t *testing.T) {
	l := New(t, 1)
	read := func(version int64) *journal.Call {
		return &journal.Call{
			From: Provider, Entries: []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Read{Read: &ledgerv1.LedgerRead{Action: "read"}}}}},
			Guards: []journal.Guard{{Kind: journal.GuardCase, Key: []byte("a"), Version: version}, {Kind: journal.GuardConsent, Key: []byte("a")}},
		}
	}
	change := func(result error) *journal.Call {
		return &journal.Call{From: Provider, Build: func(_ context.Context, _ store.Tx, slot journal.Slot) ([]journal.Entry, error) {
			slot.Bump(journal.GuardCase, []byte("a"))
			return nil, result
		}}
	}
	submit := func(c *journal.Call, want error) {
		t.Helper()
		if _, err := l.Journal.Submit(t.Context(), c); !errors.Is(err, want) {
			t.Fatal(err, want)
		}
	}
	submit(read(0), nil)
	submit(change(nil), nil)
	submit(read(0), journal.ErrPolicyMoved)
	submit(read(1), nil)
	submit(change(errOwn), errOwn)
	dry := change(nil)
	dry.ValidateOnly = true
	submit(dry, nil)
	submit(read(1), nil)

	// In one group, what stands before counts.
	inOneGroup(t, l, []*journal.Call{read(1), change(nil), read(1), read(2)}, []error{nil, nil, journal.ErrPolicyMoved, nil})
	if v, err := journal.GuardVersion(t.Context(), l.DB.Reader(), journal.GuardCase, []byte("a")); err != nil || v != 2 {
		t.Error(v, err)
	}
}

// inOneGroup submits calls so that they are committed as one group, and wants each to
// end so.
func inOneGroup(t *testing.T, l *Ledger, calls []*journal.Call, want []error) {
	t.Helper()
	hold := make(chan struct{})
	var waiting []*journal.Pending
	begin := func(c *journal.Call) {
		p, err := l.Journal.Begin(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, p)
	}
	begin(&journal.Call{From: "blocker", Build: func(context.Context, store.Tx, journal.Slot) ([]journal.Entry, error) {
		<-hold
		return nil, nil
	}})
	for _, c := range calls {
		begin(c)
	}
	close(hold)
	for i, p := range waiting[1:] {
		if _, err := p.Wait(t.Context()); !errors.Is(err, want[i]) {
			t.Errorf("call %d: %v, not %v", i, err, want[i])
		}
	}
}
