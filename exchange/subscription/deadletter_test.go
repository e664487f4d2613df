package subscription_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

func nack(sequences ...uint64) *exchangev1.SubscribeSettle {
	s := &exchangev1.SubscribeSettle{}
	for _, q := range sequences {
		s.Nacks = append(s.Nacks, &exchangev1.Nack{Sequence: q})
	}
	return s
}

func (w *world) dead(name string) []*exchangev1.DeadLetter {
	w.T.Helper()
	list, err := w.manager.DeadLetters(w.T.Context(), w.civil.Caller, name, 0, 0)
	must(w.T, err)
	return list
}

func TestRefusedDeliveriesComeAgainAndThenAreDeadLetters(t *testing.T) {
	w := newWorld(t)
	w.create("s", func(s *exchangev1.Subscription) {
		s.MaxAttempts, s.Backoff, s.MaxBackoff = 3, durationpb.New(30*time.Millisecond), durationpb.New(time.Second)
	})
	index := w.publish(person(1, "甲"), person(1, "甲二"), person(2, "乙"))
	m := w.open("s")
	first := m.receives(2) // the second version waits
	one := first[slices.IndexFunc(first, func(d *exchangev1.Delivery) bool { return d.Record.Index == index[0] })].Sequence
	began := time.Now()
	for attempt := uint32(2); attempt <= 3; attempt++ {
		m.settle(nack(one))
		got := m.receives(int(attempt) + 1)
		if d := got[attempt]; d.Sequence != one || d.Attempt != attempt {
			t.Fatalf("attempt %d: %v", attempt, d)
		}
	}
	// 30 ms, then 60.
	if took := time.Since(began); took < 90*time.Millisecond {
		t.Errorf("three attempts in %v", took)
	}
	m.settle(&exchangev1.SubscribeSettle{Nacks: []*exchangev1.Nack{{Sequence: one, Reason: "格式不符"}}})
	if d := m.receives(5)[4]; d.Record.Index != index[1] {
		t.Errorf("a dead letter frees its record; got %v", d)
	}
	dead := w.dead("s")
	if len(dead) != 1 || dead[0].Sequence != one || dead[0].Index != index[0] || dead[0].Attempts != 3 || dead[0].Reason != "格式不符" || dead[0].Replaying {
		t.Errorf("dead letters %v", dead)
	}
	if s := w.get("s"); s.DeadLetters != 1 {
		t.Errorf("counted %d", s.DeadLetters)
	}
}

func TestSilenceIsARefusal(t *testing.T) {
	w := newWorld(t)
	w.create("s", func(s *exchangev1.Subscription) { s.MaxAttempts, s.AckWait = 2, durationpb.New(100*time.Millisecond) })
	w.publishMany(0, 1)
	m := w.open("s")
	got := m.receives(2)
	if got[0].Sequence != got[1].Sequence || got[1].Attempt != 2 {
		t.Errorf("got %v", got)
	}
	m.within("a dead letter", func() bool { return len(w.dead("s")) == 1 })
	if u := m.settle(&exchangev1.SubscribeSettle{Acks: []uint64{got[0].Sequence}}).Unknown; len(u) != 1 {
		t.Error("a dead letter was acknowledged")
	}
}

func TestADelayIsKeptByTheNextHolder(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	w.publishMany(0, 1)
	m := w.open("s")
	d := m.receives(1)[0]
	asked := time.Now()
	m.settle(&exchangev1.SubscribeSettle{Nacks: []*exchangev1.Nack{{Sequence: d.Sequence, Delay: durationpb.New(400 * time.Millisecond)}}})
	m.stop()
	next := w.open("s")
	next.within("delayed", func() bool {
		return w.get("s").LaneState[0].Delayed+w.get("s").LaneState[1].Delayed+w.get("s").LaneState[2].Delayed+w.get("s").LaneState[3].Delayed == 1
	})
	if again := next.receives(1)[0]; again.Attempt != 2 || time.Since(asked) < 400*time.Millisecond {
		t.Errorf("attempt %d after %v", again.Attempt, time.Since(asked))
	}
}

func TestReplayedDeadLettersComeLate(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	w.publishMany(0, 300)
	m := w.open("s")
	got := m.receives(300)
	s := &exchangev1.SubscribeSettle{}
	for _, d := range got {
		s.Nacks = append(s.Nacks, &exchangev1.Nack{Sequence: d.Sequence, DeadLetter: true, Reason: "x"})
	}
	m.settle(s)
	floor := w.get("s").Floor
	if n, commit, err := w.manager.Replay(t.Context(), w.civil.Caller, "s", []uint64{got[0].Sequence, 1 << 40}, false); err != nil || n != 1 || commit == nil {
		t.Fatal(n, commit, err)
	}
	again := m.receives(301)[300]
	if again.Sequence != got[0].Sequence || !again.Late || again.Attempt != 1 || len(again.Record.Payload) == 0 {
		t.Errorf("replayed %v", again)
	}
	if d := w.dead("s"); !d[0].Replaying || d[1].Replaying {
		t.Errorf("dead letters %v", d[:2])
	}
	m.ack(again.Sequence)
	if f := w.get("s").Floor; f < floor {
		t.Errorf("the floor fell from %d to %d", floor, f)
	}
	// All the rest, more than are taken up at once; one fails again.
	if n, _, err := w.manager.Replay(t.Context(), w.civil.Caller, "s", nil, false); err != nil || n != 299 {
		t.Fatal(n, err)
	}
	m.receives(301 + 256)
	m.settle(&exchangev1.SubscribeSettle{Nacks: []*exchangev1.Nack{{Sequence: m.all()[301].Sequence, DeadLetter: true, Reason: "y"}}})
	m.ack(sequences(m.all()[302 : 301+256])...)
	m.ack(sequences(m.receives(600)[301+256:])...)
	dead := w.dead("s")
	if len(dead) != 1 || dead[0].Reason != "y" || dead[0].Replaying {
		t.Errorf("left %v", dead)
	}
	if n, commit, err := w.manager.Replay(t.Context(), w.civil.Caller, "s", []uint64{1 << 40}, false); n != 0 || commit != nil || err != nil {
		t.Errorf("nothing to replay gave %d, %v, %v", n, commit, err)
	}
}

func TestAReplayOutlivesItsHolder(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	w.publishMany(0, 2)
	m := w.open("s")
	got := m.receives(2)
	m.settle(&exchangev1.SubscribeSettle{Nacks: []*exchangev1.Nack{{Sequence: got[0].Sequence, DeadLetter: true}}, Acks: []uint64{got[1].Sequence}})
	_, _, err := w.manager.Replay(t.Context(), w.civil.Caller, "s", nil, false)
	must(t, err)
	m.receives(3)
	m.stop()
	next := w.open("s")
	if d := next.receives(1)[0]; d.Sequence != got[0].Sequence || !d.Late || d.Attempt != 2 {
		t.Errorf("got %v", d)
	}
	next.ack(got[0].Sequence)
	if n := len(w.dead("s")); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func TestPeekIsARelease(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	index := w.publishMany(0, 1)
	m := w.open("s")
	d := m.receives(1)[0]
	m.settle(&exchangev1.SubscribeSettle{Nacks: []*exchangev1.Nack{{Sequence: d.Sequence, DeadLetter: true}}})
	acting := &exchangev1.Acting{Person: "0231", Purpose: item, CaseNumber: "2026-17"}
	p, err := w.manager.Peek(t.Context(), w.civil.Caller, "s", d.Sequence, acting, true)
	must(t, err)
	if p.Record.Index != index[0] || len(p.Record.Payload) == 0 || p.Record.Json == "" || len(p.Record.Withheld) == 0 || p.Commit.Proof == nil {
		t.Errorf("peeked %v", p.Record)
	}
	entries, openings := w.ledger()
	last := len(entries) - 1
	for entries[last].GetReleased() == nil {
		last--
	}
	r, o := entries[last].GetReleased(), openings[last]
	if !r.Peek || r.Purpose != item || len(r.PersonCommitment) == 0 || o.Person != "0231" || o.CaseNumber != "2026-17" || len(o.Details) != 1 {
		t.Errorf("entry %v, opening %v", r, o)
	}
	if _, err := w.manager.Peek(t.Context(), w.civil.Caller, "s", d.Sequence, &exchangev1.Acting{Purpose: item}, false); !errors.Is(err, fault.New(fault.Denied, "acting.person.required", "")) {
		t.Errorf("peeked by nobody: %v", err)
	}
	if _, err := w.manager.Peek(t.Context(), w.civil.Caller, "s", d.Sequence+1, acting, false); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no such dead letter: %v", err)
	}
	if _, err := w.manager.Peek(t.Context(), w.security.Caller, m.id, d.Sequence, acting, false); fault.RuleOf(err) != "subscription.unknown" {
		t.Errorf("another's dead letter: %v", err)
	}
}
