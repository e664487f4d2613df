package subscription_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func startAt(s *exchangev1.Start) func(*exchangev1.Subscription) {
	return func(n *exchangev1.Subscription) { n.Start = s }
}

var (
	fromCurrent = &exchangev1.Start{From: &exchangev1.Start_Current{Current: true}}
	fromNew     = &exchangev1.Start{From: &exchangev1.Start_New{New: true}}
	fromAll     = &exchangev1.Start{From: &exchangev1.Start_All{All: true}}
)

func fromIndex(i uint64) *exchangev1.Start {
	return &exchangev1.Start{From: &exchangev1.Start_Index{Index: i}}
}

func indexes(ds []*exchangev1.Delivery) []uint64 {
	var out []uint64
	for _, d := range ds {
		out = append(out, d.Record.Index)
	}
	return out
}

// drain receives and acknowledges everything until the member has caught up.
func (w *world) drain(name string) []*exchangev1.Delivery {
	w.T.Helper()
	m := w.open(name)
	done := 0
	for {
		m.within("something new, or the end", func() bool {
			return len(m.got) > done || len(m.beats) > 0 && m.beats[len(m.beats)-1].CaughtUp
		})
		got := m.all()
		if len(got) == done {
			m.stop()
			return got
		}
		m.mu.Lock()
		m.beats = nil
		m.mu.Unlock()
		m.ack(sequences(got[done:])...)
		done = len(got)
	}
}

func TestStarts(t *testing.T) {
	w := newWorld(t)
	old := w.publish(person(1, "甲"), person(2, "乙"))
	between := time.Now()
	more := w.publish(person(1, "甲二"), person(3, "丙"))
	w.create("new", startAt(fromNew))
	w.create("all", startAt(fromAll))
	w.create("index", startAt(fromIndex(old[1])))
	w.create("beyond", startAt(fromIndex(more[1]+1)))
	w.create("time", startAt(&exchangev1.Start{From: &exchangev1.Start_Time{Time: timestamppb.New(between)}}))
	late := w.publish(person(4, "丁"))
	for name, want := range map[string][]uint64{
		"new": late, "all": slices.Concat(old, more, late), "index": slices.Concat(old[1:], more, late),
		"beyond": late, "time": slices.Concat(more, late),
	} {
		got := indexes(w.drain(name))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestOlderVersionsComeAsNotices(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	index := w.publish(person(1, "甲"), person(1, "甲二"))
	got := w.drain("s")
	if !slices.Equal(indexes(got), index) {
		t.Fatalf("got %v", indexes(got))
	}
	if r := got[0].Record; r.Payload != nil || !r.SupersededByLaterVersion || r.Key != "K1" {
		t.Errorf("the older version: %v", r)
	}
	if r := got[1].Record; len(r.Payload) == 0 || r.SupersededByLaterVersion || r.Version != 2 {
		t.Errorf("the present version: %v", r)
	}
}

func TestStartsFromCurrent(t *testing.T) {
	w := newWorld(t)
	first := w.publish(person(1, "甲"), person(2, "乙"), person(3, "丙"), person(4, "丁"), person(5, "戊"))
	second := w.publish(person(1, "甲二"), operation(2, ledgerv1.Operation_OPERATION_SUSPEND),
		operation(3, ledgerv1.Operation_OPERATION_REMOVE), operation(4, ledgerv1.Operation_OPERATION_ERASE))
	w.create("s", startAt(fromCurrent))
	changes := w.publish(person(5, "戊二"), operation(2, ledgerv1.Operation_OPERATION_RESUME), person(6, "己"))
	got := w.drain("s")
	seen := map[uint64]*exchangev1.Delivery{}
	for _, d := range got {
		seen[d.Record.Index] = d
	}
	// Record 5 changed before the subscriber came to it: its change brings it.
	want := slices.Concat([]uint64{second[0], first[1]}, changes)
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", indexes(got), want)
	}
	for _, i := range want {
		if seen[i] == nil {
			t.Errorf("entry %d is missing of %v", i, indexes(got))
		}
	}
	if d := seen[second[0]]; !d.GetSnapshot() || len(d.GetRecord().GetPayload()) == 0 {
		t.Errorf("present: %v", d)
	}
	if d := seen[first[1]]; !d.GetSnapshot() || len(d.GetRecord().GetPayload()) == 0 || d.GetRecord().GetVersion() != 3 {
		t.Errorf("changed by an operation: %v", d)
	}
	for _, i := range changes {
		if seen[i].GetSnapshot() {
			t.Errorf("change %d is marked as of the snapshot", i)
		}
	}
}
