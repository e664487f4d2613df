package subscription

import (
	"slices"
	"time"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/notice"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	// maxSettled bounds one settlement.
	maxSettled = 10_000
	// maxDelay bounds the delay that a member may ask for.
	maxDelay = 7 * 24 * time.Hour
	// unacknowledged is the reason of a dead letter that nobody answered for.
	unacknowledged = "not acknowledged"
)

// settlement is what a member asked to settle, until it is confirmed.
type settlement struct {
	token   uint64
	unknown []uint64
	// settled are the sequences that count once the lanes they are in are
	// written.
	settled []settled
}

type settled struct {
	sequence uint64
	lane     *lane
}

// facts are rows to be written beside the lanes.
type facts struct {
	acknowledged []*ledgerv1.Acknowledgement
	dead         []deadLetter
	revived      []settled // replayed dead letters that were acknowledged
	paid         []paid
	// noticed are the notices among what was acknowledged, by their entries. It goes
	// with acknowledged: whoever holds the lane, the notice was taken.
	noticed []uint64
}

// paid is an arrear that is settled.
type paid struct {
	settled
	enrolled int64
}

type deadLetter struct {
	settled
	index    uint64
	reason   string
	attempts uint32
	at       int64
}

// held leaves out what is of lanes that this member no longer holds.
func (f facts) held() facts {
	f.dead = slices.DeleteFunc(f.dead, func(d deadLetter) bool { return d.lane.lost })
	f.revived = slices.DeleteFunc(f.revived, func(s settled) bool { return s.lane.lost })
	f.paid = slices.DeleteFunc(f.paid, func(p paid) bool { return p.lane.lost })
	return f
}

// unknowns are the sequences of a settlement that do not count.
func (t *settlement) unknowns() []uint64 {
	unknown := t.unknown
	for _, s := range t.settled {
		if s.lane.lost {
			unknown = append(unknown, s.sequence)
		}
	}
	return unknown
}

// about says whether the end of a dead letter, or of what was owed, waits to be
// written.
func (f *facts) about(sequence uint64) bool {
	return slices.ContainsFunc(f.revived, func(s settled) bool { return s.sequence == sequence }) ||
		slices.ContainsFunc(f.paid, func(p paid) bool { return p.sequence == sequence }) ||
		slices.ContainsFunc(f.dead, func(d deadLetter) bool { return d.sequence == sequence })
}

// pay says whether that this very arrear is paid waits to be written.
func (f *facts) pay(a *arrear) bool {
	return slices.ContainsFunc(f.paid, func(p paid) bool { return p.sequence == a.sequence && p.enrolled == a.enrolled })
}

func (f *facts) empty() bool { return len(f.acknowledged)+len(f.dead)+len(f.revived)+len(f.paid) == 0 }

// canRide says whether the facts can wait for a release to be committed with.
func (f *facts) canRide() bool { return len(f.dead)+len(f.revived) == 0 }

// settle takes a settlement: memory says at once what rows say once it is
// confirmed.
func (s *session) settle(m *exchangev1.SubscribeSettle) error {
	s.active = s.m.now()
	if err := s.checkSettlement(m); err != nil {
		s.say(settledMessage(&exchangev1.SubscribeSettled{Token: m.Token, Floor: s.floor(), Problem: problem(err)}))
		return nil
	}
	t := &settlement{token: m.Token}
	var known []uint64
	var unknown []uint32 // places
	for i, sequence := range m.Acks {
		if it := s.items[sequence]; it != nil && it.state == flying {
			s.acknowledge(t, it)
			known = append(known, sequence)
		} else {
			unknown = append(unknown, uint32(i))
			t.unknown = append(t.unknown, sequence)
		}
	}
	if len(known) > 0 {
		s.facts.acknowledged = append(s.facts.acknowledged, s.acknowledgement(m, known, unknown))
	}
	for _, n := range m.Nacks {
		if it := s.items[n.Sequence]; it != nil && it.state == flying {
			t.settled = append(t.settled, settled{n.Sequence, it.lane})
			s.refuse(it, n)
		} else {
			t.unknown = append(t.unknown, n.Sequence)
		}
	}
	if len(s.settled) == 0 {
		s.settledAt = s.active
	}
	s.settled = append(s.settled, t)
	s.follow()
	return nil
}

func (s *session) acknowledge(t *settlement, it *item) {
	t.settled = append(t.settled, settled{it.sequence, it.lane})
	if s.topic.Name == notice.Notices {
		s.facts.noticed = append(s.facts.noticed, it.index)
	}
	s.discharge(it)
	s.landed(it)
	s.queues.settle(it)
}

// discharge notes which row goes with a delivery that is settled.
func (s *session) discharge(it *item) {
	at := settled{it.sequence, it.lane}
	switch {
	case it.owed:
		s.facts.paid = append(s.facts.paid, paid{at, it.enrolled})
	case it.late:
		s.facts.revived = append(s.facts.revived, at)
	}
	if it.late {
		s.replays--
	}
}

// landed says that a delivery is no longer under way.
func (s *session) landed(it *item) {
	it.land()
	it.lane.flying--
	s.inFlight--
	s.bytes -= it.size
}

// acknowledgement is what is kept of an acknowledgement: as it was signed, with
// the places that do not count, or what of it was known.
func (s *session) acknowledgement(m *exchangev1.SubscribeSettle, known []uint64, unknown []uint32) *ledgerv1.Acknowledgement {
	a := &ledgerv1.Acknowledgement{Subscription: s.id, System: s.caller.System, Certificate: s.caller.Fingerprint[:]}
	if len(m.Signature) == 0 {
		a.Sequences = known
		return a
	}
	a.Sequences, a.DetailHashes, a.Signature, a.Uncounted = m.Acks, m.DetailHashes, m.Signature, unknown
	return a
}

// checkSettlement refuses a settlement whole.
func (s *session) checkSettlement(m *exchangev1.SubscribeSettle) error {
	if len(m.Acks) > maxSettled || len(m.Nacks) > maxSettled {
		return fault.New(fault.TooLarge, "settle.number", "a settlement has at most %d acks and as many nacks", maxSettled)
	}
	for _, n := range m.Nacks {
		if err := checkNack(n); err != nil {
			return err
		}
	}
	if len(m.Signature) == 0 || len(m.Acks) == 0 {
		return nil
	}
	statement, err := verify.AckStatement(s.id, m.Acks, m.DetailHashes)
	if err != nil {
		return fault.Field("detail_hashes", "ack.details", "%v", err)
	}
	for i, sequence := range m.Acks {
		it := s.items[sequence]
		if it != nil && it.state == flying && string(it.detail[:]) != string(m.DetailHashes[i]) && string(it.before[:]) != string(m.DetailHashes[i]) {
			return fault.Field("detail_hashes", "ack.details", "place %d is not the hash of what was delivered", i)
		}
	}
	if err := verify.CheckSignature(s.caller.PublicKey, statement, m.Signature); err != nil {
		return fault.Field("signature", "signature.wrong", "%v", err)
	}
	return nil
}

func checkNack(n *exchangev1.Nack) error {
	if n.Delay != nil && (n.Delay.CheckValid() != nil || n.Delay.AsDuration() < 0 || n.Delay.AsDuration() > maxDelay) {
		return fault.Field("nacks.delay", "nack.delay", "is 0 to %v", maxDelay)
	}
	if len(n.Reason) > maxReason {
		return fault.Field("nacks.reason", "reason.size", "has more than %d bytes", maxReason)
	}
	return catalog.Text("nacks.reason", n.Reason, false)
}

// refuse deals with a delivery that the member could not use.
func (s *session) refuse(it *item, n *exchangev1.Nack) {
	s.landed(it)
	if n.DeadLetter || it.attempts >= s.settings.maxAttempts {
		reason := n.Reason
		if reason == "" {
			reason = "refused"
		}
		s.bury(it, reason)
		return
	}
	delay := s.settings.after(it.attempts)
	if n.Delay != nil {
		delay = n.Delay.AsDuration()
	}
	due := int64(0)
	if delay > 0 {
		due = s.m.Clock().Add(delay).UnixMicro()
	}
	s.delay(it, due)
}

// bury makes a delivery a dead letter, which frees its record.
func (s *session) bury(it *item, reason string) {
	d := deadLetter{settled: settled{it.sequence, it.lane}, index: it.index, reason: reason, attempts: it.attempts, at: s.m.now()}
	if it.late {
		s.replays--
	}
	if it.owed {
		s.facts.paid = append(s.facts.paid, paid{d.settled, it.enrolled})
	}
	s.facts.dead = append(s.facts.dead, d)
	s.queues.settle(it)
}

// expire sends again what was not acknowledged in time.
func (s *session) expire(now int64) error {
	for len(s.flights) > 0 {
		f := s.flights[0]
		if f.open > 0 {
			sent := f.sent.Load()
			wait := s.settings.ackWait.Microseconds()
			if sent == 0 && now > f.committed+max(wait, time.Second.Microseconds()) {
				return fault.New(fault.Unavailable, "member.slow", "the member does not take what it is sent; connect again")
			}
			if s.alone || sent == 0 || now < sent+wait {
				break
			}
			for _, it := range slices.Clone(f.items) {
				if it != nil && it.state == flying {
					s.overdue(it)
				}
			}
		}
		s.flights[0] = nil
		s.flights = s.flights[1:]
	}
	return nil
}

func (s *session) overdue(it *item) {
	s.landed(it)
	if it.attempts >= s.settings.maxAttempts {
		s.bury(it, unacknowledged)
		return
	}
	s.delay(it, 0)
}

// floor is the sequence up to which everything is settled, by the rows.
func (s *session) floor() uint64 {
	floor := s.others
	for _, l := range s.lanes {
		floor = min(floor, l.floor)
	}
	return floor
}

func settledMessage(m *exchangev1.SubscribeSettled) *exchangev1.SubscribeResponse {
	return &exchangev1.SubscribeResponse{Message: &exchangev1.SubscribeResponse_Settled{Settled: m}}
}

// problem gives a fault as a message.
func problem(err error) *exchangev1.Problem {
	p := &exchangev1.Problem{Kind: fault.KindOf(err).String(), Rule: fault.RuleOf(err), Message: fault.Status(err).Message()}
	return p
}
