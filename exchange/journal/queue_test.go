package journal

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func call(from string, entries, size int) *waiting {
	c := &Call{From: from, Publish: &Publish{}}
	for range entries {
		c.Publish.Records = append(c.Publish.Records, &Record{Sealed: make([]byte, size/entries)})
	}
	return &waiting{call: c, done: make(chan struct{}), release: func() {}}
}

func TestCallersTakeTurns(t *testing.T) {
	q := &queue{wake: make(chan struct{}, 1)}
	for n := range 50 {
		w := call("busy", 100, 100)
		w.call.Publish.Statements = n
		q.put(w)
	}
	for _, from := range []string{"a", "b", "c"} {
		q.put(call(from, 1, 1))
	}
	group := q.pick(time.Now())
	seen := map[string]int{}
	for _, w := range group {
		seen[w.call.From]++
	}
	if seen["a"] != 1 || seen["b"] != 1 || seen["c"] != 1 || seen["busy"] != 9 {
		t.Fatalf("the first group holds %v", seen)
	}
	// The order within the busy line is kept over groups.
	next := 9
	for len(q.turn) > 0 {
		for _, w := range q.pick(time.Now()) {
			if w.call.Publish.Statements != next {
				t.Fatalf("call %d comes where %d should", w.call.Publish.Statements, next)
			}
			next++
		}
	}
	if next != 50 || len(q.lines) != 0 {
		t.Fatal(next, q.lines)
	}
}

func TestGroupsAreBounded(t *testing.T) {
	q := &queue{wake: make(chan struct{}, 1)}
	for n := range 20 {
		q.put(call(fmt.Sprint(n), 1, 1<<20))
	}
	for len(q.turn) > 0 {
		bytes := 0
		for _, w := range q.pick(time.Now()) {
			bytes += w.call.bytes()
		}
		if bytes > groupBytes {
			t.Fatalf("a group of %d bytes", bytes)
		}
	}
	// What is larger than a group goes alone.
	q.put(call("small", 1, 1))
	q.put(call("large", 1, 8<<20))
	q.put(call("small", 1, 1))
	for _, want := range []int{1, 1, 1} {
		if n := len(q.pick(time.Now())); n != want {
			t.Fatalf("a group of %d", n)
		}
	}
}

// TestQueueIsBounded: past its bound a caller waits, and one that gives up takes
// no room. Another caller still has room.
func TestQueueIsBounded(t *testing.T) {
	j := &Journal{room: newRoom(queueBytes)}
	j.queue.wake = make(chan struct{}, 1)
	gaveUp, cancel := context.WithCancel(t.Context())
	cancel()
	fill := func(from string) (begun int) {
		for ; ; begun++ {
			ctx := t.Context()
			if p := j.room.of[from]; p != nil && !p.TryAcquire(1<<20) || !j.room.all.TryAcquire(1<<20) {
				ctx = gaveUp
			} else {
				j.room.all.Release(1 << 20)
				if p != nil {
					p.Release(1 << 20)
				}
			}
			if _, err := j.Begin(ctx, call(from, 1, 1<<20).call); err != nil {
				return begun
			}
		}
	}
	for _, from := range []string{"a", "b", "c"} {
		if n := fill(from); n < 14 || n > 16 {
			t.Fatalf("%d calls of 1 MiB of one caller are held", n)
		}
	}
	if n := fill("d") + fill("e"); n < 12 || n > 20 {
		t.Fatalf("%d further calls of 1 MiB are held", n)
	}
	for _, w := range j.queue.lines["a"].calls {
		w.finish(nil, nil)
	}
	if n := fill("f"); n < 14 || n > 16 {
		t.Fatalf("%d calls of 1 MiB have room once others are done", n)
	}
	if j.room.of["a"] != nil {
		t.Error("a caller that has nothing here is still known")
	}
}

func change(from string, since time.Time) *waiting {
	return &waiting{call: &Call{From: from, ChangesPolicy: true}, since: since, done: make(chan struct{}), release: func() {}}
}

// TestChangesOfPolicyComeLast: behind every other call of their group, and not
// before those are back who must decide anew; but none waits for long.
func TestChangesOfPolicyComeLast(t *testing.T) {
	q := &queue{wake: make(chan struct{}, 1)}
	froms := func(group []*waiting) (all string) {
		for _, w := range group {
			all += w.call.From
		}
		return all
	}
	now := time.Now()
	q.put(change("p", now))
	q.put(call("a", 1, 1))
	q.put(change("q", now))
	q.put(call("b", 1, 1))
	if got := froms(q.pick(now)); got != "abpq" {
		t.Errorf("the first group is %s", got)
	}
	q.moved("a")
	q.moved("a")
	q.put(change("p", now))
	q.put(call("b", 1, 1))
	q.put(call("a", 1, 1))
	if got := froms(q.pick(time.Now())); got != "ba" {
		t.Errorf("with one call not back the group is %s", got)
	}
	q.put(call("a", 1, 1))
	if got := froms(q.pick(time.Now())); got != "ap" {
		t.Errorf("with all back the group is %s", got)
	}
	q.moved("gone")
	q.put(change("p", now))
	q.put(call("b", 1, 1))
	if got := froms(q.pick(time.Now().Add(policyPatience))); got != "pb" {
		t.Errorf("a change that has waited long is not in its turn: %s", got)
	}
	if len(q.lines) != 0 || len(q.turn) != 0 {
		t.Error("something is left")
	}
}

// TestChangesWaitLongerForWhoIsRefusedAgain: whoever decides too slowly to be back in
// time is awaited longer each time, up to a bound, and no longer once it was.
func TestChangesWaitLongerForWhoIsRefusedAgain(t *testing.T) {
	q := &queue{wake: make(chan struct{}, 1)}
	waits := func(after time.Duration) bool {
		now := time.Now()
		q.put(change("p", now))
		held := len(q.pick(now.Add(after))) == 0
		if held && len(q.pick(now.Add(time.Hour))) != 1 {
			t.Fatal("the change is never made")
		}
		return held
	}
	for refused, most := range []time.Duration{1, 2, 4, 8, 8, 8} {
		q.moved("slow")
		if most *= policyPatience; !waits(most - policyPatience/2) {
			t.Errorf("refused %d times: a change does not wait for %v", refused+1, most)
		}
		q.moved("slow")
		q.passed("slow")
		if waits(most + policyPatience/2) {
			t.Errorf("refused %d times: a change waits longer than %v", refused+1, most)
		}
	}
	for range maxDoublings + 1 {
		q.passed("slow")
	}
	q.moved("slow")
	if waits(2 * policyPatience) {
		t.Error("what is over is still waited for")
	}
	if q.passed("slow"); len(q.refusals) != 0 {
		t.Errorf("%v is kept", q.refusals)
	}
}

// TestAChangeAgesAtTheHeadOfItsLine: one that waited long behind others of its caller
// is no older than they were, so many of them at once overtake nobody.
func TestAChangeAgesAtTheHeadOfItsLine(t *testing.T) {
	q := &queue{wake: make(chan struct{}, 1)}
	now := time.Now()
	q.put(call("p", groupEntries, 1))
	q.put(call("p", groupEntries, 1))
	q.put(change("p", time.Time{}))
	q.pick(now)
	q.moved("a")
	q.againUntil = now.Add(time.Hour)
	now = now.Add(10 * policyPatience)
	if got := q.pick(now); len(got) != 1 || got[0].moves {
		t.Error("a change goes before who decides anew")
	}
	if got := q.pick(now.Add(policyPatience)); len(got) != 1 {
		t.Error("a change waits longer than its patience")
	}
}

// TestACallersOrderIsKept: what a caller brings behind its own change of policy
// does not overtake it.
func TestACallersOrderIsKept(t *testing.T) {
	q := &queue{wake: make(chan struct{}, 1)}
	q.put(change("p", time.Now()))
	q.put(call("p", 1, 1))
	q.put(call("a", 1, 1))
	group := q.pick(time.Now())
	if len(group) != 3 || group[0].call.From != "a" || !group[1].call.ChangesPolicy || group[2].call.ChangesPolicy {
		t.Errorf("%v", group)
	}
}
