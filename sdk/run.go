package sdk

import (
	"context"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// Publisher publishes records of the calling system.
type Publisher struct {
	client *Client
	cfg    PublisherConfig
}

// Publisher makes a publisher. One serves a process; Close it before the client.
func (c *Client) Publisher(cfg PublisherConfig) *Publisher {
	return &Publisher{client: c, cfg: cfg.withDefaults()}
}

// PublishAsync hands a publication over and returns; the answer comes with the
// Pending. It blocks while the queue is full. Publications of one record keep
// the order in which they were handed over.
func (p *Publisher) PublishAsync(ctx context.Context, pub Publication, opts ...PublishOption) (*Pending, error) {
	return nil, errUnbuilt
}

// PublishBatch publishes in as few calls as the publications fit in, and waits
// for all answers. It is not atomic: each is accepted or refused alone, and its
// Result stands at the same place. The error is that of the whole, where it
// could not even be handed over. The options apply to every publication, but a
// source position to the last: it is stored when all are answered.
func (p *Publisher) PublishBatch(ctx context.Context, pubs []Publication, opts ...PublishOption) ([]Result, error) {
	return nil, errUnbuilt
}

// Flush waits until everything handed over before is answered.
func (p *Publisher) Flush(ctx context.Context) error { return errUnbuilt }

// Close takes nothing more, waits for the answers still due until ctx ends, and
// fails what is left with ErrClosed.
func (p *Publisher) Close(ctx context.Context) error { return errUnbuilt }

// Validate checks publications as PublishBatch would and writes nothing.
func (p *Publisher) Validate(ctx context.Context, pubs []Publication) ([]Result, error) {
	return nil, errUnbuilt
}

// Subscription is a subscription being received here.
type Subscription struct{ closed chan struct{} }

func subscribe(ctx context.Context, c *Client, name string, h Handler, opts []SubscribeOption) (*Subscription, error) {
	return nil, errUnbuilt
}

// ID is the subscription's full name, "<participant>/<system>/<name>".
func (s *Subscription) ID() string { return "" }

// Stop ends the subscription now: handlers' contexts end, what is not settled is
// delivered again later. It does not wait; Closed says when it is over.
func (s *Subscription) Stop() {}

// Drain takes no more deliveries, lets what is under way be handled and settled,
// then ends the subscription. It does not wait; Closed says when it is over.
func (s *Subscription) Drain() {}

// Closed is closed when no handler runs any more and the last settlement is
// confirmed or lost.
func (s *Subscription) Closed() <-chan struct{} { return s.closed }

// Err gives why the subscription ended by itself; nil while it runs and after
// Stop or Drain.
func (s *Subscription) Err() error { return nil }

// Floor gives the sequence up to which everything is settled, by the exchange's
// last confirmation.
func (s *Subscription) Floor() uint64 { return 0 }

// BySubject looks for records about a person or organisation.
func BySubject(s Subject) QueryBy { return func(*exchangev1.QueryRequest) {} }

// ByKey looks for the record with this key.
func ByKey(key string) QueryBy { return func(*exchangev1.QueryRequest) {} }

// ByIndex looks for the version that the entry with this index published.
func ByIndex(index uint64) QueryBy { return func(*exchangev1.QueryRequest) {} }

func (c *Client) query(ctx context.Context, q Query) (*Answer, error) { return nil, errUnbuilt }
