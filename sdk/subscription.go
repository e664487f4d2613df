package sdk

import (
	"context"
	"log/slog"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// Defaults of a subscription.
const (
	DefaultConcurrency   = 8
	DefaultMaxInFlight   = 1024
	DefaultBytesInFlight = 8 << 20
	DefaultDrainFor      = 30 * time.Second
)

type subscribeConfig struct {
	member      string
	concurrency int
	inFlight    int
	bytes       int
	json        bool
	unsigned    bool
	inOrder     bool
	position    func(context.Context) (uint64, error)
	onLapsed    func(*fault.Error)
	onCaughtUp  func()
	log         *slog.Logger
}

// SubscribeOption tunes how a subscription is received here. How the exchange
// keeps it (lanes, attempts, backoff, start) is set when it is created.
type SubscribeOption func(*subscribeConfig)

// WithConcurrency says how many deliveries are handled at once; 8 if not given.
// Versions of one record are always handled one after the other, in order.
func WithConcurrency(n int) SubscribeOption {
	return func(c *subscribeConfig) { c.concurrency = n }
}

// WithMember names this member among those that share the subscription; the
// exchange makes a name if not given.
func WithMember(name string) SubscribeOption {
	return func(c *subscribeConfig) { c.member = name }
}

// WithInFlight bounds how many records and bytes may be under way to this member.
func WithInFlight(records, bytes int) SubscribeOption {
	return func(c *subscribeConfig) { c.inFlight, c.bytes = records, bytes }
}

// WithJSON has payloads sent as protobuf-JSON too.
func WithJSON() SubscribeOption {
	return func(c *subscribeConfig) { c.json = true }
}

// WithPosition is for a subscriber that keeps its position beside its own data,
// in one transaction with it. load gives the sequence up to which everything is
// done, and is asked each time the subscription connects. Deliveries then come
// one at a time in the order of their sequences, and one that fails is tried
// again here before anything after it: so what the handler writes down is
// Delivery.Sequence. The subscription needs one lane and no other member.
func WithPosition(load func(context.Context) (uint64, error)) SubscribeOption {
	return func(c *subscribeConfig) { c.position, c.inOrder = load, true }
}

// WithLapsed is told when the exchange stops delivering because the permission
// lapsed, and why. The position is kept; deliveries go on by themselves when the
// permission is back.
func WithLapsed(f func(why *fault.Error)) SubscribeOption {
	return func(c *subscribeConfig) { c.onLapsed = f }
}

// WithCaughtUp is told when everything published so far has been handed over.
func WithCaughtUp(f func()) SubscribeOption {
	return func(c *subscribeConfig) { c.onCaughtUp = f }
}

// WithLogger says where reconnects and failed handlers are noted; nowhere if not
// given. Notes hold no personal data.
func WithLogger(l *slog.Logger) SubscribeOption {
	return func(c *subscribeConfig) { c.log = l }
}

// WithUnsignedAcks leaves acknowledgements unsigned.
func WithUnsignedAcks() SubscribeOption {
	return func(c *subscribeConfig) { c.unsigned = true }
}

// Subscribe receives a subscription of the calling system, by its name, and
// hands each delivery to the handler. It returns once the exchange has opened
// it; from then on it reconnects by itself and ends only by Stop, Drain, the end
// of ctx (as Stop), or a refusal that no waiting changes, which Err gives.
//
// Everything received is checked before the handler sees it: the payload against
// what its publisher committed to, the batch against its release entry, the
// entry against the ledger's signed checkpoint.
func (c *Client) Subscribe(ctx context.Context, name string, h Handler, opts ...SubscribeOption) (*Subscription, error) {
	return subscribe(ctx, c, name, h, opts)
}
