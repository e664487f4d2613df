package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestSubscriptionGoesOnWhereItStood: present state first, then changes; after a
// drain the next start has only what is new.
func TestSubscriptionGoesOnWhereItStood(t *testing.T) {
	w := newWorld(t)
	before := publishAll(t, w.publisher, some(300))
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent()})
	var first seen
	caughtUp := make(chan struct{})
	var once sync.Once
	s := w.subscribe(t, "m", first.handle, sdk.WithCaughtUp(func() { once.Do(func() { close(caughtUp) }) }))
	select {
	case <-caughtUp:
	case <-soon(t).Done():
		t.Fatal("it does not catch up")
	}
	await(t, "all are handled", func() bool { return first.count() == 300 })
	later := publishAll(t, w.publisher, some(310)[300:])
	await(t, "changes are handled", func() bool { return first.count() == 310 })
	drain(t, s)
	if got, want := first.indexes(), indexesOf(append(before, later...)); !slices.Equal(got, want) {
		t.Errorf("%d records came, not those published", len(got))
	}
	for _, d := range first.all {
		if d.Snapshot != (d.Index < later[0].Index && slices.Contains(indexesOf(before), d.Index)) {
			t.Errorf("entry %d: snapshot %v", d.Index, d.Snapshot)
			break
		}
	}
	last := publishAll(t, w.publisher, some(311)[310:])
	var second seen
	s = w.subscribe(t, "m", second.handle)
	await(t, "the new one is handled", func() bool { return second.count() > 0 })
	drain(t, s)
	if got := second.indexes(); !slices.Equal(got, indexesOf(last)) {
		t.Errorf("%v came again", got)
	}
	info, err := w.hall.GetSubscription(soon(t), "m")
	if err != nil || info.Pending != 0 || info.DeadLetters != 0 {
		t.Errorf("it stands at %v, %v", info, err)
	}
}

// TestStopGivesBackWhatIsNotSettled: it ends the handler's context, and the
// record comes again to the next.
func TestStopGivesBackWhatIsNotSettled(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent()})
	receipts := publishAll(t, w.publisher, some(1))
	entered := make(chan struct{})
	s := w.subscribe(t, "m", func(ctx context.Context, _ *sdk.Delivery) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	})
	select {
	case <-entered:
	case <-soon(t).Done():
		t.Fatal("nothing comes")
	}
	s.Stop()
	closed(t, s)
	if err := s.Err(); err != nil {
		t.Error(err)
	}
	var again seen
	s = w.subscribe(t, "m", again.handle)
	await(t, "it comes again", func() bool { return again.count() > 0 })
	drain(t, s)
	if got := again.indexes(); !slices.Equal(got, indexesOf(receipts)) {
		t.Errorf("%v came", got)
	}
}

// TestGroupDrainsAll: one shutdown lets every subscription finish what it has.
func TestGroupDrainsAll(t *testing.T) {
	w := newWorld(t)
	receipts := publishAll(t, w.publisher, some(50))
	ctx, shutdown := context.WithCancel(t.Context())
	defer shutdown()
	g := sdk.NewGroup(ctx)
	g.DrainFor = nodetest.Patience
	parts, gate := make([]seen, 3), make(chan struct{})
	for i := range parts {
		name := fmt.Sprint("part-", i)
		w.create(t, sdk.NewSubscription{Name: name, Start: sdk.FromCurrent()})
		err := g.Subscribe(w.hall, name, func(ctx context.Context, d *sdk.Delivery) error {
			err := parts[i].handle(ctx, d)
			<-gate
			return errors.Join(err, ctx.Err())
		}, sdk.WithConcurrency(4))
		if err != nil {
			t.Fatal(err)
		}
	}
	await(t, "all are at work", func() bool { return parts[0].count() >= 4 && parts[1].count() >= 4 && parts[2].count() >= 4 })
	shutdown()
	close(gate)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	// What was handled is settled: the next start has the rest only.
	for i := range parts {
		var rest seen
		s := w.subscribe(t, fmt.Sprint("part-", i), rest.handle)
		await(t, "the rest comes", func() bool { return parts[i].count()+rest.count() >= len(receipts) })
		drain(t, s)
		if handled := parts[i].count(); handled+rest.count() != len(receipts) {
			t.Errorf("part %d: %d and %d of %d", i, handled, rest.count(), len(receipts))
		}
	}
}

// TestDeadLetters: what fails for good is set aside with its reason, lets others
// pass, and comes late when it is replayed.
func TestDeadLetters(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent(), MaxAttempts: 2, Backoff: 10 * time.Millisecond})
	receipts := publishAll(t, w.publisher, some(20))
	var good, tries, late seen
	broken := true
	s := w.subscribe(t, "m", func(ctx context.Context, d *sdk.Delivery) error {
		switch {
		case d.Late:
			return late.handle(ctx, d)
		case broken && d.Index == receipts[3].Index:
			return sdk.DeadLetter(errors.New("no"), "unreadable here")
		case broken && d.Index == receipts[4].Index:
			return errors.Join(tries.handle(ctx, d), errors.New("no"))
		}
		return good.handle(ctx, d)
	})
	await(t, "the others pass", func() bool { return good.count() == 18 })
	reasons := map[uint64]string{}
	await(t, "both are set aside", func() bool {
		clear(reasons)
		for letter, err := range w.hall.DeadLetters(soon(t), "m") {
			if err != nil {
				t.Fatal(err)
			}
			reasons[letter.Index] = letter.Reason
		}
		return len(reasons) == 2
	})
	if reasons[receipts[3].Index] != "unreadable here" || tries.count() != 2 {
		t.Errorf("%v after %d tries", reasons, tries.count())
	}
	if n, err := w.hall.ReplayDeadLetters(soon(t), "m"); err != nil || n != 2 {
		t.Fatalf("%d replayed, %v", n, err)
	}
	await(t, "they come late", func() bool { return late.count() == 2 })
	drain(t, s)
}

// TestBatchHandlers get many deliveries at once, no two of one record.
func TestBatchHandlers(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromAll()})
	records := some(40)
	var receipts []*sdk.Receipt
	for range 3 {
		receipts = append(receipts, publishAll(t, w.publisher, records)...)
	}
	var got seen
	largest := 0
	s, err := w.hall.SubscribeBatches(t.Context(), "m", 16, func(ctx context.Context, ds []*sdk.Delivery) error {
		tokens := map[string]bool{}
		for _, d := range ds {
			if tokens[string(d.Token)] {
				t.Error("two versions of one record in a batch")
			}
			tokens[string(d.Token)] = true
			if err := got.handle(ctx, d); err != nil {
				return err
			}
		}
		got.mu.Lock()
		largest = max(largest, len(ds))
		got.mu.Unlock()
		return nil
	}, sdk.WithConcurrency(2))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "all versions came", func() bool { return got.count() >= len(receipts) })
	drain(t, s)
	if got.count() != len(receipts) || largest < 2 || largest > 16 {
		t.Errorf("%d deliveries, up to %d at once", got.count(), largest)
	}
	inOrder(t, got.all)
}

// inOrder checks that each record's versions came in order.
func inOrder(t *testing.T, all []sdk.Delivery) {
	t.Helper()
	last := map[string]uint64{}
	for _, d := range all {
		if d.Index < last[string(d.Token)] {
			t.Errorf("entry %d of a record came after entry %d", d.Index, last[string(d.Token)])
		}
		last[string(d.Token)] = d.Index
	}
}

// TestSubscriptionsThatAreRefused, when they are made or opened.
func TestSubscriptionsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	handle := func(context.Context, *sdk.Delivery) error { return nil }
	if _, err := w.hall.Subscribe(soon(t), "none", handle); fault.KindOf(err) != fault.NotFound {
		t.Errorf("unknown: %v", err)
	}
	stranger := w.Join(t, sample.Housing, "estates")
	_, err := stranger.CreateSubscription(soon(t), sdk.NewSubscription{Name: "m", Topic: marriages})
	if !errors.Is(err, &fault.Error{Kind: fault.Denied, Rule: "grant.required"}) {
		t.Errorf("without a grant: %v", err)
	}
	w.create(t, sdk.NewSubscription{Name: "m"})
	if _, err := stranger.Subscribe(soon(t), w.hall.System()+"/m", handle); err == nil {
		t.Error("another's subscription was opened")
	}
	n := sdk.NewSubscription{Name: "m", Topic: marriages}
	before := w.Node.Journal.Head().Size
	if _, err := w.hall.EnsureSubscription(soon(t), n); err != nil {
		t.Errorf("ensured: %v", err)
	}
	if size := w.Node.Journal.Head().Size; size != before {
		t.Errorf("ensuring what is there made %d entries", size-before)
	}
	if _, err := w.hall.CreateSubscription(soon(t), n); fault.KindOf(err) != fault.AlreadyExists {
		t.Errorf("twice: %v", err)
	}
}
