package subscription

import (
	"sync"
	"sync/atomic"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// flight is one batch under way: the time by which its deliveries must be
// acknowledged runs from when it was handed to the transport.
type flight struct {
	items     []*item
	open      int
	committed int64
	sent      atomic.Int64
}

// land takes an item out of its flight.
func (it *item) land() {
	if it.flight == nil {
		return
	}
	it.flight.items[it.place] = nil
	if it.flight.open--; it.flight.open == 0 {
		it.flight.items = nil
	}
	it.flight = nil
}

// outbox sends what a session has to say, in order, without making it wait. What
// may be in it is bounded by the member's credit and by what it asks.
type outbox struct {
	sink Sink
	now  func() int64

	mu     sync.Mutex
	more   sync.Cond
	queue  []outgoing
	closed bool
	failed chan error
	done   chan struct{}
}

type outgoing struct {
	message *exchangev1.SubscribeResponse
	flight  *flight
}

func newOutbox(sink Sink, now func() int64) *outbox {
	o := &outbox{sink: sink, now: now, failed: make(chan error, 1), done: make(chan struct{})}
	o.more.L = &o.mu
	go o.run()
	return o
}

// send queues a message and gives how many wait.
func (o *outbox) send(m *exchangev1.SubscribeResponse, f *flight) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.queue = append(o.queue, outgoing{m, f})
		o.more.Signal()
	}
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue)
}

// close ends sending once what is queued is sent.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.more.Signal()
}

func (o *outbox) run() {
	defer close(o.done)
	for {
		o.mu.Lock()
		for len(o.queue) == 0 && !o.closed {
			o.more.Wait()
		}
		queue := o.queue
		o.queue = nil
		o.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, g := range queue {
			if err := o.sink.Send(g.message); err != nil {
				o.failed <- err
				return
			}
			if g.flight != nil {
				g.flight.sent.Store(o.now())
			}
		}
	}
}
