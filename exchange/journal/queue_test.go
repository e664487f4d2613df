package journal

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sync/semaphore"
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
	group := q.pick()
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
		for _, w := range q.pick() {
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
		for _, w := range q.pick() {
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
		if n := len(q.pick()); n != want {
			t.Fatalf("a group of %d", n)
		}
	}
}

// TestQueueIsBounded: past its bound a caller waits, and one that gives up takes
// no room.
func TestQueueIsBounded(t *testing.T) {
	j := &Journal{room: semaphore.NewWeighted(queueBytes)}
	j.queue.wake = make(chan struct{}, 1)
	begun := 0
	for {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if !j.room.TryAcquire(1 << 20) {
			if _, err := j.Begin(ctx, call("x", 1, 1<<20).call); err == nil {
				t.Fatal("taken in past the bound")
			}
			break
		}
		j.room.Release(1 << 20)
		if _, err := j.Begin(t.Context(), call("x", 1, 1<<20).call); err != nil {
			t.Fatal(err)
		}
		begun++
	}
	if begun < 60 || begun > 64 {
		t.Fatalf("%d calls of 1 MiB are held", begun)
	}
	runtime.KeepAlive(j)
}
