package journal_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	. "github.com/huitong-bus/huitong/exchange/journal/journaltest"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

var errDisk = errors.New("the disk is gone")

// fail makes the next n commits fail, before COMMIT or after it.
func fail(l *Ledger, n int64, before bool) {
	var left atomic.Int64
	left.Store(n)
	f := func() error {
		if left.Add(-1) >= 0 {
			return errDisk
		}
		return nil
	}
	if before {
		l.DB.Journal.Fail(store.Faults{BeforeCommit: f})
	} else {
		l.DB.Journal.Fail(store.Faults{AfterCommit: f})
	}
}

// TestFailedAndNotPersisted: no receipt, nothing written, and the retry is the
// first.
func TestFailedAndNotPersisted(t *testing.T) {
	l := New(t, 1)
	l.One(l.Put(topic, "a", "0"))
	fail(l, 1, true)
	commit, err := l.Journal.Submit(t.Context(), Call(l.Put(topic, "a", "1", Idempotent("k"))))
	if commit != nil || fault.KindOf(err) != fault.Unavailable || !errors.Is(err, errDisk) {
		t.Fatal(commit, err)
	}
	if l.Audit() != 1 {
		t.Fatal("something was written")
	}
	if o := l.One(l.Put(topic, "a", "1", Idempotent("k"))); o.Repeat || o.Index != 1 {
		t.Fatalf("%+v", o)
	}
	l.Audit()
}

// TestFailedButPersisted: the answer of COMMIT is lost, the journal asks, and the
// caller gets the receipt of what is there.
func TestFailedButPersisted(t *testing.T) {
	l := New(t, 1)
	l.One(l.Put(topic, "a", "0"))
	fail(l, 1, false)
	o := l.One(l.Put(topic, "a", "1", Idempotent("k")))
	if o.Index != 1 || o.Repeat {
		t.Fatalf("%+v", o)
	}
	if again := l.One(l.Put(topic, "a", "1", Idempotent("k"))); !again.Repeat || again.Index != 1 {
		t.Fatalf("%+v", again)
	}
	if l.Audit() != 2 || l.Journal.Head().Size != 2 {
		t.Fatal("the head is behind")
	}
}

// TestPersistedAndOvertaken: before the journal asks, another process commits,
// so that the head's group is not its own any more; the leaf tells. (SQLite has
// one writing connection, still taken at that moment: there the other comes a
// moment later.)
func TestPersistedAndOvertaken(t *testing.T) {
	l := New(t, 1)
	other := l.Open()
	overtaken := make(chan error, 1)
	var once atomic.Bool
	l.DB.Journal.Fail(store.Faults{AfterCommit: func() error {
		if once.Swap(true) {
			return nil
		}
		go func() {
			_, err := other.Submit(t.Context(), Call(l.Put(topic, "b", "1")))
			overtaken <- err
		}()
		if l.DB.Journal.LockRow() != "" {
			overtaken <- <-overtaken
		}
		return errDisk
	}})
	if o := l.One(l.Put(topic, "a", "1")); o.Index != 0 {
		t.Fatalf("%+v", o)
	}
	if err := <-overtaken; err != nil {
		t.Fatal(err)
	}
	if l.Audit() != 2 {
		t.Fatal("not two entries")
	}
}

// TestFailingDatabaseCommits: what the engine itself refuses at COMMIT is no
// receipt, whichever way the transaction came to fail.
func TestFailingDatabaseCommits(t *testing.T) {
	l := New(t, 1)
	deferred := `CREATE TABLE parents (id INTEGER PRIMARY KEY)`
	child := `CREATE TABLE children (id INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)`
	for _, s := range []string{deferred, child} {
		if err := l.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			_, err := tx.ExecContext(ctx, s)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	bad := &journal.Call{From: Provider, Build: func(ctx context.Context, tx store.Tx, _ journal.Slot) ([]journal.Entry, error) {
		if l.DB.Journal.LockRow() == "" {
			// SQLite runs without foreign keys; there the transaction goes, and
			// nobody is told.
			_, _ = tx.ExecContext(ctx, "INSERT OR ROLLBACK INTO head (id, origin, size, at, policy, group_id, edge, sequences, checkpoint) SELECT * FROM head")
			return []journal.Entry{changed("swallowed")}, nil
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO children VALUES (7)")
		return []journal.Entry{changed("child without parent")}, err
	}}
	commit, err := l.Journal.Submit(t.Context(), bad)
	if commit != nil || err == nil {
		t.Fatal("a receipt for nothing")
	}
	if l.Audit() != 0 {
		t.Fatal("something was written")
	}
	l.One(l.Put(topic, "a", "1"))
	l.Audit()
}

// changed makes an entry that needs nothing.
func changed(object string) journal.Entry {
	return journal.Entry{Leaf: &ledgerv1.LedgerEntry{Actor: Provider, Body: &ledgerv1.LedgerEntry_Changed{
		Changed: &ledgerv1.ObjectChanged{Id: object},
	}}}
}

// TestOneBadCallStandsAlone: a call that the engine refuses does not take its
// group with it.
func TestOneBadCallStandsAlone(t *testing.T) {
	l := New(t, 1)
	hold := make(chan struct{})
	blocker, err := l.Journal.Begin(t.Context(), &journal.Call{From: "blocker", Build: func(context.Context, store.Tx, journal.Slot) ([]journal.Entry, error) {
		<-hold
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	// While the blocker holds the writer, everything else gathers in one group.
	var calls []*journal.Pending
	for n := range 9 {
		text := fmt.Sprint(n)
		c := CallOf(fmt.Sprint("caller", n), l.Put(topic, text, text))
		if n == 4 {
			c.Publish.Records[0].Leaf.Contract = "\xff"
		}
		p, err := l.Journal.Begin(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, p)
	}
	close(hold)
	if _, err := blocker.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n, p := range calls {
		commit, err := p.Wait(t.Context())
		if n == 4 {
			if err == nil {
				t.Fatal("the bad call was committed")
			}
			continue
		}
		if err != nil || commit.Records[0].Err != nil {
			t.Fatal(n, err)
		}
		l.CheckProof(commit)
	}
	if l.Audit() != 8 {
		t.Fatal("not eight entries")
	}
}

// TestOversizedEntryStandsAlone: an entry over the limit is the caller's fault,
// with the size in it.
func TestOversizedEntryStandsAlone(t *testing.T) {
	l := New(t, 1)
	big := l.Put(topic, "a", "1")
	for range 2500 {
		big.Leaf.SubjectCommitments = append(big.Leaf.SubjectCommitments, make([]byte, 32))
	}
	_, err := l.Journal.Submit(t.Context(), Call(big))
	if fault.KindOf(err) != fault.TooLarge || fault.RuleOf(err) != "entry.size" {
		t.Fatal(err)
	}
	l.One(l.Put(topic, "a", "1"))
	l.Audit()
}

func TestDatabaseThatGoesAway(t *testing.T) {
	url := storetest.URL(t)
	db, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	l := On(t, db, 1)
	l.One(l.Put(topic, "a", "1"))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Journal.Submit(t.Context(), Call(l.Put(topic, "a", "2"))); fault.KindOf(err) != fault.Unavailable {
		t.Fatal(err)
	}
}
