package journal

import (
	"context"
	"sync"
	"time"
)

// policyPatience is how long at most a change of policy lets other calls go
// first; twice as long for each time that a caller among them was refused again,
// up to maxDoublings: a suspension takes effect within a second.
const (
	policyPatience = 100 * time.Millisecond
	maxDoublings   = 3
)

// waiting is a call in the queue.
type waiting struct {
	call   *Call
	since  time.Time // when it was first in its line
	moves  bool      // it changes the policy
	commit *Commit
	err    error
	done   chan struct{}
	// release gives back the room that the call took in the queue.
	release func()
}

func (w *waiting) finish(commit *Commit, err error) {
	w.commit, w.err = commit, err
	w.release()
	close(w.done)
}

// queue holds the calls that wait, a line for each caller; lines take turns, so
// that one busy caller does not hold up the others.
//
// A change of policy makes every call that was decided before it be decided
// anew. So changes of policy come last in a group, and wait until those who
// decide anew are back, lest one who keeps changing keeps everybody else from
// ever reading; none waits longer than patience. That grows with those who are
// refused time and again, for deciding may take longer than policyPatience on a slow
// machine.
type queue struct {
	mu     sync.Mutex
	lines  map[string]*line
	turn   []*line
	closed bool
	wake   chan struct{}
	// again counts, by caller, the calls that were refused because the policy
	// moved and are not back yet; until then nobody waits for them any longer.
	again      map[string]int
	againUntil time.Time
	// refusals counts, by caller, how often more its calls were refused because the
	// policy moved than one was not.
	refusals map[string]int
}

type line struct {
	from  string
	calls []*waiting
}

// put queues a call; false if the queue is closed.
func (q *queue) put(w *waiting) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	w.moves = w.call.movesPolicy()
	if n := q.again[w.call.From]; n > 1 {
		q.again[w.call.From] = n - 1
	} else if n == 1 {
		delete(q.again, w.call.From)
	}
	l := q.lines[w.call.From]
	if l == nil {
		l = &line{from: w.call.From}
		if q.lines == nil {
			q.lines = map[string]*line{}
		}
		q.lines[l.from] = l
		q.turn = append(q.turn, l)
	}
	l.calls = append(l.calls, w)
	q.ring()
	return true
}

// moved says that a caller's call was refused because the policy moved: it is
// about to be decided anew and put again.
func (q *queue) moved(from string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.again == nil {
		q.again, q.refusals = map[string]int{}, map[string]int{}
	}
	q.again[from]++
	q.refusals[from] = min(q.refusals[from]+1, maxDoublings+1)
	q.againUntil = time.Now().Add(q.patience())
}

// passed says that a caller's call was not refused so.
func (q *queue) passed(from string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refusals[from] > 1 {
		q.refusals[from]--
	} else {
		delete(q.refusals, from)
	}
}

// patience is how long a change of policy waits now for those who are awaited.
func (q *queue) patience() time.Duration {
	doublings := 0
	for from := range q.again {
		doublings = max(doublings, q.refusals[from]-1)
	}
	return policyPatience << doublings
}

func (q *queue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.ring()
}

// take waits for calls and gives the next group; nil once the queue is closed
// and empty, or ctx ends.
func (q *queue) take(ctx context.Context) []*waiting {
	for {
		q.mu.Lock()
		group := q.pick(time.Now())
		closed, held := q.closed, len(q.turn) > 0
		q.mu.Unlock()
		if len(group) > 0 {
			return group
		}
		if closed {
			return nil
		}
		var later <-chan time.Time
		if held {
			later = time.After(policyPatience / 10)
		}
		select {
		case <-q.wake:
		case <-later:
		case <-ctx.Done():
			return nil
		}
	}
}

// pick takes a call from each line in turn until the group is full, and changes
// of policy that can wait only behind all others.
func (q *queue) pick(now time.Time) []*waiting {
	var g group
	var held []*line
	if now.After(q.againUntil) {
		clear(q.again)
	}
	patience := q.patience()
	for len(q.turn) > 0 {
		w := q.turn[0].calls[0]
		if w.since.IsZero() {
			w.since = now
		}
		if w.moves && now.Sub(w.since) < patience {
			held = append(held, q.turn[0])
			q.turn = q.turn[1:]
			continue
		}
		if !g.add(w) {
			break
		}
		q.next()
	}
	rest := q.turn
	q.turn = held
	for len(q.turn) > 0 && (len(q.again) == 0 || q.closed) && g.add(q.turn[0].calls[0]) {
		q.next()
	}
	q.turn = append(q.turn, rest...)
	return g.calls
}

// next takes the first call of the line whose turn it is, which goes to the end.
func (q *queue) next() {
	l := q.turn[0]
	l.calls[0] = nil
	l.calls = l.calls[1:]
	q.turn = q.turn[1:]
	if len(l.calls) == 0 {
		delete(q.lines, l.from)
	} else {
		q.turn = append(q.turn, l)
	}
}

// group is a group being put together.
type group struct {
	calls          []*waiting
	entries, bytes int
}

// add takes a call into the group, unless it is full.
func (g *group) add(w *waiting) bool {
	n, b := w.call.entries(), w.call.bytes()
	if len(g.calls) > 0 && (g.entries+n > groupEntries || g.bytes+b > groupBytes) {
		return false
	}
	g.calls, g.entries, g.bytes = append(g.calls, w), g.entries+n, g.bytes+b
	return true
}
