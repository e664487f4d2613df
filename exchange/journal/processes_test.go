package journal_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	. "github.com/huitong-bus/huitong/exchange/journal/journaltest"
	"github.com/huitong-bus/huitong/exchange/store"
)

// TestProcessesBesideEachOther: three journals write to one database at once,
// some of it to the same records, with answers lost now and then.
func TestProcessesBesideEachOther(t *testing.T) {
	l := New(t, 3)
	journals := []*journal.Journal{l.Journal, l.Open(), l.Open()}
	var commits atomic.Int64
	l.DB.Journal.Fail(store.Faults{
		BeforeCommit: func() error {
			if commits.Add(1)%17 == 0 {
				return errDisk
			}
			return nil
		},
		AfterCommit: func() error {
			if commits.Load()%11 == 0 {
				return errDisk
			}
			return nil
		},
	})
	const callers, each = 6, 30
	var done sync.WaitGroup
	for c := range callers {
		done.Go(func() {
			j := journals[c%len(journals)]
			from := fmt.Sprintf("%s-%d", Provider, c)
			for n := range each {
				key := fmt.Sprintf("%02d/%04d", c, n)
				for {
					call := CallOf(from, l.Put(fmt.Sprint("topic.", n%4), fmt.Sprint("r", n%5), key, Idempotent(key)))
					commit, err := j.Submit(t.Context(), call)
					if err == nil && commit.Records[0].Err == nil {
						break
					}
					if fault.KindOf(err) != fault.Unavailable {
						t.Errorf("%v, %+v", err, commit)
						return
					}
				}
			}
		})
	}
	done.Wait()
	l.DB.Journal.Fail(store.Faults{})
	if n := l.Audit(); n != callers*each {
		t.Fatalf("%d entries, not %d: a retry made one more, or one is lost", n, callers*each)
	}
	// Each learns of what the others wrote.
	for _, j := range journals {
		Within(t, "the head is known everywhere", func() bool { return j.Head().Size == callers*each })
	}
}

// TestCloseWhileBusy: what was taken in is committed before Close returns, and
// what comes later is refused.
func TestCloseWhileBusy(t *testing.T) {
	l := New(t, 1)
	j := l.Open()
	var taken []*journal.Pending
	for n := range 200 {
		p, err := j.Begin(t.Context(), Call(l.Put(topic, fmt.Sprint(n), "x")))
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, p)
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := j.Close(ctx); err != nil {
		t.Fatal(err)
	}
	for n, p := range taken {
		select {
		case <-p.Done():
		default:
			t.Fatalf("call %d is not answered", n)
		}
		if _, err := p.Wait(t.Context()); err != nil {
			t.Fatal(n, err)
		}
	}
	if _, err := j.Submit(t.Context(), Call(l.Put(topic, "late", "x"))); fault.RuleOf(err) != "journal.stopping" {
		t.Fatal(err)
	}
	if l.Audit() != 200 {
		t.Fatal("not 200 entries")
	}
}

// TestCloseIsBounded: a call that does not end holds Close up no longer than its
// context allows, and every caller gets an answer.
func TestCloseIsBounded(t *testing.T) {
	l := New(t, 1)
	j := l.Open()
	started := make(chan struct{}, 8)
	stuck, err := j.Begin(t.Context(), &journal.Call{From: "stuck", Build: func(ctx context.Context, _ store.Tx, _ journal.Slot) ([]journal.Entry, error) {
		started <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	<-started
	behind, err := j.Begin(t.Context(), Call(l.Put(topic, "a", "1", Idempotent("k"))))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := j.Close(ctx); err == nil {
		t.Fatal("closed in time")
	}
	for _, p := range []*journal.Pending{stuck, behind} {
		select {
		case <-p.Done():
		default:
			t.Fatal("a call got no answer")
		}
		if _, err := p.Wait(t.Context()); err == nil {
			t.Fatal("committed after the end")
		}
	}
	// Nothing of it is lost for the retry.
	l.One(l.Put(topic, "a", "1", Idempotent("k")))
	if l.Audit() != 1 {
		t.Fatal("not one entry")
	}
}

func TestForeignKeyIsRefused(t *testing.T) {
	l, other := New(t, 1), New(t, 1)
	_, err := journal.Open(t.Context(), journal.Config{DB: l.DB, Sealer: other.Keys, Signer: other.Keys.Signer()})
	if err == nil && l.Keys.Origin() != other.Keys.Origin() {
		t.Fatal("opened with the key of another log")
	}
}
