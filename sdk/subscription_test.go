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
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// world is the world of a subscription's test: marriages, their registry and a
// hall that may receive them.
type world struct {
	*nodetest.Exchange
	civil, hall *sdk.Client
	publisher   *sdk.Publisher
	grant       *accessv1.Grant
}

func newWorld(t *testing.T, configs ...node.Config) *world {
	t.Helper()
	w := &world{Exchange: open(t, configs...)}
	w.enrol(t)
	return w
}

func (w *world) enrol(t *testing.T) {
	t.Helper()
	w.civil, w.hall = w.Join(t, sample.CivilAffairs, "registry"), w.Join(t, sample.ServiceHall, "hall")
	w.publisher = w.civil.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { closePublisher(t, w.publisher) })
	var err error
	if w.grant, err = w.CreateGrant(t.Context(), grant(marriages, "certificate_number", "state", "party_a_name")); err != nil {
		t.Fatal(err)
	}
}

func (w *world) create(t *testing.T, n sdk.NewSubscription) {
	t.Helper()
	if n.Topic == "" {
		n.Topic = marriages
	}
	if _, err := w.hall.CreateSubscription(soon(t), n); err != nil {
		t.Fatal(err)
	}
}

func (w *world) subscribe(t *testing.T, name string, h sdk.Handler, opts ...sdk.SubscribeOption) *sdk.Subscription {
	t.Helper()
	s, err := w.hall.Subscribe(t.Context(), name, h, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(); <-s.Closed() })
	return s
}

func drain(t *testing.T, s *sdk.Subscription) {
	t.Helper()
	s.Drain()
	closed(t, s)
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}

func closed(t *testing.T, s *sdk.Subscription) {
	t.Helper()
	select {
	case <-s.Closed():
	case <-soon(t).Done():
		t.Fatal("the subscription does not close")
	}
}

// seen notes deliveries.
type seen struct {
	mu  sync.Mutex
	all []sdk.Delivery
}

func (s *seen) handle(_ context.Context, d *sdk.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, *d)
	return nil
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// indexes gives the ledger index of each delivery's publication, each once.
func (s *seen) indexes() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []uint64
	for _, d := range s.all {
		all = append(all, d.Index)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func indexesOf(receipts []*sdk.Receipt) []uint64 {
	var all []uint64
	for _, r := range receipts {
		all = append(all, r.Index)
	}
	slices.Sort(all)
	return all
}

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

// TestLapsedPermission: a suspended grant stops deliveries and says why; they go
// on by themselves when it is back, and nothing is lost.
func TestLapsedPermission(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent()})
	var got seen
	lapsed := make(chan *fault.Error, 8)
	s := w.subscribe(t, "m", got.handle, sdk.WithLapsed(func(why *fault.Error) { lapsed <- why }))
	publishAll(t, w.publisher, some(5))
	await(t, "all came", func() bool { return got.count() == 5 })
	if _, err := w.Access.SuspendGrant(t.Context(), &accessv1.SuspendGrantRequest{Id: w.grant.Id, Reason: "misuse"}); err != nil {
		t.Fatal(err)
	}
	publishAll(t, w.publisher, some(10)[5:])
	select {
	case why := <-lapsed:
		if why.Rule != "grant.suspended" {
			t.Errorf("lapsed by %v", why)
		}
	case <-soon(t).Done():
		t.Fatal("nobody says that the permission lapsed")
	}
	if n := got.count(); n != 5 {
		t.Errorf("%d came without permission", n-5)
	}
	if _, err := w.Access.ResumeGrant(t.Context(), &accessv1.ResumeGrantRequest{Id: w.grant.Id}); err != nil {
		t.Fatal(err)
	}
	await(t, "the rest came", func() bool { return got.count() == 10 })
	drain(t, s)
}

// TestPausedSubscription keeps its place.
func TestPausedSubscription(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent()})
	var got seen
	s := w.subscribe(t, "m", got.handle)
	if err := w.hall.PauseSubscription(soon(t), "m", "maintenance"); err != nil {
		t.Fatal(err)
	}
	publishAll(t, w.publisher, some(5))
	info, err := w.hall.GetSubscription(soon(t), "m")
	if err != nil || info.Reason != "maintenance" {
		t.Errorf("%v, %v", info, err)
	}
	if n := got.count(); n != 0 {
		t.Errorf("%d came while it was paused", n)
	}
	if err := w.hall.ResumeSubscription(soon(t), "m"); err != nil {
		t.Fatal(err)
	}
	await(t, "they come", func() bool { return got.count() == 5 })
	drain(t, s)
	if err := w.hall.DeleteSubscription(soon(t), "m"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.hall.Subscribe(soon(t), "m", got.handle); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a deleted subscription: %v", err)
	}
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

// TestSubscriptionSurvivesRestarts: while the exchange stops and starts again,
// the subscription reconnects by itself; everything comes, in order.
func TestSubscriptionSurvivesRestarts(t *testing.T) {
	dir, database := t.TempDir(), storetest.URL(t)
	x, err := nodetest.Open(t.Context(), dir, node.Config{Database: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	list(t, x, topic(marriages, "Marriage"))
	w := &world{Exchange: x}
	w.enrol(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromAll()})
	var got seen
	s := w.subscribe(t, "m", got.handle)
	records := some(200)
	var receipts []*sdk.Receipt
	for range 3 {
		receipts = append(receipts, publishAll(t, w.publisher, records)...)
		address := x.Node.Address()
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := nodetest.Reopen(t.Context(), dir, node.Config{Listen: address, Database: database})
		if err != nil {
			t.Fatal(err)
		}
		x = again
	}
	want := indexesOf(receipts)
	await(t, "everything came", func() bool { return slices.Equal(got.indexes(), want) })
	drain(t, s)
	inOrder(t, got.all)
}

// TestMembersShareASubscription: each record goes to one of them.
func TestMembersShareASubscription(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent(), Lanes: 8})
	var a, b seen
	first := w.subscribe(t, "m", a.handle, sdk.WithMember("a"))
	second := w.subscribe(t, "m", b.handle, sdk.WithMember("b"))
	if first.Member() != "a" || second.Member() != "b" {
		t.Errorf("members %q and %q", first.Member(), second.Member())
	}
	await(t, "both have lanes", func() bool {
		info, err := w.hall.GetSubscription(soon(t), "m")
		if err != nil {
			t.Fatal(err)
		}
		held := map[string]int{}
		for _, l := range info.LaneState {
			held[l.Member]++
		}
		return held["a"] > 0 && held["b"] > 0
	})
	receipts := publishAll(t, w.publisher, some(400))
	await(t, "all came", func() bool { return a.count()+b.count() >= len(receipts) })
	drain(t, first)
	drain(t, second)
	if a.count() == 0 || b.count() == 0 || a.count()+b.count() != len(receipts) {
		t.Errorf("%d and %d of %d", a.count(), b.count(), len(receipts))
	}
}

// TestRevocationAndErasure reach the subscriber without content.
func TestRevocationAndErasure(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent()})
	records := some(2)
	publishAll(t, w.publisher, records)
	var mu sync.Mutex
	status := map[string]sdk.Status{}
	s := w.subscribe(t, "m", sdk.Handle(func(_ context.Context, d *sdk.Delivery, m *recordsv1.Marriage) error {
		mu.Lock()
		defer mu.Unlock()
		if (m != nil) != d.HasPayload() {
			t.Errorf("payload %v of %v", m, d.Status)
		}
		if m != nil && (m.PartyAName == "" || m.PartyBName != "" || !d.IsWithheld(7)) {
			t.Errorf("cut to %v, withheld %v", m, d.Withheld)
		}
		status[d.Key] = d.Status
		return nil
	}))
	if _, err := w.publisher.Revoke(soon(t), marriages, records[0].CertificateNumber, "登记有误"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.publisher.Erase(soon(t), marriages, records[1].CertificateNumber, "依申请删除"); err != nil {
		t.Fatal(err)
	}
	await(t, "both are known", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return status[records[0].CertificateNumber] == sdk.Revoked && slices.Contains(statuses(status), sdk.Erased)
	})
	drain(t, s)
}

func statuses(m map[string]sdk.Status) (all []sdk.Status) {
	for _, s := range m {
		all = append(all, s)
	}
	return all
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
	if _, err := w.hall.CreateSubscription(soon(t), n); fault.KindOf(err) != fault.AlreadyExists {
		t.Errorf("twice: %v", err)
	}
	if _, err := w.hall.EnsureSubscription(soon(t), n); err != nil {
		t.Errorf("ensured: %v", err)
	}
}
