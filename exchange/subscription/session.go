package subscription

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// Credit of a member.
const (
	DefaultInFlight = 1024
	MaxInFlight     = 10_000
	DefaultBytes    = 8 << 20
	MinBytes        = 64 << 10
	MaxBytes        = 64 << 20
)

const (
	heartbeatEvery = 15 * time.Second
	// quiet is how long nothing must happen before a member is told that it has
	// caught up.
	quiet = 20 * time.Millisecond
	// flushEvery is how often positions that only moved over others' records are
	// written, at most.
	flushEvery = time.Second
	// rideFor is how long a settlement waits for a release to be committed with:
	// a commit of its own would delay the releases behind it.
	rideFor = 10 * time.Millisecond
	// recheckEvery is how often a lapsed permission is looked at.
	recheckEvery = 250 * time.Millisecond
	// readAhead is how many records wait in memory for their turn.
	readAhead      = 512
	readAheadBytes = 8 << 20
	// leaveWithin is how long a lane that another member is to have waits for
	// what is under way.
	leaveWithin = 5 * time.Second
	// maxUnsent is how many messages a member may leave unread before its
	// requests are no longer taken.
	maxUnsent = 1000
	// lastWords is how long a member whose permission ended has to hear so.
	lastWords = 500 * time.Millisecond
	// endWithin bounds giving the lanes back.
	endWithin = 5 * time.Second
)

// session is one stream of one member. One goroutine owns it.
type session struct {
	m      *Manager
	caller *identity.Caller
	id     string
	member string
	token  string // tells this session from a later one of the same member
	json   bool
	// alone: the subscriber keeps its position itself, so everything goes in the
	// order of the sequences that it writes down, and nothing is sent twice
	// on one stream.
	alone bool

	ctx  context.Context
	end  context.CancelCauseFunc
	bell chan struct{}
	out  *outbox

	standing *standing
	settings settings
	topic    *catalog.Topic
	queues
	// others is the floor of the lanes that others hold, as last read.
	others uint64

	feed *feed
	// read is the sequence up to which the topic was read.
	read uint64

	maxInFlight int
	maxBytes    uint64
	inFlight    int
	bytes       uint64
	flights     []*flight

	next    *batch
	pending *commit
	facts   facts
	settled []*settlement
	// settledAt is when the first of settled came.
	settledAt int64

	// stale: the rows must be looked at again.
	stale bool
	// halted says why nothing is delivered; empty while all is well.
	halted string
	// recheck is when the permission is to be looked at again; 0 if at the next
	// batch.
	recheck int64
	// ends is when the grant's last day is over; 0 if it has none.
	ends     int64
	draining bool
	// skipped: what was chosen last was all settled unseen.
	skipped bool
	replays int // late deliveries under way
	// owed: there are more arrears than were taken up.
	owed bool

	// flushed, active and spoke are when all positions were written, when anything
	// happened, and when the member was last sent something.
	flushed, active, spoke int64
	// told is the floor that the member was last told.
	told uint64
	// announced: whether the member has caught up was looked at since anything
	// happened.
	announced bool
}

var memberForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Receive joins a subscription as one of its members and serves it until the
// requests end, ctx ends, or something refuses it. A nil error is the end that
// the member asked for.
func (m *Manager) Receive(ctx context.Context, caller *identity.Caller, open *exchangev1.SubscribeOpen, requests <-chan *exchangev1.SubscribeRequest, sink Sink) error {
	s := &session{
		m: m, caller: caller, id: fullID(caller, open.GetSubscription()), member: open.GetMember(), token: randomName(),
		json: open.GetJson(), alone: open.SettledThrough != nil, bell: make(chan struct{}, 1), queues: newQueues(),
	}
	s.inOrder = s.alone
	if s.member == "" {
		s.member = "m-" + s.token
	}
	if !memberForm.MatchString(s.member) {
		return fault.Field("member", "member.name", `has letters, digits, ".", "-" and "_", and at most 64 of them`)
	}
	if err := s.credit(open.GetMaxInFlight(), open.GetMaxBytesInFlight()); err != nil {
		return err
	}
	s.ctx, s.end = context.WithCancelCause(ctx)
	defer s.end(nil)
	select {
	case <-m.began:
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
	if !m.add(s) {
		return errStopping()
	}
	defer m.remove(s)
	if err := s.join(open); err != nil {
		s.abandon(err)
		return s.explain(m.concealed(ctx, caller, s.id, err))
	}
	s.out = newOutbox(sink, m.now)
	err := s.greet()
	if err == nil {
		err = s.run(requests)
	}
	stream := s.ctx
	switch {
	case err == nil:
	case stream.Err() == nil:
		err = s.explain(err)
	case errors.Is(err, context.Canceled):
		// What was under way was cut off with the stream: the stream's end is why.
		err = context.Cause(stream)
	}
	s.leave()
	// What was confirmed last still goes out, if the member takes it.
	s.out.close()
	patience := endWithin
	switch {
	case fault.KindOf(err) == fault.Lapsed:
		patience = lastWords
	case err != nil:
		patience = quiet
	}
	select {
	case <-s.out.done:
	case <-stream.Done():
	case <-time.After(patience):
	}
	return err
}

// explain turns what an engine says into what a member can act on: its position
// is kept, and it may connect again.
func (s *session) explain(err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	s.m.Log.Warn("a member's stream was cut off", "subscription", s.id, "error", err)
	return fault.Wrap(fault.Unavailable, "subscription.interrupted", err, "the delivery was interrupted; connect again")
}

func (s *session) credit(records uint32, bytes uint64) error {
	if records == 0 {
		records = DefaultInFlight
	}
	if bytes == 0 {
		bytes = DefaultBytes
	}
	if records > MaxInFlight {
		return fault.Field("max_in_flight", "max_in_flight", "is 1 to %d", MaxInFlight)
	}
	if bytes < MinBytes || bytes > MaxBytes {
		return fault.Field("max_bytes_in_flight", "max_bytes_in_flight", "is %d to %d", MinBytes, MaxBytes)
	}
	s.maxInFlight, s.maxBytes = int(records), bytes
	if s.alone {
		// A lane that stands still while others read on would break the order.
		s.maxInFlight = min(s.maxInFlight, maxUnsettled/2)
	}
	return nil
}

// ring asks the session to look at its rows again.
func (s *session) ring() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

func (s *session) request() access.Request {
	return access.Request{Caller: s.caller, Action: access.Deliver, Topic: s.standing.topic, Subscription: s.id}
}

// say sends a message that is no batch.
func (s *session) say(m *exchangev1.SubscribeResponse) {
	s.spoke = s.m.now()
	s.out.send(m, nil)
}

// greet tells the member what was opened.
func (s *session) greet() error {
	shown, err := s.m.show(s.ctx, s.standing)
	if err != nil {
		return err
	}
	s.say(&exchangev1.SubscribeResponse{Message: &exchangev1.SubscribeResponse_Opened{Opened: &exchangev1.SubscribeOpened{
		Member: s.member, Subscription: shown, Certificate: s.caller.Fingerprint[:],
	}}})
	s.follow()
	return nil
}

// run serves the member.
func (s *session) run(requests <-chan *exchangev1.SubscribeRequest) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	s.active, s.flushed = s.m.now(), s.m.now()
	for {
		policy := s.m.Catalogue.Changed()
		wake, err := s.advance()
		if err != nil {
			return err
		}
		if s.draining && s.inFlight == 0 && s.pending == nil && len(s.settled) == 0 {
			return nil
		}
		timer.Reset(wake)
		asked := requests
		if s.out.len() > maxUnsent || len(s.settled) > maxUnsent {
			asked = nil
		}
		var rows <-chan []journal.Row
		if s.feed != nil && len(s.ready) < readAhead && s.readyBytes() < readAheadBytes {
			rows = s.feed.rows
		}
		select {
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case err := <-s.out.failed:
			return err
		case r, ok := <-asked:
			if !ok {
				return nil
			}
			err = s.asked(r)
		case read := <-rows:
			s.take(read)
		case <-s.committing():
			err = s.ended()
		case <-s.out.room:
		case <-s.bell:
			s.stale = true
		case <-policy:
			s.recheck = s.m.now()
		case <-timer.C:
		}
		if err != nil {
			return err
		}
	}
}

// readyBytes is the size of what waits in memory for its turn.
func (s *session) readyBytes() (n int) {
	for _, it := range s.ready {
		if it.row != nil {
			n += len(it.row.Body)
		}
	}
	return n
}

// advance does what can be done now and says how long at most to wait.
func (s *session) advance() (time.Duration, error) {
	if s.stale && s.pending == nil {
		if err := s.reload(); err != nil {
			return 0, err
		}
	}
	now := s.m.now()
	if err := s.expire(now); err != nil {
		return 0, err
	}
	s.releaseDue(now)
	s.skipped = false
	if s.ends != 0 && now >= s.ends {
		s.recheck, s.ends = now, 0
	}
	if s.recheck != 0 && now >= s.recheck && s.pending == nil {
		if err := s.check(); err != nil {
			return 0, err
		}
	}
	if s.halted == "" && !s.draining && !s.out.full() {
		if err := s.prepare(); err != nil {
			return 0, err
		}
	}
	if err := s.begin(now); err != nil {
		return 0, err
	}
	if err := s.announce(now); err != nil {
		return 0, err
	}
	return s.wait(now), nil
}

// wait says how long nothing has to be done unless something happens.
func (s *session) wait(now int64) time.Duration {
	next := s.spoke + heartbeatEvery.Microseconds()
	soonest := func(at int64) { next = min(next, at) }
	if len(s.delayed) > 0 {
		soonest(s.delayed[0].due)
	}
	if len(s.flights) > 0 && !s.alone {
		f := s.flights[0]
		soonest(max(f.sent.Load(), f.committed) + s.settings.ackWait.Microseconds())
	}
	if s.recheck != 0 {
		soonest(s.recheck)
	}
	if s.ends != 0 {
		soonest(s.ends)
	}
	if s.skipped {
		soonest(now)
	}
	if !s.announced && !s.busy() {
		soonest(s.active + quiet.Microseconds())
	}
	if s.pending == nil && len(s.settled) > 0 {
		soonest(s.settledAt + rideFor.Microseconds())
	}
	if s.pending == nil && s.lagging() {
		soonest(s.flushed + flushEvery.Microseconds())
	}
	for _, l := range s.lanes {
		if l.leaving != 0 {
			soonest(l.leaving)
		}
	}
	return time.Duration(max(next-now, 200)) * time.Microsecond
}

// asked deals with a request of the member.
func (s *session) asked(r *exchangev1.SubscribeRequest) error {
	switch q := r.GetMessage().(type) {
	case *exchangev1.SubscribeRequest_Settle:
		return s.settle(q.Settle)
	case *exchangev1.SubscribeRequest_Credit:
		return s.credit(q.Credit.GetMaxInFlight(), q.Credit.GetMaxBytesInFlight())
	case *exchangev1.SubscribeRequest_Drain:
		s.draining = true
		s.unprepare(s.next)
		s.next = nil
		return nil
	case *exchangev1.SubscribeRequest_Open:
		return fault.Field("open", "subscribe.open", "only the first message opens")
	}
	return fault.Field("message", "subscribe.message", "a request has a message")
}

// busy says whether there is something to deliver, or something under way to be
// written, or that nothing may be delivered: none of it is having caught up.
func (s *session) busy() bool {
	return len(s.ready) > 0 || s.next != nil || s.pending != nil || s.halted != ""
}

// announce tells the member that it has caught up, or that the exchange lives.
func (s *session) announce(now int64) error {
	if !s.announced && !s.busy() && now >= s.active+quiet.Microseconds() {
		caught, err := s.reachedEnd()
		if err != nil {
			return err
		}
		if s.announced = true; caught {
			s.heartbeat(true)
		}
	}
	if now >= s.spoke+heartbeatEvery.Microseconds() {
		s.recheck = now
		caught, err := s.reachedEnd()
		if err != nil {
			return err
		}
		s.heartbeat(caught && !s.busy())
	}
	return nil
}

func (s *session) heartbeat(caughtUp bool) {
	s.told = max(s.told, s.floor())
	s.say(&exchangev1.SubscribeResponse{Message: &exchangev1.SubscribeResponse_Heartbeat{Heartbeat: &exchangev1.SubscribeHeartbeat{
		Sequence: s.read, CaughtUp: caughtUp, Floor: s.floor(),
	}}})
}
