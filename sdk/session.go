package sdk

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

type subscribeStream = grpc.BidiStreamingClient[exchangev1.SubscribeRequest, exchangev1.SubscribeResponse]

// session is one stream of a subscription.
type session struct {
	sub    *Subscription
	stream subscribeStream
	ctx    context.Context
	cancel context.CancelFunc
	// worked says that records came: the exchange is well, whatever ended the
	// stream.
	worked bool
}

// open opens a stream and waits until the exchange has opened the subscription.
// giveUp bounds the opening only.
func (s *Subscription) open(giveUp context.Context) (*session, error) {
	ss := &session{sub: s}
	ss.ctx, ss.cancel = context.WithCancel(s.ctx)
	stop := context.AfterFunc(giveUp, ss.cancel)
	opened, err := ss.hello()
	stop()
	if err == nil && ss.ctx.Err() != nil {
		err = fault.Wrap(fault.KindOfContext(giveUp.Err()), "", giveUp.Err(), "gave up opening the subscription")
	}
	if err != nil {
		ss.cancel()
		return nil, err
	}
	s.begin(opened)
	return ss, nil
}

// standBy opens the first session. A subscriber that keeps its own position waits
// while another receives.
func (s *Subscription) standBy(giveUp context.Context) (*session, error) {
	var wait backoff
	for {
		ss, err := s.open(giveUp)
		if s.cfg.position == nil || !errors.Is(err, &fault.Error{Kind: fault.Conflict, Rule: "member.alone"}) {
			return ss, err
		}
		s.note("another member receives; standing by")
		select {
		case <-giveUp.Done():
			return nil, err
		case <-s.ctx.Done():
			return nil, err
		case <-time.After(wait.next()):
		}
	}
}

func (ss *session) hello() (*exchangev1.SubscribeOpened, error) {
	cfg := &ss.sub.cfg
	open := &exchangev1.SubscribeOpen{
		Subscription: ss.sub.id, Member: ss.sub.memberName(), Json: cfg.json,
		MaxInFlight: uint32(cfg.inFlight), MaxBytesInFlight: uint64(cfg.bytes),
	}
	if cfg.position != nil {
		through, err := cfg.position(ss.ctx)
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "sdk.position", err, "the subscriber's own position cannot be read")
		}
		open.SettledThrough = &through
	}
	var err error
	if ss.stream, err = ss.sub.client.exchange().Subscribe(ss.ctx); err != nil {
		return nil, fault.FromStatus(err)
	}
	// A failed Send has its reason in Recv.
	_ = ss.stream.Send(&exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Open{Open: open}})
	first, err := ss.stream.Recv()
	if err != nil {
		return nil, streamFault(err)
	}
	if first.GetOpened() == nil {
		return nil, unproven("the exchange did not begin with what it opened")
	}
	return first.GetOpened(), nil
}

func streamFault(err error) error {
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Unavailable, "sdk.stream", "the exchange ended the stream")
	}
	return fault.FromStatus(err)
}

// run receives until the stream ends, and settles beside it. It gives io.EOF
// where the exchange ended the stream in order.
func (ss *session) run() error {
	sent := make(chan error, 1)
	go func() {
		err := ss.send()
		if err != nil {
			ss.cancel()
		}
		sent <- err
	}()
	err := ss.receive()
	ss.cancel()
	if fatal := <-sent; fatal != nil {
		return fatal
	}
	return err
}

// receive takes what the exchange sends.
func (ss *session) receive() error {
	for {
		resp, err := ss.stream.Recv()
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		if err != nil {
			return fault.FromStatus(err)
		}
		if err := ss.sub.take(resp); err != nil {
			return err
		}
		ss.worked = ss.worked || resp.GetBatch() != nil
	}
}

// send settles what handlers are done with, and asks to drain when told.
func (ss *session) send() error {
	s := ss.sub
	sign := s.signAcks
	if s.cfg.unsigned {
		sign = nil
	}
	drain := s.draining
	for {
		m, err := s.settler.next(sign)
		if err != nil {
			return err
		}
		if m != nil {
			if ss.stream.Send(&exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Settle{Settle: m}}) != nil {
				return nil // the receiver has the reason
			}
			continue
		}
		select {
		case <-ss.ctx.Done():
			return nil
		case <-drain:
			drain = nil
			if ss.stream.Send(&exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Drain{Drain: &exchangev1.SubscribeDrain{}}}) != nil {
				return nil
			}
		case <-s.settler.wake:
		}
	}
}

// take deals with one message.
func (s *Subscription) take(resp *exchangev1.SubscribeResponse) error {
	switch m := resp.GetMessage().(type) {
	case *exchangev1.SubscribeResponse_Batch:
		return s.batch(m.Batch)
	case *exchangev1.SubscribeResponse_Settled:
		return s.settler.confirmed(m.Settled)
	case *exchangev1.SubscribeResponse_Lapsed:
		return s.lapsed(m.Lapsed)
	case *exchangev1.SubscribeResponse_Heartbeat:
		s.heartbeat(m.Heartbeat)
	}
	return nil
}

// batch checks a release against its entry and hands its deliveries on.
func (s *Subscription) batch(b *exchangev1.DeliveryBatch) error {
	details := make([][verify.HashSize]byte, len(b.GetDeliveries()))
	for i, d := range b.GetDeliveries() {
		details[i] = detailHash(d.GetRecord(), d.GetSequence(), d.GetAttempt())
	}
	receipt, err := s.release(b, details)
	if err != nil {
		return err
	}
	s.caughtUp = false
	parcels := make([]parcel, len(details))
	for i, d := range b.GetDeliveries() {
		p := &parcels[i]
		readRecord(&p.Record, d.GetRecord())
		p.Sequence, p.Attempt, p.Late, p.Snapshot = d.GetSequence(), d.GetAttempt(), d.GetLate(), d.GetSnapshot()
		p.Release, p.detail = receipt, details[i]
		p.lane = s.client.book.order("", p.Token)
		if s.cfg.inOrder {
			// One worker takes all as they come: no lane waits for another.
			p.lane = p.Sequence
		}
		if s.settler.arrived(p) {
			s.work.put(p)
		}
	}
	return nil
}

func (s *Subscription) release(b *exchangev1.DeliveryBatch, details [][verify.HashSize]byte) (*Receipt, error) {
	receipt, entry, err := s.client.log.release(b.GetRelease(), b.GetProof())
	if err != nil {
		return nil, err
	}
	released := entry.GetReleased()
	if released.GetSubscription() != s.id || released.GetConsumer() != s.client.system {
		return nil, unproven("entry %d is of another release", receipt.Index)
	}
	return receipt, covers(released.GetRecords(), released.GetDetailsRoot(), details)
}

// lapsed tells the subscriber. Where the exchange does not go on by itself, the
// subscription is over.
func (s *Subscription) lapsed(l *exchangev1.SubscribeLapsed) error {
	why := problemFault(l.GetProblem())
	s.caughtUp = false // nothing is handed over until it is told anew
	s.note("deliveries stopped", "rule", why.Rule, "waiting", l.GetWaiting())
	if s.cfg.onLapsed != nil {
		s.cfg.onLapsed(why)
	}
	if l.GetWaiting() {
		return nil
	}
	return why
}

func (s *Subscription) heartbeat(h *exchangev1.SubscribeHeartbeat) {
	s.settler.risen(h.GetFloor())
	if h.GetCaughtUp() && !s.caughtUp && s.cfg.onCaughtUp != nil {
		s.cfg.onCaughtUp()
	}
	s.caughtUp = h.GetCaughtUp()
}

// reopen opens a new session after a broken one, as often as it takes.
func (s *Subscription) reopen(wait *backoff) (*session, error) {
	for {
		t := time.NewTimer(wait.next())
		select {
		case <-s.ctx.Done():
			t.Stop()
			return nil, nil
		case <-t.C:
		}
		if s.isDraining() && s.work.idle() {
			return nil, nil
		}
		ss, err := s.open(s.ctx)
		if err == nil || s.ctx.Err() != nil {
			return ss, nil
		}
		if !transient(err) && fault.KindOf(err) != fault.Conflict {
			return nil, err
		}
		s.note("the subscription does not open yet", "kind", fault.KindOf(err), "rule", fault.RuleOf(err))
	}
}
