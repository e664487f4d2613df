package sdk

import (
	"context"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

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
