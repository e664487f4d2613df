package sdk

import (
	"errors"
	"time"
)

// handle is a worker: it proves one delivery after the other, has it handled and
// settles it.
func (s *Subscription) handle() {
	for {
		p := s.work.take()
		if p == nil || s.ctx.Err() != nil {
			return
		}
		if err := p.check(); err != nil {
			s.fail(err)
			return
		}
		s.deliver(p)
		s.work.done(p)
	}
}

func (s *Subscription) deliver(p *parcel) {
	var wait backoff
	for {
		err := s.handler(s.ctx, &p.Delivery)
		if err == nil {
			s.settler.ack(p)
			return
		}
		if s.ctx.Err() != nil {
			return
		}
		a := answerOf(err)
		s.note("a handler failed", "sequence", p.Sequence, "attempt", p.Attempt, "dead_letter", a.dead)
		if !s.cfg.inOrder || a.dead {
			s.settler.nack(p, a)
			return
		}
		if !s.tryHere(a, &wait) {
			return
		}
	}
}

// tryHere waits before a delivery is tried once more in place. It gives false
// where the subscription ends: the delivery, and everything after it, comes
// again after the position that the subscriber wrote down.
func (s *Subscription) tryHere(a *answer, wait *backoff) bool {
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
