package sdk

import (
	"context"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// hand prepares a publication and admits it. waiting is the context of a caller
// that waits for the answer, nil if none does.
func (p *Publisher) hand(ctx, waiting context.Context, pub *Publication, opts []PublishOption) (*item, error) {
	for _, o := range opts {
		o(pub)
	}
	it, err := p.prepare(ctx, pub)
	if err != nil {
		return nil, err
	}
	it.ctx = waiting
	if err := p.admit(ctx, []*item{it}); err != nil {
		return nil, err
	}
	return it, nil
}

// admit takes items in, in order; it blocks while there is no room for them.
func (p *Publisher) admit(ctx context.Context, items []*item) error {
	if p.cfg.CallUnary {
		return p.admitUnary(ctx, items)
	}
	for _, it := range items {
		if err := p.admitOne(ctx, it); err != nil {
			return err
		}
	}
	return nil
}

// admitOne waits for room and puts the item into the queue.
func (p *Publisher) admitOne(ctx context.Context, it *item) error {
	if err := p.acquire(ctx, it.cost); err != nil {
		return err
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.room.Release(it.cost)
		return errPublisherClosed()
	}
	p.queue.push(it)
	p.mu.Unlock()
	p.wake()
	return nil
}

func (p *Publisher) acquire(ctx context.Context, cost int64) error {
	if err := p.room.Acquire(ctx, cost); err != nil {
		return fault.Wrap(fault.KindOfContext(err), "sdk.queue", err, "gave up waiting for room in the queue; nothing was sent")
	}
	return nil
}

func errPublisherClosed() error {
	return fault.Wrap(fault.Canceled, "sdk.closed", ErrClosed, "the publisher is closed")
}

// wake tells the sender that something changed.
func (p *Publisher) wake() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// answer gives an item its result; whoever waits for it goes on.
func (p *Publisher) answer(it *item, r *Receipt, err error) {
	it.result = Result{Receipt: r, Err: err}
	if it.load != nil {
		it.load.answered(r, err)
	}
	close(it.done)
	p.room.Release(it.cost)
}

// Flush waits until everything handed over before is answered.
func (p *Publisher) Flush(ctx context.Context) error {
	p.mu.Lock()
	due := p.flight.items()
	due = append(due, p.queue.all()...)
	p.mu.Unlock()
	for _, it := range due {
		select {
		case <-it.done:
		case <-ctx.Done():
			return contextFault(ctx)
		}
	}
	return nil
}

// Close takes nothing more, waits for the answers still due until ctx ends, and
// fails what is left with ErrClosed: whether that is committed is not known.
func (p *Publisher) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.Flush(ctx)
	p.cancel()
	p.runs.Wait()
	p.mu.Lock()
	left := append(p.flight.items(), p.queue.all()...)
	p.flight.init()
	p.queue = fifo{}
	p.mu.Unlock()
	for _, it := range left {
		p.answer(it, nil, unanswered(fault.Wrap(fault.Canceled, "sdk.closed", ErrClosed, "the publisher was closed before the answer came")))
	}
	return err
}

// fifo is the queue of items not yet sent.
type fifo struct {
	items []*item
	head  int
}

func (q *fifo) push(it *item) {
	if q.head > 0 && q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	q.items = append(q.items, it)
}

func (q *fifo) len() int     { return len(q.items) - q.head }
func (q *fifo) peek() *item  { return q.items[q.head] }
func (q *fifo) all() []*item { return q.items[q.head:] }

func (q *fifo) pop() *item {
	it := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	if q.head > 1024 && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return it
}

// cut takes the next call from the queue: as much as fits, in order, without a
// record that has another publication under way. It gives nil if the first item
// has to wait. The caller holds p.mu.
func (p *Publisher) cut() (c *call, dropped []*item) {
	c = &call{}
	bytes := 0
	for p.queue.len() > 0 && len(c.items) < p.cfg.CallRecords {
		it := p.queue.peek()
		if it.ctx != nil && it.ctx.Err() != nil {
			dropped = append(dropped, p.queue.pop())
			continue
		}
		if len(c.items) > 0 && bytes+it.size > p.cfg.CallBytes || !p.flight.fits(c, it) {
			break
		}
		c.items = append(c.items, p.queue.pop())
		bytes += it.size
		if it.source != nil {
			c.source = it.source
		}
	}
	if len(c.items) == 0 {
		return nil, dropped
	}
	return c, dropped
}

// call is one call to the exchange, the same on every retry.
type call struct {
	items   []*item
	source  *exchangev1.SourcePosition
	request *exchangev1.PublishRequest
	// first is when it was sent the first time, after is how large the ledger
	// was known to be then.
	first time.Time
	after uint64
}
