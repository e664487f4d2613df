package sdk

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
)

// Handler receives one delivery. Returning nil acknowledges it; an error asks
// for it once more after the subscription's backoff (see RetryAfter and
// DeadLetter for other answers). The context ends when the subscription
// stops; not when it drains, and not when the connection breaks meanwhile.
//
// A delivery may come more than once: after a crash between the handler's work
// and its acknowledgement. Record.Index says whether it is the same.
type Handler func(ctx context.Context, d *Delivery) error

func (h Handler) single(ctx context.Context, ds []*Delivery) error { return h(ctx, ds[0]) }

// BatchHandler receives several deliveries at once; see SubscribeBatches.
type BatchHandler func(ctx context.Context, ds []*Delivery) error

// Delivery is one record on its way to a subscriber.
type Delivery struct {
	Record
	// Sequence is the delivery's place in the stream: what is acknowledged, and
	// what a subscriber that keeps its own position writes down.
	Sequence uint64
	// Attempt counts from 1.
	Attempt uint32
	// Late marks a replayed dead letter: later versions may have come before it.
	Late bool
	// Snapshot marks the present state that the subscription started from.
	Snapshot bool
	// Release is the receipt of the entry that says this record was released to
	// this system; the deliveries of one batch share it.
	Release *Receipt
}

// Handle makes a Handler of a function that takes the decoded record. m is nil
// where the version has no payload (a revocation, a notice, an erased record):
// look at d.Status then.
func Handle[M proto.Message](f func(ctx context.Context, d *Delivery, m M) error) Handler {
	return func(ctx context.Context, d *Delivery) error {
		var m M
		if d.HasPayload() {
			var err error
			if m, err = As[M](&d.Record); err != nil {
				return DeadLetter(err, "the payload does not decode")
			}
		}
		return f(ctx, d, m)
	}
}

// RetryAfter is an answer of a Handler: once more, not before delay.
func RetryAfter(err error, delay time.Duration) error {
	return &answer{cause: err, delay: delay}
}

// DeadLetter is an answer of a Handler: do not try again, set the delivery aside
// as a dead letter. The reason is kept with it and must hold no personal data.
func DeadLetter(err error, reason string) error {
	return &answer{cause: err, dead: true, reason: reason}
}

// answer is how a handler asks for more than "once more".
type answer struct {
	cause  error
	delay  time.Duration
	dead   bool
	reason string
}

func (a *answer) Error() string {
	if a.cause == nil {
		return a.reason
	}
	return a.cause.Error()
}

func (a *answer) Unwrap() error { return a.cause }
