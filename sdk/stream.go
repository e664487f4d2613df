package sdk

import (
	"context"
	"errors"
	"io"
	"runtime"
	"time"

	"google.golang.org/grpc"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// answerWithin is how long the exchange may stay silent on a call before the
// stream is given up and the call is sent again on a new one.
const answerWithin = time.Minute

type publishStream = grpc.BidiStreamingClient[exchangev1.PublishStreamRequest, exchangev1.PublishStreamResponse]

// send runs one stream after the other until the publisher is closed.
func (p *Publisher) send() {
	for p.ctx.Err() == nil {
		if !p.awaitWork() {
			return
		}
		if err := p.session(); err != nil && p.ctx.Err() == nil {
			p.broken(err)
		}
	}
}

// session sends on one stream until it breaks.
func (p *Publisher) session() error {
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	stream, err := p.client.exchange().PublishStream(ctx)
	if err != nil {
		return fault.FromStatus(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- p.receive(stream)
		cancel()
	}()
	if err := p.pump(ctx, stream); err != nil {
		cancel()
		<-ended
		return err
	}
	return <-ended
}

// pump sends calls until the stream is over; the receiver then has the reason.
func (p *Publisher) pump(ctx context.Context, stream publishStream) error {
	for {
		c, err := p.next(ctx)
		if c == nil {
			return err
		}
		if err := p.seal(c); err != nil {
			return err
		}
		if stream.Send(&exchangev1.PublishStreamRequest{Call: c.request}) != nil {
			return nil
		}
	}
}

// seal makes and signs the request, the first time a call is sent.
func (p *Publisher) seal(c *call) error {
	if c.request != nil {
		return nil
	}
	req := &exchangev1.PublishRequest{Records: make([]*exchangev1.Publication, len(c.items)), SourcePosition: c.source}
	hashes := make([][verify.HashSize]byte, len(c.items))
	for i, it := range c.items {
		req.Records[i], hashes[i] = it.wire, it.statement
	}
	if !p.cfg.Unsigned {
		signature, err := verify.Sign(p.client.id.signer, verify.CallStatement(p.client.system, hashes))
		if err != nil {
			return fault.Wrap(fault.Unauthenticated, "sdk.sign", err, "the call cannot be signed by the certificate's key")
		}
		req.Signature = signature
	}
	c.request, c.first, c.after = req, time.Now(), p.client.log.seen()
	return nil
}

// receive takes the answers, which come in the order of the calls.
func (p *Publisher) receive(stream publishStream) error {
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fault.New(fault.Unavailable, "sdk.stream", "the exchange ended the stream")
		}
		if err != nil {
			return fault.FromStatus(err)
		}
		c, problem := p.answered(resp.GetProblem())
		switch {
		case c == nil && problem == nil:
			return unproven("an answer came to no call")
		case problem == nil:
			p.settle(c, resp.GetResponse())
		case c != nil:
			p.fail(c, problem)
		}
	}
}

// answered takes the call that an answer belongs to out of the flight, unless it
// is to be sent again.
func (p *Publisher) answered(problem *exchangev1.Problem) (*call, error) {
	defer p.wake()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = time.Time{}
	if problem == nil || len(p.flight.sent) == 0 {
		return p.flight.answered(), nil
	}
	f := problemFault(problem)
	if !f.Kind.Retryable() {
		return p.flight.answered(), f
	}
	if p.expired(p.flight.sent[0].first) {
		return p.flight.answered(), unanswered(f)
	}
	p.flight.refused()
	return nil, f
}

// expired says whether what began then is no longer worth trying.
func (p *Publisher) expired(began time.Time) bool {
	return time.Since(began) > p.cfg.RetryFor
}

// broken deals with a lost stream: what was on it is sent again on the next, or
// fails if the error is final or it took too long.
func (p *Publisher) broken(err error) {
	final := !transient(err)
	p.mu.Lock()
	if p.down.IsZero() {
		p.down = time.Now()
	}
	p.flight.lost()
	var failed []*item
	if final || p.expired(p.down) {
		failed = append(p.flight.items(), p.queue.all()...)
		p.flight.init()
		p.queue, p.down = fifo{}, time.Time{}
	}
	p.mu.Unlock()
	for _, it := range failed {
		p.answer(it, nil, unanswered(err))
	}
}

// transient says whether a broken stream or connection may work again by itself:
// not when the exchange refused the caller. An error without a rule was not made
// by the exchange but on the way to it.
func transient(err error) bool {
	switch kind := fault.KindOf(err); kind {
	case fault.Internal, fault.Canceled:
		return fault.RuleOf(err) == ""
	default:
		return kind.Retryable()
	}
}

// awaitWork waits until a stream is needed.
func (p *Publisher) awaitWork() bool {
	for {
		p.mu.Lock()
		wait := time.Duration(-1)
		if p.flight.len() > 0 || p.queue.len() > 0 {
			wait = max(time.Until(p.flight.due), 0)
		}
		p.mu.Unlock()
		if wait == 0 {
			return true
		}
		if !p.pause(p.ctx, wait) {
			return false
		}
	}
}

// pause waits for a change, or for the time if it is not negative. It gives
// false when the context ends.
func (p *Publisher) pause(ctx context.Context, d time.Duration) bool {
	var timer <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-p.changed:
	case <-timer:
	}
	return true
}

// next waits for the next call to send, old ones first. It gives none when the
// stream is over, with an error when the exchange has been silent for too long.
func (p *Publisher) next(ctx context.Context) (*call, error) {
	for ctx.Err() == nil {
		p.gather()
		c, dropped, wait := p.take()
		for _, it := range dropped {
			p.answer(it, nil, fault.Wrap(fault.KindOfContext(it.ctx.Err()), "sdk.queue", it.ctx.Err(), "the caller gave up before it was sent"))
		}
		if c != nil {
			return c, nil
		}
		if wait == 0 {
			return nil, fault.New(fault.Unavailable, "sdk.silent", "the exchange does not answer")
		}
		p.pause(ctx, wait)
	}
	return nil, nil
}

// take gives a call to send now, or how long to wait for the next change.
func (p *Publisher) take() (c *call, dropped []*item, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &p.flight
	wait = -1
	if len(f.sent) > 0 {
		wait = max(answerWithin-time.Since(f.since), 0)
	}
	if len(f.again) > 0 {
		if due := time.Until(f.due); due > 0 {
			return nil, nil, due
		}
		return f.resend(), nil, 0
	}
	if f.len() >= p.cfg.CallsInFlight || p.queue.len() == 0 {
		return nil, nil, wait
	}
	if c, dropped = p.cut(); c != nil {
		f.add(c)
	}
	return c, dropped, wait
}

// gather lets goroutines that are about to publish do so first, so that one call
// carries what comes together. It costs a pass of the scheduler, not a wait.
func (p *Publisher) gather() {
	for before := p.queued(); before > 0 && before < p.cfg.CallRecords; {
		runtime.Gosched()
		now := p.queued()
		if now == before {
			return
		}
		before = now
	}
}

func (p *Publisher) queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.len()
}
