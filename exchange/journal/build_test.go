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

var errOwn = errors.New("the caller's own refusal")

// note writes a row by which a test sees whether Build's statements were kept.
func note(ctx context.Context, tx store.Tx, name string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO positions (system, source, position, at) VALUES ($1, 'build', $2, 1)", name, []byte{1})
	return err
}

func noted(t *testing.T, l *Ledger, name string) bool {
	t.Helper()
	p, _, err := journal.LastPosition(t.Context(), l.DB.Reader(), name, "build")
	if err != nil {
		t.Fatal(err)
	}
	return p != nil
}

func build(name string, result error) *journal.Call {
	return &journal.Call{From: Provider, Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		if err := note(ctx, tx, name); err != nil {
			return nil, err
		}
		return []journal.Entry{changed(name)}, result
	}}
}

func TestBuildKeepsOrUndoes(t *testing.T) {
	l := New(t, 1)
	commit, err := l.Journal.Submit(t.Context(), build("good", nil))
	if err != nil || !noted(t, l, "good") {
		t.Fatal(err)
	}
	l.CheckProof(commit)
	if _, err := l.Journal.Submit(t.Context(), build("refused", errOwn)); err != errOwn || noted(t, l, "refused") {
		t.Fatal(err)
	}
	// What the engine refuses is undone as well, and others go on.
	if _, err := l.Journal.Submit(t.Context(), build("good", nil)); err == nil {
		t.Fatal("a row twice")
	}
	only := build("tried", nil)
	only.ValidateOnly, only.ChangesPolicy = true, true
	policy := l.Journal.Policy()
	if commit, err = l.Journal.Submit(t.Context(), only); err != nil || commit.Index != 1 || len(commit.Leaves) != 0 || noted(t, l, "tried") {
		t.Fatal(err, commit)
	}
	if l.Audit() != 1 || l.Journal.Policy() != policy {
		t.Fatal("a refused or tried call left something")
	}
}

func TestPolicyMoves(t *testing.T) {
	l := New(t, 1)
	decided := l.Journal.Policy()
	release := func(at uint64) *journal.Call {
		return &journal.Call{From: Provider, DecidedAt: at, Entries: []journal.Entry{changed("release")}}
	}
	submit := func(c *journal.Call) error {
		t.Helper()
		_, err := l.Journal.Submit(t.Context(), c)
		return err
	}
	if err := submit(release(decided)); err != nil {
		t.Fatal(err)
	}
	change := build("suspension", nil)
	change.ChangesPolicy = true
	var slot journal.Slot
	inner := change.Build
	change.Build = func(ctx context.Context, tx store.Tx, s journal.Slot) ([]journal.Entry, error) {
		slot = s
		return inner(ctx, tx, s)
	}
	commit, err := l.Journal.Submit(t.Context(), change)
	if err != nil || commit.Policy != decided+1 || slot.Policy != decided+1 || slot.Index != commit.Index || slot.At > commit.At {
		t.Fatal(err, commit, slot)
	}
	if l.Journal.Policy() != decided+1 {
		t.Fatal("the head does not say so")
	}
	built := build("late", nil)
	built.DecidedAt = decided
	for _, c := range []*journal.Call{release(decided), built} {
		if err := submit(c); !errors.Is(err, journal.ErrPolicyMoved) {
			t.Fatal(err)
		}
	}
	if err := submit(release(decided + 1)); err != nil {
		t.Fatal(err)
	}
	// A refused change of policy counts nothing.
	refusal := build("other", errOwn)
	refusal.ChangesPolicy = true
	if err := submit(refusal); err != errOwn || l.Journal.Policy() != decided+1 {
		t.Fatal(err)
	}
	l.Audit()
}

// TestPolicyMovesWithinAGroup: a release queued behind a suspension is decided
// anew even where both are in one group.
func TestPolicyMovesWithinAGroup(t *testing.T) {
	l := New(t, 1)
	hold := make(chan struct{})
	begin := func(c *journal.Call) *journal.Pending {
		t.Helper()
		p, err := l.Journal.Begin(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	begin(&journal.Call{From: "blocker", Build: func(context.Context, store.Tx, journal.Slot) ([]journal.Entry, error) {
		<-hold
		return nil, nil
	}})
	change := build("suspension", nil)
	change.ChangesPolicy = true
	suspended := begin(change)
	late := begin(&journal.Call{From: Provider, DecidedAt: l.Journal.Policy(), Entries: []journal.Entry{changed("release")}})
	close(hold)
	if _, err := suspended.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := late.Wait(t.Context()); !errors.Is(err, journal.ErrPolicyMoved) {
		t.Fatal(err)
	}
	if l.Audit() != 1 {
		t.Fatal("not one entry")
	}
}

// TestNothingDecidedBeforeAnErasureLeavesBehindIt: what was read of a record and
// cut before its erasure is decided and read anew.
func TestNothingDecidedBeforeAnErasureLeavesBehindIt(t *testing.T) {
	l := New(t, 1)
	l.One(l.Put(topic, "a", "gone"))
	decided := l.Journal.Policy()
	l.One(l.Record(topic, "a", ledgerv1.Operation_OPERATION_ERASE, ""))
	_, err := l.Journal.Submit(t.Context(), &journal.Call{From: Provider, DecidedAt: decided, Entries: []journal.Entry{changed("release")}})
	if !errors.Is(err, journal.ErrPolicyMoved) {
		t.Fatal(err)
	}
	if l.Journal.Policy() != decided+1 {
		t.Fatal("the erasure does not count")
	}
	l.Audit()
}

// TestSwallowedFailure: a Build that hides the error of a statement gets no
// receipt for what the engine did not keep.
func TestSwallowedFailure(t *testing.T) {
	l := New(t, 1)
	for range 2 {
		_, err := l.Journal.Submit(t.Context(), &journal.Call{From: Provider, Build: func(ctx context.Context, tx store.Tx, _ journal.Slot) ([]journal.Entry, error) {
			_ = note(ctx, tx, "same")
			return []journal.Entry{changed("x")}, nil
		}})
		if err == nil && !noted(t, l, "same") {
			t.Fatal("a receipt for nothing")
		}
	}
	l.One(l.Put(topic, "a", "1"))
	l.Audit()
}
