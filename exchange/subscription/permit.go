package subscription

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// check looks at whether deliveries may go on, and halts or resumes them.
func (s *session) check() error {
	s.recheck = 0
	if s.m.Policy.Policy() < s.m.Journal.Policy() {
		// A change is committed that is not read yet.
		s.recheck = s.m.now() + quiet.Microseconds()
	}
	if s.standing.state == paused {
		s.halt("subscription.paused", "the subscription is paused: "+s.standing.reason)
		return nil
	}
	d := s.m.Policy.Decide(s.request())
	if !d.Allow {
		return s.lapse(d)
	}
	s.ends = ends(&d)
	if s.standing.state == lapsed {
		if err := s.setState(lapsed, active, ""); err != nil {
			return err
		}
	}
	if s.halted != "" {
		s.halted, s.announced, s.active = "", false, s.m.now()
	}
	return nil
}

// ends gives when what allowed a delivery is over, µs UTC; 0 if that is not
// known. Nobody is told of a day's end, so whoever relies on it looks.
func ends(d *access.Decision) int64 {
	if d.Grant == nil {
		return 0
	}
	return d.Grant.Ends()
}

// halt stops deliveries and tells the member why, once.
func (s *session) halt(rule, message string) {
	s.unprepare(s.next)
	s.next = nil
	if s.halted != rule {
		s.sayLapsed(rule, message, true)
	}
	s.halted = rule
}

func (s *session) sayLapsed(rule, message string, waiting bool) {
	s.say(&exchangev1.SubscribeResponse{Message: &exchangev1.SubscribeResponse_Lapsed{Lapsed: &exchangev1.SubscribeLapsed{
		Problem: &exchangev1.Problem{Kind: fault.Lapsed.String(), Rule: rule, Message: message}, Waiting: waiting,
	}}})
}

// lapse halts deliveries that are no longer allowed: one entry says so, the
// position stays, and they go on once they are allowed again. Where the grant is
// over, waiting changes nothing, and the stream ends.
func (s *session) lapse(d access.Decision) error {
	s.recheck, s.ends = s.m.now()+recheckEvery.Microseconds(), 0
	if !d.Ended && s.halted == d.Rule && s.standing.state == lapsed {
		return nil
	}
	if d.Kind == fault.Unauthenticated {
		// The caller is refused, not the subscription.
		return s.m.refuse(s.ctx, s.request(), d)
	}
	fresh := s.standing.state == active || s.standing.reason != d.Rule
	if fresh || d.Ended {
		if err := s.m.Refusals.Refuse(s.ctx, s.request(), d); err != nil {
			return err
		}
	}
	// The entry is committed, so the member is told; that the state is written too
	// does not keep it waiting.
	if d.Ended {
		s.unprepare(s.next)
		s.next = nil
		s.sayLapsed(d.Rule, d.Message, false)
	} else {
		s.halt(d.Rule, d.Message)
	}
	if fresh {
		if err := s.setState(s.standing.state, lapsed, d.Rule); err != nil {
			return err
		}
	}
	if d.Ended {
		return fault.New(fault.Lapsed, d.Rule, "%s", d.Message)
	}
	return nil
}

// setState moves the subscription's state, if nobody else did.
func (s *session) setState(from, to exchangev1.SubscriptionState, reason string) error {
	err := s.m.write(s.ctx, s.caller.System, func(ctx context.Context, tx store.Tx, _ journal.Slot) error {
		result, err := tx.ExecContext(ctx, "UPDATE subscriptions SET state = $1, reason = $2 WHERE id = $3 AND state = $4",
			int64(to), reason, s.id, int64(from))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return touch(ctx, tx, s.id)
	})
	if err != nil {
		return err
	}
	// Whatever it is now, the rows say.
	now, err := load(s.ctx, s.m.DB.Reader(), s.id)
	if err == nil && now != nil {
		s.standing = now
	}
	s.m.touched(s.id)
	return err
}
