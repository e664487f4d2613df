package journal

import (
	"context"
	"sync"
)

// waiting is a call in the queue.
type waiting struct {
	call   *Call
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
type queue struct {
	mu     sync.Mutex
	lines  map[string]*line
	turn   []*line
	closed bool
	wake   chan struct{}
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
		group := q.pick()
		closed := q.closed
		q.mu.Unlock()
		if len(group) > 0 {
			return group
		}
		if closed {
			return nil
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// pick takes a call from each line in turn until the group is full.
func (q *queue) pick() []*waiting {
	var group []*waiting
	entries, bytes := 0, 0
	for len(q.turn) > 0 {
		l := q.turn[0]
		w := l.calls[0]
		n, b := w.call.entries(), w.call.bytes()
		if len(group) > 0 && (entries+n > groupEntries || bytes+b > groupBytes) {
			return group
		}
		group, entries, bytes = append(group, w), entries+n, bytes+b
		l.calls[0] = nil
		l.calls = l.calls[1:]
		q.turn = q.turn[1:]
		if len(l.calls) == 0 {
			delete(q.lines, l.from)
		} else {
			q.turn = append(q.turn, l)
		}
	}
	return group
}
