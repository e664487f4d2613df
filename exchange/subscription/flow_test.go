package subscription_test

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/subscription"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

func (m *member) ask(r *exchangev1.SubscribeRequest) { m.requests <- r }

func TestCreditBoundsWhatIsUnderWay(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	w.publishMany(0, 50)
	m := w.open("s", func(o *exchangev1.SubscribeOpen) { o.MaxInFlight = 5 })
	got := m.receives(5)
	if n := m.settle(&exchangev1.SubscribeSettle{}); n == nil || len(m.all()) != 5 {
		t.Errorf("%d under way with a credit of 5", len(m.all()))
	}
	m.ack(got[0].Sequence, got[1].Sequence)
	m.receives(7)
	if n := len(m.all()); n != 7 {
		t.Errorf("%d came", n)
	}
	m.ask(&exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Credit{Credit: &exchangev1.SubscribeCredit{MaxInFlight: 100}}})
	m.receives(50)
}

func TestCreditOfBytes(t *testing.T) {
	w := newWorld(t)
	w.create("s", func(s *exchangev1.Subscription) { s.Lanes = 1 })
	name := string(slices.Repeat([]byte("字"), 90))
	var all []*exchangev1.Publication
	for i := range 600 {
		all = append(all, person(i, name))
	}
	w.publish(all...)
	m := w.open("s", func(o *exchangev1.SubscribeOpen) { o.MaxBytesInFlight = 64 << 10 })
	m.receives(100)
	m.settle(&exchangev1.SubscribeSettle{})
	under := 0
	for _, d := range m.all() {
		under += len(d.Record.Payload)
	}
	if under > 64<<10 || len(m.all()) == 600 {
		t.Errorf("%d bytes under way", under)
	}
	for done := 0; done < 600; {
		got := m.receives(done + 1)
		m.ack(sequences(got[done:])...)
		done = len(got)
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	for name, c := range map[string]struct {
		open *exchangev1.SubscribeOpen
		rule string
	}{
		"unknown":  {&exchangev1.SubscribeOpen{Subscription: "nowhere"}, "subscription.unknown"},
		"others'":  {&exchangev1.SubscribeOpen{Subscription: catalogtest.Housing + "/fund/s"}, "subscription.unknown"},
		"member":   {&exchangev1.SubscribeOpen{Subscription: "s", Member: "a b"}, "member.name"},
		"credit":   {&exchangev1.SubscribeOpen{Subscription: "s", MaxInFlight: 10_001}, "max_in_flight"},
		"bytes":    {&exchangev1.SubscribeOpen{Subscription: "s", MaxBytesInFlight: 1}, "max_bytes_in_flight"},
		"position": {&exchangev1.SubscribeOpen{Subscription: "s", SettledThrough: new(uint64(1 << 40))}, "settled_through"},
	} {
		m := w.receive(w.civil, c.open)
		if err := m.end(); fault.RuleOf(err) != c.rule {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := w.open("s")
	w.publishMany(0, 2)
	got := sequences(m.receives(2))
	signed := m.signed(got...)
	signed.DetailHashes[1] = slices.Clone(signed.DetailHashes[0])
	wrong := m.signed(got...)
	wrong.Signature[10] ^= 1
	short := m.signed(got...)
	short.DetailHashes = short.DetailHashes[:1]
	for rule, s := range map[string]*exchangev1.SubscribeSettle{
		"ack.details": signed, "signature.wrong": wrong,
		"nack.delay":  {Nacks: []*exchangev1.Nack{{Sequence: got[0], Delay: durationpb.New(-time.Second)}}},
		"reason.size": {Nacks: []*exchangev1.Nack{{Sequence: got[0], Reason: string(make([]byte, 301))}}},
	} {
		if a := m.settle(s); a.Problem.GetRule() != rule {
			t.Errorf("%s: %v", rule, a)
		}
	}
	if a := m.settle(short); a.Problem.GetRule() != "ack.details" {
		t.Errorf("too few hashes: %v", a)
	}
	m.ack(got...)
	m.ask(&exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Open{Open: &exchangev1.SubscribeOpen{}}})
	if err := m.end(); fault.RuleOf(err) != "subscribe.open" {
		t.Errorf("opened twice: %v", err)
	}
}

func TestDrain(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	w.publishMany(0, 10)
	m := w.open("s", func(o *exchangev1.SubscribeOpen) { o.MaxInFlight = 4 })
	got := m.receives(4)
	m.ask(&exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Drain{Drain: &exchangev1.SubscribeDrain{}}})
	m.ack(sequences(got[:2])...)
	token := m.send(m.signed(sequences(got[2:])...))
	if err := m.end(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if m.settled[token] == nil || len(m.all()) != 4 {
		t.Errorf("settled %v, %d came", m.settled[token], len(m.all()))
	}
	if n := len(w.drain("s")); n != 6 {
		t.Errorf("%d were left", n)
	}
}

func TestCaughtUpIsTold(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	m := w.open("s")
	m.caughtUp()
	for i := range 3 {
		m.mu.Lock()
		m.beats = nil
		m.mu.Unlock()
		w.publishMany(10*i, 10*i+10)
		m.caughtUp()
		if n := len(m.all()); n != 10*i+10 {
			t.Errorf("caught up at %d", n)
		}
	}
}

func TestTheSubscriberMayKeepItsPosition(t *testing.T) {
	w := newWorld(t)
	w.publishMany(0, 5)
	w.create("s", startAt(fromNew), func(s *exchangev1.Subscription) { s.Lanes, s.AckWait = 1, durationpb.New(100*time.Millisecond) })
	through := uint64(0)
	position := func(o *exchangev1.SubscribeOpen) { o.SettledThrough = &through }
	w.publishMany(5, 15)
	m := w.open("s", position)
	got := m.receives(10) // not what was before the subscription began
	if !slices.IsSorted(sequences(got)) {
		t.Errorf("order %v", sequences(got))
	}
	if err := w.receive(w.civil, &exchangev1.SubscribeOpen{Subscription: "s"}).end(); !errors.Is(err, fault.New(fault.Conflict, "member.alone", "")) {
		t.Errorf("a second member: %v", err)
	}
	m.ack(sequences(got)...)
	m.stop()
	// Its own database says something else than the exchange: it is right.
	through = got[3].Sequence
	m = w.open("s", position)
	if again := m.receives(6); again[0].Sequence != got[4].Sequence || again[0].Attempt != 1 {
		t.Errorf("again %v", again[0])
	}
	// Nothing is sent twice on one stream, however long it takes.
	time.AfterFunc(350*time.Millisecond, func() { w.publishMany(15, 16) })
	if ds := m.receives(7); ds[6].Attempt != 1 || ds[6].Sequence <= got[9].Sequence {
		t.Errorf("got %v", ds[6])
	}
}

// A reader that slept wakes by what this process commits, and by what others do.
func TestAQuietTopicWakes(t *testing.T) {
	w := worldOn(t, "a", t.TempDir())
	w.create("s")
	other := w.second()
	a := w.open("s", func(o *exchangev1.SubscribeOpen) { o.Member = "a" })
	b := other.receive(w.civil, &exchangev1.SubscribeOpen{Subscription: "s", Member: "b"})
	b.within("shared", func() bool { return holders(w.get("s"))["b"] == 2 })
	for i := range 4 {
		a.within("asleep", func() bool { return w.manager.Sleeping() == 1 && other.manager.Sleeping() == 1 })
		w.publishMany(20*i, 20*i+20)
		a.within("all came", func() bool { return len(a.got)+len(b.all()) == 20*i+20 })
		w.in, other.in = other.in, w.in
	}
}

// What the stream does not have comes from the journal, in the same order.
func TestJournalAndStreamGiveTheSame(t *testing.T) {
	w := worldOn(t, "a", t.TempDir())
	one := func(s *exchangev1.Subscription) { s.Lanes = 1 }
	w.create("stream", one)
	w.create("journal", one)
	for i := range 5 {
		w.publishMany(0, 100*(i+1))
	}
	catalogtest.Within(t, catalogtest.Patience, "relayed", w.bus.Ready)
	stream := w.drain("stream")
	other := w.second()
	w.manager, other.manager = other.manager, w.manager
	journal := w.drain("journal")
	w.manager, other.manager = other.manager, w.manager
	byRecord := func(ds []*exchangev1.Delivery) map[string][]uint64 {
		of := map[string][]uint64{}
		for _, d := range ds {
			of[string(d.Record.Record)] = append(of[string(d.Record.Record)], d.Record.Index)
		}
		return of
	}
	a, b := byRecord(stream), byRecord(journal)
	if len(stream) != 1500 || len(journal) != 1500 || len(a) != 500 {
		t.Fatalf("%d and %d of %d records", len(stream), len(journal), len(a))
	}
	for record, versions := range a {
		if !slices.Equal(versions, b[record]) || !slices.IsSorted(versions) {
			t.Errorf("%x: %v and %v", record, versions, b[record])
		}
	}
}

func TestPositionsOutliveJetStream(t *testing.T) {
	dir := t.TempDir()
	w := worldOn(t, "", dir)
	w.create("s")
	w.publishMany(0, 50)
	m := w.open("s")
	got := m.receives(50)
	m.ack(sequences(got[:30])...)
	w.close(w.manager)
	w.bus.Close()
	must(t, os.RemoveAll(dir))
	w.openBus(t, dir)
	w.config.Bus = w.bus
	w.manager = subscription.Open(w.config)
	t.Cleanup(func() { w.close(w.manager) })
	if err := m.end(); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	w.publishMany(50, 60)
	rest := w.drain("s")
	left := append(sequences(rest), sequences(got[:30])...)
	slices.Sort(left)
	if len(left) != 60 || len(slices.Compact(left)) != 60 {
		t.Errorf("%d came in all", len(left))
	}
}

// TestAMemberThatDoesNotReadIsReleasedLittle: whatever its credit, what it leaves
// unread takes bounded memory; once it reads, everything comes.
func TestAMemberThatDoesNotReadIsReleasedLittle(t *testing.T) {
	w := newWorld(t)
	w.create("s", func(s *exchangev1.Subscription) { s.AckWait = durationpb.New(time.Minute) })
	const n = 9000
	for i := 0; i < n; i += 500 {
		w.publishMany(i, i+500)
	}
	m := w.open("s", func(o *exchangev1.SubscribeOpen) { o.MaxInFlight, o.MaxBytesInFlight = 1, 64<<20 })
	m.receives(1)
	stopped := make(chan struct{})
	m.mu.Lock()
	m.blocked = stopped
	m.mu.Unlock()
	m.ask(&exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Credit{Credit: &exchangev1.SubscribeCredit{MaxInFlight: 10_000, MaxBytesInFlight: 64 << 20}}})
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	released := uint32(0)
	for last := uint32(1); released != last || released == 1; <-tick.C {
		last, released = released, w.get("s").InFlight
	}
	if released > n*3/4 {
		t.Errorf("%d of %d records were released to a member that reads nothing", released, n)
	}
	m.mu.Lock()
	m.blocked = nil
	m.mu.Unlock()
	close(stopped)
	m.receives(n)
}
