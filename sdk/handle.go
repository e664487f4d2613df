package sdk

import (
	"errors"
	"time"
)

// handle is a worker: it proves deliveries, has them handled and settles them.
func (s *Subscription) handle() {
	for {
		ps := s.work.take(s.cfg.batch)
		if len(ps) == 0 || s.ctx.Err() != nil {
			return
		}
		for _, p := range ps {
			if err := p.check(); err != nil {
				s.fail(err)
				return
			}
		}
		s.deliver(ps)
		for _, p := range ps {
			s.work.done(p)
		}
	}
}

// deliver hands parcels to the handler together. If that fails they are handed
// over one by one, so that one bad record does not hold up those that came with
// it.
func (s *Subscription) deliver(ps []*parcel) {
	err := s.call(ps)
	switch {
	case err == nil:
		s.settler.ack(ps...)
		return
	case s.ctx.Err() != nil:
		return
	case len(ps) == 1:
		s.failed(ps[0], err)
		return
	}
	for _, p := range ps {
		s.deliver([]*parcel{p})
		if s.ctx.Err() != nil {
			return
		}
	}
}

func (s *Subscription) call(ps []*parcel) error {
	ds := make([]*Delivery, len(ps))
	for i, p := range ps {
		ds[i] = &p.Delivery
	}
	return s.handler(s.ctx, ds)
}

// failed answers for a delivery whose handler failed: once more later, never, or
// here and now.
func (s *Subscription) failed(p *parcel, err error) {
	var wait backoff
	for {
		a := answerOf(err)
		s.note("a handler failed", "sequence", p.Sequence, "attempt", p.Attempt, "dead_letter", a.dead)
		if !s.cfg.inOrder || a.dead {
			s.settler.nack(p, a)
			return
		}
		if !s.waitHere(a, &wait) {
			return
		}
		if err = s.call([]*parcel{p}); err == nil {
			s.settler.ack(p)
			return
		}
		if s.ctx.Err() != nil {
			return
		}
	}
}

// waitHere waits before a delivery is tried once more in place. It gives false
// where the subscription ends: the delivery, and everything after it, comes
// again after the position that the subscriber wrote down.
func (s *Subscription) waitHere(a *answer, wait *backoff) bool {
	t := time.NewTimer(max(a.delay, wait.next()))
	defer t.Stop()
	select {
	case <-s.ctx.Done():
		return false
	case <-s.draining:
		s.cancel()
		return false
	case <-t.C:
		return true
	}
}

// answerOf reads what a handler asked for.
func answerOf(err error) *answer {
	var a *answer
	if errors.As(err, &a) {
		return a
	}
	return &answer{cause: err}
}
