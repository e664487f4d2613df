package subscription

import (
	"context"
	"errors"
	"slices"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// join makes the session a member and takes the lanes that are free, in one
// transaction.
func (s *session) join(open *exchangev1.SubscribeOpen) error {
	var adopted []laneRow
	err := s.m.write(s.ctx, s.caller.System, func(ctx context.Context, tx store.Tx, _ journal.Slot) error {
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
			adopted, err = s.position(ctx, tx, open.GetSettledThrough())
		} else {
			adopted, err = s.takeFree(ctx, tx, len(others)+1)
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
func (s *session) position(ctx context.Context, tx store.Tx, through uint64) ([]laneRow, error) {
	head, err := journal.ReadHead(ctx, tx)
	if err != nil {
		return nil, err
	}
	if last := head.Sequences[s.topic.Partition]; through > last {
		return nil, fault.Field("settled_through", "settled_through", "the stream ends at %d", last)
	}
	if err := moveLanes(ctx, tx, s.id, max(through, s.standing.began), s.member); err != nil {
		return nil, err
	}
	return lanes(ctx, tx, s.id)
}

// takeFree takes free lanes up to this member's share among n.
func (s *session) takeFree(ctx context.Context, tx store.Tx, n int) ([]laneRow, error) {
	all, err := lanes(ctx, tx, s.id)
	if err != nil {
		return nil, err
	}
	room := (len(all)+n-1)/n - len(s.lanes)
	var taken []laneRow
	for _, r := range all {
		if r.member != "" || len(taken) >= room {
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

// adopt takes lanes over as their rows say: what was under way with an earlier
// holder is sent again. A lane counts as held only when all that its row holds is
// known here: else giving it back would lose that.
func (s *session) adopt(rows []laneRow) error {
	for i := range rows {
		r := &rows[i]
		found, err := s.lookUp(r.unsettled)
		if err != nil {
			return err
		}
		l := &lane{number: r.number, epoch: r.epoch, seen: r.seen, written: r.seen, high: r.seen, floor: floorOf(r.seen, r.unsettled)}
		s.lanes[l.number] = l
		s.remember(l, r.unsettled, found)
	}
	return nil
}

// lookUp reads the records of what is unsettled.
func (s *session) lookUp(set []unsettled) (map[uint64]*journal.Row, error) {
	sequences := make([]uint64, len(set))
	for i := range set {
		sequences[i] = set[i].sequence
	}
	rows, err := journal.BySequences(s.ctx, s.m.DB.Reader(), journal.Number(s.standing.topic), sequences)
	found := make(map[uint64]*journal.Row, len(rows))
	for i := range rows {
		found[rows[i].Sequence] = &rows[i]
	}
	return found, err
}

// remember makes items of what a lane's row holds. A dead letter that is
// delivered once more comes behind the other versions of its record.
func (s *session) remember(l *lane, set []unsettled, found map[uint64]*journal.Row) {
	for _, late := range []bool{false, true} {
		for _, u := range set {
			if u.late != late {
				continue
			}
			it := &item{sequence: u.sequence, lane: l, late: u.late, attempts: u.attempts, due: u.due, row: found[u.sequence]}
			if it.row != nil {
				it.key, it.index = keyOf(it.row.KeyToken, u.sequence), it.row.Index
			} else {
				it.key = keyOf(nil, u.sequence)
			}
			if late {
				s.replays++
			}
			s.add(it)
			if it.attempts >= s.settings.maxAttempts && it.state == ready {
				s.bury(it, unacknowledged)
			}
		}
	}
}

// drop forgets a lane: what it holds is somebody else's now.
func (s *session) drop(l *lane) {
	l.lost = true
	if s.lanes[l.number] == l {
		delete(s.lanes, l.number)
	}
	for _, it := range l.items {
		switch it.state {
		case gone:
			continue
		case flying:
			s.landed(it)
		case waiting:
			if it.row != nil {
				s.kept -= len(it.row.Body)
			}
		}
		if it.late {
			s.replays--
		}
		it.state = gone
		delete(s.items, it.sequence)
		delete(s.records, it.key)
	}
	l.items, l.count = nil, 0
}

// reload looks at the rows again: what other members, other processes and the
// subscription's owner changed.
func (s *session) reload() error {
	s.stale = false
	tx := s.m.DB.Reader()
	now, err := load(s.ctx, tx, s.id)
	if err != nil {
		return err
	}
	if now == nil {
		return fault.New(fault.NotFound, "subscription.deleted", "the subscription was deleted")
	}
	s.standing = now
	all, err := members(s.ctx, tx, s.id)
	if err != nil {
		return err
	}
	if err := s.stillMember(all); err != nil {
		return err
	}
	rows, err := lanes(s.ctx, tx, s.id)
	if err != nil {
		return err
	}
	s.compare(rows)
	if err := s.share(all, rows); err != nil {
		return err
	}
	if err := s.replay(); err != nil {
		return err
	}
	s.follow()
	return s.check()
}

func (s *session) stillMember(all []member) error {
	i := slices.IndexFunc(all, func(m member) bool { return m.name == s.member })
	switch {
	case i < 0:
		return fault.New(fault.Unavailable, "member.ended", "the exchange no longer knows the member; connect again")
	case all[i].session != s.token:
		return fault.New(fault.Conflict, "member.replaced", "another stream of the same member name receives now")
	}
	return nil
}

// compare drops the lanes that are no longer held, and notes how far the others
// are.
func (s *session) compare(rows []laneRow) {
	s.others = 1 << 62
	for i := range rows {
		r := &rows[i]
		l := s.lanes[r.number]
		if l != nil && (r.member != s.member || r.epoch != l.epoch) {
			s.drop(l)
			l = nil
		}
		if l == nil {
			s.others = min(s.others, floorOf(r.seen, r.unsettled))
		}
	}
}

// share gives lanes back, or takes free ones, until this member has its share.
// Members come in the order of their names; the first have the odd ones.
func (s *session) share(all []member, rows []laneRow) error {
	place := slices.IndexFunc(all, func(m member) bool { return m.name == s.member })
	share := len(rows) / len(all)
	if place < len(rows)%len(all) {
		share++
	}
	staying := 0
	for _, l := range s.lanes {
		if l.leaving == 0 {
			staying++
		}
	}
	for i := len(rows) - 1; i >= 0 && staying > share; i-- {
		if l := s.lanes[rows[i].number]; l != nil && l.leaving == 0 {
			s.leaveLane(l)
			staying--
		}
	}
	free := slices.ContainsFunc(rows, func(r laneRow) bool { return r.member == "" })
	if !free || staying >= share || s.draining {
		return nil
	}
	return s.acquire(share - staying)
}

// leaveLane sends nothing more of a lane; it is given back once nothing of it is
// under way.
func (s *session) leaveLane(l *lane) {
	l.leaving = s.m.Clock().Add(min(leaveWithin, s.settings.ackWait)).UnixMicro()
	if s.next != nil && slices.ContainsFunc(s.next.items, func(it *item) bool { return it.lane == l }) {
		s.unprepare(s.next)
		s.next = nil
	}
}

// acquire takes up to n free lanes.
func (s *session) acquire(n int) error {
	var taken []laneRow
	err := s.m.write(s.ctx, s.caller.System, func(ctx context.Context, tx store.Tx, _ journal.Slot) error {
		taken = nil
		all, err := members(ctx, tx, s.id)
		if err != nil {
			return err
		}
		if err := s.stillMember(all); err != nil {
			return err
		}
		rows, err := lanes(ctx, tx, s.id)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.member != "" || len(taken) == n {
				continue
			}
			_, err := tx.ExecContext(ctx, "UPDATE lanes SET member = $1, epoch = epoch + 1 WHERE subscription = $2 AND lane = $3",
				s.member, s.id, int64(r.number))
			if err != nil {
				return err
			}
			r.epoch++
			taken = append(taken, r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.adopt(taken)
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
		if err := s.committed(); err != nil {
			s.m.Log.Debug("the last commit of a member", "subscription", s.id, "error", err)
		}
	}
	s.unprepare(s.next)
	s.next = nil
	err := s.m.write(ctx, s.caller.System, s.giveBack)
	if err == nil {
		s.m.touched(s.id)
		for _, t := range s.settled {
			s.say(settledMessage(&exchangev1.SubscribeSettled{Token: t.token, Unknown: t.unknowns(), Floor: s.floor()}))
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
