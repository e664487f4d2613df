package inspect_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func timeOf(e *ledgerv1.Entry) *timestamppb.Timestamp {
	return timestamppb.New(time.UnixMicro(e.Entry.AtUs))
}

// watching is a watch under way.
type watching struct {
	t       testing.TB
	entries chan *ledgerv1.Entry
	ended   chan error
	cancel  context.CancelFunc
}

// watch begins a watch; what it finds waits until it is taken.
func (w *world) watch(t testing.TB, by *catalogtest.System, f *ledgerv1.EntryFilter) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	x := &watching{t, make(chan *ledgerv1.Entry), make(chan error, 1), cancel}
	before := w.Journal.Head().Size
	go func() {
		x.ended <- w.ledger.Watch(ctx, by.Caller, f, func(e *ledgerv1.Entry) error {
			select {
			case x.entries <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	catalogtest.Within(t, catalogtest.Patience, "the watch is entered", func() bool { return w.Journal.Head().Size > before })
	return x
}

// next gives the next entry found.
func (x *watching) next() *ledgerv1.Entry {
	x.t.Helper()
	select {
	case e := <-x.entries:
		return e
	case err := <-x.ended:
		x.t.Fatalf("the watch ended: %v", err)
	case <-time.After(catalogtest.Patience):
		x.t.Fatal("nothing was found")
	}
	return nil
}

func (x *watching) end() error {
	x.t.Helper()
	x.cancel()
	select {
	case err := <-x.ended:
		return err
	case <-time.After(catalogtest.Patience):
		x.t.Fatal("the watch does not end")
		return nil
	}
}

func TestWatchSeesWhatIsCommitted(t *testing.T) {
	w := newWorld(t)
	w.publish(t, w.security, put("A1", "王芳"))
	x := w.watch(t, w.security, &ledgerv1.EntryFilter{Topic: people, Kinds: []string{"published", "queried"}})
	for i := range 5 {
		at := w.publish(t, w.security, numbered("B", 10*i, 10)...)
		w.household(t, "H1", "P1")
		for _, want := range at {
			if got := x.next().Entry.Index; got != want {
				t.Fatalf("entry %d, not %d", got, want)
			}
		}
	}
	asked := w.entered(t, w.queried(subject("A1"), caseNumber))
	if got := x.next().Entry; got.Index != asked {
		t.Fatalf("entry %d, not the query", got.Index)
	}
	if err := x.end(); fault.KindOf(err) != fault.Canceled && !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// A watch may begin in the past, and goes on without a gap.
func TestWatchFromAnIndex(t *testing.T) {
	w := newWorld(t)
	at := w.publish(t, w.security, numbered("A", 0, 3)...)
	x := w.watch(t, w.auditor, &ledgerv1.EntryFilter{Topic: people, FromIndex: at[1]})
	at = append(at, w.publish(t, w.security, put("B1", "李娜"))...)
	for _, want := range at[1:] {
		if got := x.next().Entry.Index; got != want {
			t.Fatalf("entry %d, not %d", got, want)
		}
	}
	_ = x.end()
}

// A watcher sees nothing that it is not party to.
func TestWatchShowsOwnEntries(t *testing.T) {
	w := newWorld(t)
	x := w.watch(t, w.civil, nil)
	w.publish(t, w.security, put("A1", "王芳"))
	asked := w.entered(t, w.queried(subject("A1"), caseNumber))
	if got := x.next().Entry.Index; got != asked {
		t.Errorf("entry %d came before the query at %d", got, asked)
	}
	_ = x.end()
}

// A watch ends at the time that it asks for.
func TestWatchEndsAtItsTime(t *testing.T) {
	w := newWorld(t)
	x := w.watch(t, w.auditor, &ledgerv1.EntryFilter{Until: timestamppb.New(time.Now().Add(50 * time.Millisecond)), Kinds: []string{"certificate"}})
	select {
	case err := <-x.ended:
		must(t, err)
	case <-time.After(catalogtest.Patience):
		t.Fatal("it does not end")
	}
}

// A watch ends when its caller may no longer read.
func TestWatchEndsWithTheRight(t *testing.T) {
	w := newWorld(t)
	x := w.watch(t, w.civil, nil)
	_, _, err := w.Catalogue.SuspendSystem(t.Context(), w.ByOperator(), w.civil.Caller.System, "演练")
	must(t, err)
	for {
		select {
		case <-x.entries: // its own suspension
			continue
		case err := <-x.ended:
			if fault.RuleOf(err) != "system.suspended" {
				t.Errorf("it ended with %v", err)
			}
		case <-time.After(catalogtest.Patience):
			t.Error("it does not end")
		}
		return
	}
}
