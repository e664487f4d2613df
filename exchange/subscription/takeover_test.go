package subscription_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

func (w *world) second() *process {
	return start(w.T, catalogtest.Join(w.T, w.DB, w.Identity), "b", "")
}

func (w *world) publishMany(from, to int) []uint64 {
	var all []*exchangev1.Publication
	for i := from; i < to; i++ {
		all = append(all, person(i, "甲"))
	}
	return w.publish(all...)
}

func holders(s *exchangev1.Subscription) map[string]int {
	of := map[string]int{}
	for _, l := range s.LaneState {
		of[l.Member]++
	}
	return of
}

func TestLanesOfADeadProcessAreTakenOver(t *testing.T) {
	w := worldOn(t, "a", t.TempDir())
	w.create("s")
	other := w.second()
	dead := other.receive(w.civil, &exchangev1.SubscribeOpen{Subscription: "s", Member: "dead"})
	dead.within("opened", func() bool { return dead.opened != nil })
	w.publishMany(0, 40)
	before := dead.receives(40)
	for i := range 10 {
		dead.ack(before[i].Sequence)
	}
	other.crash()
	alive := w.open("s", func(o *exchangev1.SubscribeOpen) { o.Member = "alive" })
	again := alive.receives(30)
	if len(again) != 30 {
		t.Errorf("%d came again", len(again))
	}
	for _, d := range again {
		if d.Attempt != 2 {
			t.Errorf("attempt %d of %d", d.Attempt, d.Sequence)
		}
		if slices.Contains(sequences(before[:10]), d.Sequence) {
			t.Errorf("%d came again, though it was settled", d.Sequence)
		}
	}
	alive.ack(sequences(again)...)
	alive.within("nothing is left", func() bool { s := w.get("s"); return s.Floor == s.LastSequence })
}

// A holder that lost its lanes without noticing can neither deliver nor settle.
func TestAStaleHolderCountsForNothing(t *testing.T) {
	w := newWorld(t)
	w.create("s", func(s *exchangev1.Subscription) { s.Lanes = 1 })
	w.publishMany(0, 3)
	first := w.open("s", func(o *exchangev1.SubscribeOpen) { o.Member = "m" })
	got := first.receives(3)
	first.mu.Lock()
	first.blocked = make(chan struct{})
	first.mu.Unlock()
	second := w.open("s", func(o *exchangev1.SubscribeOpen) { o.Member = "m" })
	again := second.receives(3)
	second.ack(again[0].Sequence)
	first.send(first.signed(sequences(got)...))
	close(first.blocked)
	if err := first.end(); !errors.Is(err, fault.New(fault.Conflict, "member.replaced", "")) {
		t.Errorf("the earlier stream ended with %v", err)
	}
	if s := w.get("s"); s.Floor != again[0].Sequence || s.InFlight != 2 {
		t.Errorf("the stale acknowledgement counted: %v", s)
	}
	second.ack(sequences(again[1:])...)
}

func TestMembersShareLanesAsTheyComeAndGo(t *testing.T) {
	w := worldOn(t, "a", t.TempDir())
	w.create("s")
	a := w.open("s", func(o *exchangev1.SubscribeOpen) { o.Member = "a" })
	a.within("one has all", func() bool { return holders(w.get("s"))["a"] == 4 })
	other := w.second()
	b := other.receive(w.civil, &exchangev1.SubscribeOpen{Subscription: "s", Member: "b"})
	b.within("two share", func() bool { of := holders(w.get("s")); return of["a"] == 2 && of["b"] == 2 })
	w.publishMany(0, 100)
	a.within("all came", func() bool { return len(a.got)+len(b.all()) == 100 })
	if len(a.all()) == 0 || len(b.all()) == 0 {
		t.Errorf("%d and %d", len(a.all()), len(b.all()))
	}
	a.ack(sequences(a.all())...)
	b.ack(sequences(b.all())...)
	a.stop()
	b.within("the other has all", func() bool { return holders(w.get("s"))["b"] == 4 })
	w.publishMany(100, 120)
	b.within("all came", func() bool { return len(a.got)+len(b.got) == 120 })
}

func TestALaneIsHandedOverOnceNothingOfItIsUnderWay(t *testing.T) {
	w := newWorld(t)
	w.create("s", func(s *exchangev1.Subscription) { s.Lanes, s.AckWait = 2, durationpb.New(catalogtest.Patience) })
	w.publishMany(0, 50)
	a := w.open("s", func(o *exchangev1.SubscribeOpen) { o.Member = "a" })
	got := a.receives(50)
	b := w.open("s", func(o *exchangev1.SubscribeOpen) { o.Member = "b" })
	a.ack(sequences(got)...)
	a.within("shared", func() bool { of := holders(w.get("s")); return of["a"] == 1 && of["b"] == 1 })
	if n := len(b.all()); n != 0 {
		t.Errorf("%d came to both", n)
	}
}

func TestASlowMemberHoldsUpNobody(t *testing.T) {
	w := newWorld(t)
	w.create("s", func(s *exchangev1.Subscription) { s.AckWait = durationpb.New(catalogtest.Patience) })
	slow := w.open("s", func(o *exchangev1.SubscribeOpen) { o.Member, o.MaxInFlight = "slow", 1 })
	quick := w.open("s", func(o *exchangev1.SubscribeOpen) { o.Member = "quick" })
	slow.within("shared", func() bool { of := holders(w.get("s")); return of["slow"] == 2 && of["quick"] == 2 })
	w.publishMany(0, 200)
	slow.receives(1)
	quick.receives(50)
	if n := len(slow.all()); n != 1 {
		t.Errorf("%d came to the slow one", n)
	}
	slow.stop()
	quick.receives(200)
}

func TestAMemberThatReadsNothingLosesItsLanes(t *testing.T) {
	w := newWorld(t)
	w.create("s", func(s *exchangev1.Subscription) { s.AckWait = durationpb.New(1e8) })
	w.publishMany(0, 20)
	stuck := w.open("s")
	stuck.receives(20)
	stuck.mu.Lock()
	stuck.blocked = make(chan struct{})
	stuck.mu.Unlock()
	defer close(stuck.blocked)
	w.publishMany(20, 40)
	other := w.open("s")
	other.receives(40)
	if err := stuck.end(); !errors.Is(err, fault.New(fault.Unavailable, "member.slow", "")) {
		t.Errorf("ended with %v", err)
	}
}

// TestASleepingMemberHearsOfAnotherProcess: what another process publishes wakes
// the readers of this one, whose memory of commits ends before it.
func TestASleepingMemberHearsOfAnotherProcess(t *testing.T) {
	w := worldOn(t, "a", t.TempDir())
	w.create("s")
	other := w.second()
	m := other.receive(w.civil, &exchangev1.SubscribeOpen{Subscription: "s", Member: "sleeper"})
	m.caughtUp()
	for i := range 3 {
		quiet := time.Now().Add(3 * idle)
		m.within("quiet", func() bool { return time.Now().After(quiet) })
		w.publishMany(i, i+1)
		m.ack(m.receives(i + 1)[i].Sequence)
	}
	// An entry that wakes nobody: looking gets past it all the same.
	quiet := time.Now().Add(3 * idle)
	m.within("quiet", func() bool { return time.Now().After(quiet) })
	w.create("another")
	m.within("heard", func() bool { return other.Journal.Head().Size == w.Journal.Head().Size })
	ended := make(chan struct{})
	go func() {
		other.close(other.manager)
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(2 * catalogtest.Patience):
		t.Fatal("the process does not end")
	}
}
