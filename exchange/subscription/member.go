package subscription

import (
	"context"
	"errors"
	"slices"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// join makes the session a member and takes the lanes that are free, in one
// transaction.
func (s *session) join(open *exchangev1.SubscribeOpen) error {
	var adopted []laneRow
	err := s.m.write(s.ctx, s.caller.System, func(ctx context.Context, tx store.Tx, slot journal.Slot) error {
		var err error
		var t *catalog.Topic
		adopted = nil
		if s.standing, t, err = s.m.own(ctx, tx, s.caller, s.id); err != nil {
			return err
		}
		s.topic, s.settings = t, s.standing.settings()
		others, err := s.otherMembers(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.m.writeLease(ctx, tx); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO members (subscription, member, instance, session, alone) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (subscription, member) DO UPDATE SET instance = excluded.instance, session = excluded.session, alone = excluded.alone`,
			s.id, s.member, s.m.instance, s.token, boolean(s.alone))
		if err != nil {
			return err
		}
		if s.alone {
			adopted, err = s.position(ctx, tx, slot, open.GetSettledThrough())
		} else {
			// As much as any member may have; what others have too much of comes
			// once they gave it back.
			n := int(s.standing.spec.Lanes)
			adopted, err = s.takeFree(ctx, tx, (n+len(others))/(len(others)+1))
		}
		if err != nil {
			return err
		}
		return touch(ctx, tx, s.id)
	})
	if err != nil {
		return err
	}
	s.m.touched(s.id)
	s.stale = true
	return s.adopt(adopted)
}

func boolean(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// otherMembers lists the others, and refuses where one of two must be alone. An
// earlier session of this member loses its lanes.
func (s *session) otherMembers(ctx context.Context, tx store.Tx) ([]member, error) {
	all, err := members(ctx, tx, s.id)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(all, func(m member) bool { return m.name == s.member })
	for _, o := range others {
		if o.alone || s.alone {
			return nil, fault.New(fault.Conflict, "member.alone", "a member that keeps its own position must be the only one, and %q receives too", o.name)
		}
	}
	_, err = tx.ExecContext(ctx, "UPDATE lanes SET member = '', epoch = epoch + 1 WHERE subscription = $1 AND member = $2", s.id, s.member)
	return others, err
}

// position puts all lanes where the subscriber says that it stands, though not
// before the subscription's own beginning.
func (s *session) position(ctx context.Context, tx store.Tx, slot journal.Slot, through uint64) ([]laneRow, error) {
	head, err := journal.ReadHead(ctx, tx)
	if err != nil {
		return nil, err
	}
	if last := head.Sequences[s.topic.Partition]; through > last {
		return nil, fault.Field("settled_through", "settled_through", "the stream ends at %d", last)
	}
	if s.topic.Name == notice.Notices {
		if err := s.noticedThrough(ctx, tx, slot, through); err != nil {
			return nil, err
		}
	}
	if err := moveLanes(ctx, tx, s.id, max(through, s.standing.began), s.member); err != nil {
		return nil, err
	}
	return lanes(ctx, tx, s.id)
}

// takeFree takes up to n free lanes.
func (s *session) takeFree(ctx context.Context, tx store.Tx, n int) ([]laneRow, error) {
	all, err := lanes(ctx, tx, s.id)
	if err != nil {
		return nil, err
	}
	var taken []laneRow
	for _, r := range all {
		if r.member != "" || len(taken) >= n {
			continue
		}
		_, err := tx.ExecContext(ctx, "UPDATE lanes SET member = $1, epoch = epoch + 1 WHERE subscription = $2 AND lane = $3",
			s.member, s.id, int64(r.number))
		if err != nil {
			return nil, err
		}
		r.epoch++
		taken = append(taken, r)
	}
	return taken, nil
}

// leave gives everything back. What was sent and not settled is sent again by
// whoever takes the lane next.
func (s *session) leave() {
	if s.feed != nil {
		s.feed.cancel()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), endWithin)
	defer cancel()
	s.ctx = ctx
	if s.pending != nil {
		// Its end decides what the rows say.
		if err := s.ended(); err != nil {
			s.m.Log.Debug("the last commit of a member", "subscription", s.id, "error", err)
		}
	}
	s.unprepare(s.next)
	s.next = nil
	err := s.m.write(ctx, s.caller.System, s.giveBack)
	if err == nil {
		s.m.touched(s.id)
		for _, t := range s.settled {
			s.confirmed(t)
		}
		return
	}
	s.m.Log.Warn("a member's lanes could not be given back yet", "subscription", s.id, "error", err)
	s.m.done.Go(func() {
		s.m.persist(s.m.ctx, "a member's lanes could not be given back yet", func(ctx context.Context) error {
			return s.m.write(ctx, s.caller.System, s.giveBack)
		})
		s.m.touched(s.id)
	})
}

// giveBack writes the lanes as they stand and ends the membership.
func (s *session) giveBack(ctx context.Context, tx store.Tx, slot journal.Slot) error {
	c := &commit{s: s}
	for _, l := range s.lanes {
		w := l.encode()
		w.giveBack = true
		err := c.write(ctx, tx, &w)
		if l.lost = errors.Is(err, errFenced); err != nil && !l.lost {
			return err
		}
	}
	c.facts = s.facts.held()
	for _, a := range c.facts.acknowledged {
		c.acks = append(c.acks, encode(a))
	}
	if err := c.writeFacts(ctx, tx, slot); err != nil {
		return err
	}
	return s.forget(ctx, tx)
}

// forget ends the membership, and frees lanes that were taken in a transaction
// whose end this session did not see.
func (s *session) forget(ctx context.Context, tx store.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE lanes SET member = '', epoch = epoch + 1 WHERE subscription = $1 AND member = $2
		AND EXISTS (SELECT 1 FROM members WHERE subscription = $1 AND member = $2 AND session = $3)`, s.id, s.member, s.token)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM members WHERE subscription = $1 AND member = $2 AND session = $3", s.id, s.member, s.token)
	if err != nil {
		return err
	}
	return touch(ctx, tx, s.id)
}

// abandon undoes a join that may have taken effect.
func (s *session) abandon(cause error) {
	switch fault.KindOf(cause) {
	case fault.Internal, fault.Unavailable, fault.Timeout, fault.Canceled:
	default:
		return // refused
	}
	s.m.done.Go(func() {
		s.m.persist(s.m.ctx, "a member that did not come about could not be forgotten", func(ctx context.Context) error {
			return s.m.write(ctx, s.caller.System, func(ctx context.Context, tx store.Tx, _ journal.Slot) error { return s.forget(ctx, tx) })
		})
		s.m.touched(s.id)
	})
}
