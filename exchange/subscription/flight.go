package subscription

import (
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

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
	bytes  int // of what waits, and of what is being sent
	closed bool
	// room is rung when what waits has become less than maxUnsentBytes.
	room   chan struct{}
	failed chan error
	done   chan struct{}
}

type outgoing struct {
	message *exchangev1.SubscribeResponse
	flight  *flight
	bytes   int
}

// maxUnsentBytes bounds what waits for a member that does not read, whatever its
// credit: past it nothing more is released to it.
const maxUnsentBytes = 4 << 20

func newOutbox(sink Sink, now func() int64) *outbox {
	o := &outbox{sink: sink, now: now, failed: make(chan error, 1), done: make(chan struct{}), room: make(chan struct{}, 1)}
	o.more.L = &o.mu
	go o.run()
	return o
}

// send queues a message.
func (o *outbox) send(m *exchangev1.SubscribeResponse, f *flight) {
	size := proto.Size(m)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.queue, o.bytes = append(o.queue, outgoing{m, f, size}), o.bytes+size
		o.more.Signal()
	}
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue)
}

// full says whether the member leaves too much unread to be sent more.
func (o *outbox) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes >= maxUnsentBytes
}

// sent notes that a message is with the transport.
func (o *outbox) sent(g *outgoing) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.bytes
	if o.bytes -= g.bytes; was >= maxUnsentBytes && o.bytes < maxUnsentBytes {
		select {
		case o.room <- struct{}{}:
		default:
		}
	}
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
		for i := range queue {
			g := &queue[i]
			if err := o.sink.Send(g.message); err != nil {
				o.failed <- err
				return
			}
			o.sent(g)
			g.message = nil
			if g.flight != nil {
				g.flight.sent.Store(o.now())
			}
		}
	}
}
