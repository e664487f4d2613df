package subscription

import (
	"context"
	"slices"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

// adopt takes lanes over as their rows say: what was under way with an earlier
// holder is sent again. A lane counts as held only when all that its row holds is
// known here: else giving it back would lose that.
func (s *session) adopt(rows []laneRow) error {
	for i := range rows {
		r := &rows[i]
		var err error
		if r.unsettled, err = s.stillOwed(r.number, r.unsettled); err != nil {
			return err
		}
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
// delivered once more comes behind the other versions of its record, what is owed
// before the later ones.
func (s *session) remember(l *lane, set []unsettled, found map[uint64]*journal.Row) {
	for _, late := range []bool{false, true} {
		for _, u := range set {
			if u.late != late {
				continue
			}
			it := &item{sequence: u.sequence, lane: l, late: u.late, owed: u.owed, enrolled: u.enrolled, attempts: u.attempts, due: u.due, row: found[u.sequence]}
			if it.row != nil {
				it.key, it.index = keyOf(it.row.KeyToken, u.sequence), it.row.Index
			} else {
				it.key = keyOf(nil, u.sequence)
			}
			if late {
				s.replays++
			}
			if it.late && it.owed {
				s.precede(it)
			} else {
				s.add(it)
			}
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
	if err := s.exists(); err != nil {
		return err
	}
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
	if err := s.collect(); err != nil {
		return err
	}
	s.follow()
	return s.check()
}

// exists reads the subscription anew; it may be deleted.
func (s *session) exists() error {
	now, err := load(s.ctx, s.m.DB.Reader(), s.id)
	switch {
	case err != nil:
		return err
	case now == nil:
		return fault.New(fault.NotFound, "subscription.deleted", "the subscription was deleted")
	}
	s.standing = now
	return nil
}

func (s *session) stillMember(all []member) error {
	i := slices.IndexFunc(all, func(m member) bool { return m.name == s.member })
	switch {
	case i < 0:
		// Its row may be gone with the subscription, a moment after that was read.
		if err := s.exists(); err != nil {
			return err
		}
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
		all, err := members(ctx, tx, s.id)
		if err != nil {
			return err
		}
		if err := s.stillMember(all); err != nil {
			return err
		}
		taken, err = s.takeFree(ctx, tx, n)
		return err
	})
	if err != nil {
		return err
	}
	return s.adopt(taken)
}
