package subscription

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

var (
	// errFenced says that a lane is held by somebody else now.
	errFenced = errors.New("a lane has another holder")
	// errHalted says that the subscription is not active, or gone.
	errHalted = errors.New("the subscription is not active")
)

// commit is one step of a session: what was settled since the last, and the next
// release, in one transaction. One is under way at a time; the next is prepared
// meanwhile.
type commit struct {
	s       *session
	batch   *batch
	entry   journal.Entry
	settled []*settlement
	facts   facts
	acks    [][]byte
	lanes   []laneWrite
	// flush: positions are written that moved over others' records.
	flush bool
	// saw is the policy count that the transaction met.
	saw  uint64
	wait *journal.Pending
}

// laneWrite is what a lane's row is to say.
type laneWrite struct {
	lane        *lane
	seen, floor uint64
	row         []byte
	giveBack    bool
}

// committing is closed once the commit under way is done.
func (s *session) committing() <-chan struct{} {
	if s.pending == nil {
		return nil
	}
	return s.pending.wait.Done()
}

// lagging says whether a row is behind what the lane has seen.
func (s *session) lagging() bool {
	for _, l := range s.lanes {
		if l.lags() {
			return true
		}
	}
	return false
}

// begin starts the next commit, if there is anything to write.
func (s *session) begin(now int64) error {
	if s.pending != nil {
		return nil
	}
	flush := now >= s.flushed+flushEvery.Microseconds() && s.lagging()
	leaving := s.leavable(now)
	if s.next == nil && len(s.settled) == 0 && s.facts.empty() && !flush && !leaving {
		return nil
	}
	if s.next == nil && !flush && !leaving && !s.draining && s.facts.canRide() && now < s.settledAt+rideFor.Microseconds() {
		return nil
	}
	c := &commit{s: s, batch: s.next, settled: s.settled, facts: s.facts.held()}
	s.next, s.settled, s.facts = nil, nil, facts{}
	for _, l := range s.lanes {
		back := l.leaving != 0 && (l.flying == 0 || now >= l.leaving)
		if l.dirty || back || flush && l.lags() {
			w := l.encode()
			w.giveBack = back
			l.dirty = false
			c.lanes = append(c.lanes, w)
		}
	}
	if c.flush = flush; flush {
		s.flushed = now
	}
	if c.batch != nil {
		c.entry = s.entry(c.batch)
	}
	for _, a := range c.facts.acknowledged {
		c.acks = append(c.acks, encode(a))
	}
	call := &journal.Call{From: s.caller.System, Build: c.build}
	if c.batch != nil && c.batch.audience != nil {
		call.Guards = c.batch.audience.guards
	}
	var err error
	c.wait, err = s.m.Journal.Begin(s.ctx, call)
	s.pending = c
	if err != nil {
		s.pending = nil
		s.undo(c)
	}
	return err
}

// leavable says whether a lane can be given back now.
func (s *session) leavable(now int64) bool {
	for _, l := range s.lanes {
		if l.leaving != 0 && (l.flying == 0 || now >= l.leaving) {
			return true
		}
	}
	return false
}

// build writes the commit in the journal's transaction. It changes nothing in
// memory: it may run again.
func (c *commit) build(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
	if c.batch != nil {
		if c.saw = slot.Policy; slot.Policy != c.batch.decision.Policy {
			return nil, journal.ErrPolicyMoved
		}
		if over := ends(&c.batch.decision); over != 0 && slot.At >= over {
			return nil, journal.ErrPolicyMoved // the day ended since
		}
		if err := c.active(ctx, tx); err != nil {
			return nil, err
		}
	}
	for i := range c.lanes {
		if err := c.write(ctx, tx, &c.lanes[i]); err != nil {
			return nil, err
		}
	}
	if err := c.writeFacts(ctx, tx, slot); err != nil {
		return nil, err
	}
	if c.batch == nil {
		return nil, nil
	}
	return []journal.Entry{c.entry}, nil
}

func (c *commit) active(ctx context.Context, tx store.Tx) error {
	var state int64
	err := tx.QueryRowContext(ctx, "SELECT state FROM subscriptions WHERE id = $1", c.s.id).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) || err == nil && exchangev1.SubscriptionState(state) != active {
		return errHalted
	}
	return err
}

// write writes a lane's row, unless the lane has another holder.
func (c *commit) write(ctx context.Context, tx store.Tx, w *laneWrite) error {
	member := c.s.member
	if w.giveBack {
		member = ""
	}
	result, err := tx.ExecContext(ctx, "UPDATE lanes SET seen = $1, unsettled = $2, member = $3 WHERE subscription = $4 AND lane = $5 AND epoch = $6 AND member = $7",
		int64(w.seen), w.row, member, c.s.id, int64(w.lane.number), w.lane.epoch, c.s.member)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errFenced, err)
	}
	if w.giveBack {
		return touch(ctx, tx, c.s.id)
	}
	return nil
}

func (c *commit) writeFacts(ctx context.Context, tx store.Tx, slot journal.Slot) error {
	id := c.s.id
	for _, a := range c.acks {
		if err := keepAcknowledgement(ctx, tx, id, a); err != nil {
			return err
		}
	}
	for _, d := range c.facts.dead {
		_, err := tx.ExecContext(ctx, `INSERT INTO dead_letters (subscription, sequence, lane, idx, reason, attempts, at, replaying)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (subscription, sequence) DO UPDATE SET
			reason = excluded.reason, attempts = excluded.attempts, at = excluded.at, replaying = 0`,
			id, int64(d.sequence), int64(d.lane.number), int64(d.index), d.reason, int64(d.attempts), slot.At)
		if err != nil {
			return err
		}
	}
	for _, r := range c.facts.revived {
		_, err := tx.ExecContext(ctx, "DELETE FROM dead_letters WHERE subscription = $1 AND sequence = $2", id, int64(r.sequence))
		if err != nil {
			return err
		}
	}
	for _, p := range c.facts.paid {
		_, err := tx.ExecContext(ctx, "DELETE FROM arrears WHERE subscription = $1 AND sequence = $2 AND enrolled = $3",
			journal.Number(id), int64(p.sequence), p.enrolled)
		if err != nil {
			return err
		}
	}
	return deadline.Acknowledge(ctx, tx, slot.At, c.s.caller.Participant, c.facts.noticed)
}

// ended deals with the end of the commit under way.
func (s *session) ended() error {
	c := s.pending
	s.pending = nil
	done, err := c.wait.Wait(s.ctx)
	switch {
	case err == nil:
		// A crash here leaves the release in the ledger and the delivery counted
		// as an attempt, though it was not sent: it is sent again. What was
		// acknowledged is settled, though its confirmation was not sent: the
		// member learns so from the next floor, or from "unknown".
		crashpoint.Here("subscription.after-commit")
		s.confirm(c, done)
		if c.flush {
			return s.tellFloor()
		}
		return nil
	case errors.Is(err, journal.ErrPolicyMoved):
		s.undo(c)
		if err := s.m.Policy.Refresh(s.ctx, c.saw); err != nil {
			return fault.Wrap(fault.Unavailable, "policy.moving", err, "the policy is changing; connect again")
		}
		s.recheck = s.m.now()
		return nil
	case errors.Is(err, errFenced), errors.Is(err, errHalted):
		s.undo(c)
		return s.reload()
	}
	s.undo(c)
	return err
}

// undo puts back what was not committed.
func (s *session) undo(c *commit) {
	s.unprepare(s.next)
	s.unprepare(c.batch)
	s.next = nil
	s.settled = append(c.settled, s.settled...)
	s.facts.acknowledged = append(c.facts.acknowledged, s.facts.acknowledged...)
	s.facts.dead = append(c.facts.dead, s.facts.dead...)
	s.facts.revived = append(c.facts.revived, s.facts.revived...)
	s.facts.paid = append(c.facts.paid, s.facts.paid...)
	s.facts.noticed = append(c.facts.noticed, s.facts.noticed...)
	for i := range c.lanes {
		c.lanes[i].lane.dirty = true
	}
}

// confirm takes over what is committed, sends the batch and confirms what was
// settled.
func (s *session) confirm(c *commit, done *journal.Commit) {
	for i := range c.lanes {
		w := &c.lanes[i]
		w.lane.written, w.lane.floor = w.seen, w.floor
	}
	if c.batch != nil {
		s.launch(c.batch, done)
	}
	if len(c.acks) > 0 {
		s.m.cover.add(s.id)
	}
	if len(c.facts.revived)+len(c.facts.paid) > 0 && s.replays == 0 || s.owed && s.replays < maxReplays/2 {
		s.stale = true // there may be more
	}
	for _, t := range c.settled {
		s.confirmed(t)
	}
	for i := range c.lanes {
		if w := &c.lanes[i]; w.giveBack {
			s.others = min(s.others, w.floor)
			s.drop(w.lane)
			s.m.touched(s.id)
		}
	}
}

// confirmed tells that a settlement counts.
func (s *session) confirmed(t *settlement) {
	s.told = max(s.told, s.floor())
	s.say(settledMessage(&exchangev1.SubscribeSettled{Token: t.token, Unknown: t.unknowns(), Floor: s.floor()}))
}

// tellFloor tells the member of a floor that rose without a settlement.
func (s *session) tellFloor() error {
	if s.floor() <= s.told {
		return nil
	}
	caught, err := s.reachedEnd()
	if err == nil {
		s.heartbeat(caught && !s.busy())
	}
	return err
}

// launch sends a batch whose entry is committed.
func (s *session) launch(b *batch, done *journal.Commit) {
	f := &flight{items: b.items, committed: s.m.now()}
	message := s.message(b, done)
	for i, it := range b.items {
		if it.state == gone {
			// Its lane went meanwhile: the new holder sends it again, and what
			// this member says of it is unknown.
			s.inFlight--
			s.bytes -= it.size
			f.items[i] = nil
			continue
		}
		it.state, it.flight, it.place, it.row = flying, f, i, nil
		f.open++
	}
	s.flights = append(s.flights, f)
	s.active, s.announced, s.spoke = f.committed, false, f.committed
	s.out.send(message, f)
}

// Receipt gives the receipt of a commit's first entry.
func Receipt(c *journal.Commit) *exchangev1.Receipt {
	return &exchangev1.Receipt{Index: c.Index, At: timestamppb.New(time.UnixMicro(c.At).UTC()), Leaf: c.Leaves[0]}
}
