package sdk

import (
	"context"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// admitUnary sends the items as plain calls, one after the other, beside
// whatever else is under way.
func (p *Publisher) admitUnary(ctx context.Context, items []*item) error {
	for len(items) > 0 {
		c, cost := p.chunk(items)
		items = items[len(c.items):]
		if err := p.acquire(ctx, cost); err != nil {
			return err
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			p.room.Release(cost)
			return errPublisherClosed()
		}
		p.flight.loose[c] = struct{}{}
		p.runs.Add(1)
		p.mu.Unlock()
		if len(items) == 0 {
			go p.unary(c)
			return nil
		}
		p.unary(c)
	}
	return nil
}

// chunk cuts the next call from the items.
func (p *Publisher) chunk(items []*item) (c *call, cost int64) {
	c = &call{}
	bytes := 0
	for _, it := range items {
		full := len(c.items) == p.cfg.CallRecords || bytes+it.size > p.cfg.CallBytes || cost+it.cost > int64(p.cfg.QueueBytes)
		if full && len(c.items) > 0 {
			break
		}
		c.items = append(c.items, it)
		bytes, cost = bytes+it.size, cost+it.cost
		if it.source != nil {
			c.source = it.source
			break
		}
	}
	return c, cost
}

// unary sends one call until it is answered.
func (p *Publisher) unary(c *call) {
	defer p.runs.Done()
	var wait backoff
	if err := p.seal(c); err != nil {
		p.fail(c, err)
		return
	}
	for {
		ctx, cancel := context.WithTimeout(p.ctx, answerWithin)
		resp, err := p.client.exchange().Publish(ctx, c.request)
		cancel()
		if err == nil {
			p.settle(c, resp)
			return
		}
		err = fault.FromStatus(err)
		switch {
		case p.ctx.Err() != nil:
			p.fail(c, unanswered(errPublisherClosed()))
			return
		case !transient(err):
			p.fail(c, err)
			return
		case p.expired(c.first):
			p.fail(c, unanswered(err))
			return
		}
		select {
		case <-p.ctx.Done():
		case <-time.After(wait.next()):
		}
	}
}
