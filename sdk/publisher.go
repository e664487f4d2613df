package sdk

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// Defaults and bounds of PublisherConfig.
const (
	DefaultCallRecords   = 1000 // also the most that the exchange takes
	DefaultCallBytes     = 4 << 20
	DefaultCallsInFlight = 4
	DefaultQueueRecords  = 8192
	DefaultQueueBytes    = 32 << 20
	DefaultRetryFor      = 2 * time.Minute
)

// PublisherConfig tunes a Publisher. The zero value is good.
type PublisherConfig struct {
	// CallRecords and CallBytes bound one call: what concurrent callers bring is
	// sent together up to there.
	CallRecords int
	CallBytes   int
	// CallsInFlight is how many calls may be unanswered at once.
	CallsInFlight int
	// QueueRecords and QueueBytes bound what waits or is unanswered in this
	// process. Beyond that publishing blocks: back-pressure.
	QueueRecords int
	QueueBytes   int
	// RetryFor is how long an unanswered call is sent again, with the same
	// idempotency keys, while the exchange cannot be reached. Negative: never.
	RetryFor time.Duration
	// CallUnary sends each publication as a plain unary call, over all of the
	// client's connections, instead of on one stream. Concurrent publications of
	// one record then have no order.
	CallUnary bool
	// Unsigned leaves calls unsigned. The exchange refuses them on topics that
	// require signatures, and nobody can prove later what this system said.
	Unsigned bool
	// Unverified takes receipts as they come.
	Unverified bool
}

func (c PublisherConfig) withDefaults() PublisherConfig {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&c.CallRecords, DefaultCallRecords)
	set(&c.CallBytes, DefaultCallBytes)
	set(&c.CallsInFlight, DefaultCallsInFlight)
	set(&c.QueueRecords, DefaultQueueRecords)
	set(&c.QueueBytes, DefaultQueueBytes)
	c.CallRecords = min(c.CallRecords, DefaultCallRecords)
	if c.RetryFor == 0 {
		c.RetryFor = DefaultRetryFor
	}
	return c
}

// Publisher publishes records of the calling system. It is safe for use by many
// goroutines, and one serves a process.
type Publisher struct {
	client *Client
	cfg    PublisherConfig
	// unit is the least that a publication takes of the queue.
	unit   int64
	room   *semaphore.Weighted
	ctx    context.Context
	cancel context.CancelFunc
	runs   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	queue  fifo
	flight flight
	// down is since when the exchange cannot be reached; zero while it can.
	down time.Time
	// changed wakes the sender.
	changed chan struct{}
}

// Publisher makes a publisher. Close it before the client.
func (c *Client) Publisher(cfg PublisherConfig) *Publisher {
	cfg = cfg.withDefaults()
	p := &Publisher{
		client: c, cfg: cfg,
		unit:    max(int64(cfg.QueueBytes/cfg.QueueRecords), 1),
		room:    semaphore.NewWeighted(int64(cfg.QueueBytes)),
		changed: make(chan struct{}, 1),
	}
	p.flight.init()
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if !cfg.CallUnary {
		p.runs.Go(p.send)
	}
	return p
}

// Publish publishes one record and waits for its receipt. Many goroutines may
// call it at once: their records travel together.
//
// The error is a *fault.Error. If errors.Is(err, ErrUnanswered), whether the
// record is committed is not known: publish it again under the same idempotency
// key (WithIdempotencyKey) to find out safely. Every other error but ErrUnproven
// means that it is not committed.
func (p *Publisher) Publish(ctx context.Context, topic string, m proto.Message, opts ...PublishOption) (*Receipt, error) {
	return p.Do(ctx, Publication{Topic: topic, Message: m}, opts...)
}

// PublishPayload publishes a record given as the protobuf bytes of the topic's
// contract. They are stored and delivered as they are.
func (p *Publisher) PublishPayload(ctx context.Context, topic string, payload []byte, opts ...PublishOption) (*Receipt, error) {
	return p.Do(ctx, Publication{Topic: topic, Payload: payload}, opts...)
}

// PublishJSON publishes a record given as protobuf-JSON. It is converted here,
// by the contract's descriptor from the catalogue, so that it can be signed; the
// ledger shows the same digest either way.
func (p *Publisher) PublishJSON(ctx context.Context, topic string, json []byte, opts ...PublishOption) (*Receipt, error) {
	return p.Do(ctx, Publication{Topic: topic, JSON: json}, opts...)
}

// Remove says that the source no longer holds the record.
func (p *Publisher) Remove(ctx context.Context, topic, key, reason string, opts ...PublishOption) (*Receipt, error) {
	return p.change(ctx, Remove, topic, key, reason, opts)
}

// Revoke withdraws the record; the reason is required. Everybody who received
// the record receives the revocation.
func (p *Publisher) Revoke(ctx context.Context, topic, key, reason string, opts ...PublishOption) (*Receipt, error) {
	return p.change(ctx, Revoke, topic, key, reason, opts)
}

// Suspend puts the record out of force until Resume.
func (p *Publisher) Suspend(ctx context.Context, topic, key, reason string, opts ...PublishOption) (*Receipt, error) {
	return p.change(ctx, Suspend, topic, key, reason, opts)
}

// Resume puts a suspended record into force again.
func (p *Publisher) Resume(ctx context.Context, topic, key, reason string, opts ...PublishOption) (*Receipt, error) {
	return p.change(ctx, Resume, topic, key, reason, opts)
}

// Cancel ends the record in the regular way; the reason is required.
func (p *Publisher) Cancel(ctx context.Context, topic, key, reason string, opts ...PublishOption) (*Receipt, error) {
	return p.change(ctx, Cancel, topic, key, reason, opts)
}

// Supersede says that the record with key successor takes the place of this one.
func (p *Publisher) Supersede(ctx context.Context, topic, key, successor, reason string, opts ...PublishOption) (*Receipt, error) {
	return p.Do(ctx, Publication{Topic: topic, Operation: Supersede, Key: key, Successor: successor, Reason: reason}, opts...)
}

// Erase has payloads and openings of all the record's versions removed for good;
// the reason is required. What the ledger says of them stays, and stays provable.
func (p *Publisher) Erase(ctx context.Context, topic, key, reason string, opts ...PublishOption) (*Receipt, error) {
	return p.change(ctx, Erase, topic, key, reason, opts)
}

func (p *Publisher) change(ctx context.Context, op Operation, topic, key, reason string, opts []PublishOption) (*Receipt, error) {
	return p.Do(ctx, Publication{Topic: topic, Operation: op, Key: key, Reason: reason}, opts...)
}

// Do publishes one publication and waits for its receipt; see Publish.
func (p *Publisher) Do(ctx context.Context, pub Publication, opts ...PublishOption) (*Receipt, error) {
	it, err := p.hand(ctx, ctx, &pub, opts)
	if err != nil {
		return nil, err
	}
	return it.Wait(ctx)
}

// PublishAsync hands a publication over and returns; the answer comes with the
// Pending. It blocks while the queue is full. Publications of one record keep
// the order in which they were handed over. The context bounds the handing over
// only.
func (p *Publisher) PublishAsync(ctx context.Context, pub Publication, opts ...PublishOption) (*Pending, error) {
	it, err := p.hand(ctx, nil, &pub, opts)
	if err != nil {
		return nil, err
	}
	return &it.Pending, nil
}

// LastPosition gives where the calling system stands in one of its sources: what
// it last gave to WithSourcePosition. found is false if it never did.
func (c *Client) LastPosition(ctx context.Context, source string) (position []byte, found bool, err error) {
	resp, err := c.exchange().GetLastPosition(ctx, &exchangev1.GetLastPositionRequest{Source: source})
	if err != nil {
		return nil, false, fault.FromStatus(err)
	}
	return resp.GetPosition().GetPosition(), resp.GetPosition() != nil, nil
}
