package sdk

import (
	"context"

	"google.golang.org/protobuf/proto"
)

// Result answers one publication.
type Result struct {
	Receipt *Receipt
	// Err is a *fault.Error where there is no receipt.
	Err error
}

// Pending is a publication under way.
type Pending struct {
	done   chan struct{}
	result Result
}

// Done is closed when the answer is there.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Wait waits for the answer.
func (p *Pending) Wait(ctx context.Context) (*Receipt, error) {
	select {
	case <-p.done:
		return p.result.Receipt, p.result.Err
	case <-ctx.Done():
		return nil, contextFault(ctx)
	}
}

// Result gives the answer once Done is closed.
func (p *Pending) Result() Result {
	<-p.done
	return p.result
}

// Typed publishes records of one Go type on one topic.
type Typed[M proto.Message] struct {
	publisher *Publisher
	topic     string
}

// For gives a typed publisher: sdk.For[*recordsv1.Certificate](p, "real-estate").
func For[M proto.Message](p *Publisher, topic string) Typed[M] {
	return Typed[M]{p, topic}
}

// Publish publishes one record and waits for its receipt.
func (t Typed[M]) Publish(ctx context.Context, m M, opts ...PublishOption) (*Receipt, error) {
	return t.publisher.Publish(ctx, t.topic, m, opts...)
}

// PublishAsync hands one record over; see Publisher.PublishAsync.
func (t Typed[M]) PublishAsync(ctx context.Context, m M, opts ...PublishOption) (*Pending, error) {
	return t.publisher.PublishAsync(ctx, Publication{Topic: t.topic, Message: m}, opts...)
}

// PublishBatch publishes records in as few calls as they fit in.
func (t Typed[M]) PublishBatch(ctx context.Context, ms []M, opts ...PublishOption) ([]Result, error) {
	pubs := make([]Publication, len(ms))
	for i, m := range ms {
		pubs[i] = Publication{Topic: t.topic, Message: m}
	}
	return t.publisher.PublishBatch(ctx, pubs, opts...)
}

// Revoke withdraws a record by its key.
func (t Typed[M]) Revoke(ctx context.Context, key, reason string, opts ...PublishOption) (*Receipt, error) {
	return t.publisher.Revoke(ctx, t.topic, key, reason, opts...)
}
