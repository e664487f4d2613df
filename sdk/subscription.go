package sdk

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
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
	batch       int
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
// one after the other in the order of their sequences, and one that fails is
// tried again here before anything after it: so what the handler writes down is
// the last Delivery.Sequence. Only a dead letter that is replayed comes late, out
// of that order: let the position be the largest.
//
// No other member can receive beside it. While one does, Subscribe waits: so a
// second process may stand by, and one that was killed comes back at once.
func WithPosition(load func(context.Context) (uint64, error)) SubscribeOption {
	return func(c *subscribeConfig) { c.position, c.inOrder = load, true }
}

// WithLapsed is told when the exchange stops delivering because the permission
// lapsed, and why. The position is kept; deliveries go on by themselves when the
// permission is back.
func WithLapsed(f func(why *fault.Error)) SubscribeOption {
	return func(c *subscribeConfig) { c.onLapsed = f }
}

// WithCaughtUp is told when everything published so far has been handed over,
// and again after deliveries had stopped.
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
	return c.subscribe(ctx, ctx, name, h.single, 1, opts)
}

// SubscribeBatches is Subscribe for handlers that do better with many deliveries
// at once, up to size of them: one transaction of their own database, say. No
// batch has two versions of one record. Where the handler gives an error, which
// must mean that nothing of the batch was kept, it is called for each delivery
// alone, and only those that fail alone are settled by their error.
func (c *Client) SubscribeBatches(ctx context.Context, name string, size int, h BatchHandler, opts ...SubscribeOption) (*Subscription, error) {
	return c.subscribe(ctx, ctx, name, h, max(size, 1), opts)
}

// subscribe opens a subscription until giveUp ends, and receives it until life
// ends.
func (c *Client) subscribe(giveUp, life context.Context, name string, h BatchHandler, batch int, opts []SubscribeOption) (*Subscription, error) {
	s := &Subscription{
		client: c, id: c.subscriptionID(name), handler: h,
		cfg:     subscribeConfig{batch: batch, concurrency: DefaultConcurrency, inFlight: DefaultMaxInFlight, bytes: DefaultBytesInFlight},
		work:    newDispatcher(),
		settler: newSettler(), draining: make(chan struct{}), closed: make(chan struct{}),
	}
	for _, o := range opts {
		o(&s.cfg)
	}
	if s.cfg.inOrder {
		s.cfg.concurrency = 1
	}
	s.ctx, s.cancel = context.WithCancel(life)
	first, err := s.standBy(giveUp)
	if err != nil {
		s.cancel()
		return nil, err
	}
	go s.run(first)
	return s, nil
}

// Subscription is a subscription being received here.
type Subscription struct {
	client  *Client
	id      string
	handler BatchHandler
	cfg     subscribeConfig
	work    *dispatcher
	settler *settler
	ctx     context.Context
	cancel  context.CancelFunc
	// caughtUp belongs to the session's receiver.
	caughtUp bool

	drainOnce sync.Once
	draining  chan struct{}
	closed    chan struct{}
	mu        sync.Mutex
	member    string
	err       error
}

// ID is the subscription's full name, "<participant>/<system>/<name>".
func (s *Subscription) ID() string { return s.id }

// Member is this member's name among those that share the subscription.
func (s *Subscription) Member() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.member
}

// Stop ends the subscription now: handlers' contexts end, what is not settled is
// delivered again later. It does not wait; Closed says when it is over.
func (s *Subscription) Stop() { s.cancel() }

// Drain takes no more deliveries, lets what is under way be handled and settled,
// then ends the subscription. It does not wait; Closed says when it is over.
func (s *Subscription) Drain() {
	s.drainOnce.Do(func() { close(s.draining) })
}

// Closed is closed when no handler runs any more and the last settlement is
// confirmed or lost.
func (s *Subscription) Closed() <-chan struct{} { return s.closed }

// Err gives why the subscription ended by itself; nil while it runs and after
// Stop or Drain.
func (s *Subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Floor gives the sequence up to which everything is settled, by the exchange's
// last confirmation.
func (s *Subscription) Floor() uint64 { return s.settler.floorNow() }

func (s *Subscription) isDraining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// memberName gives the name to open with: once the exchange has given one, it is
// kept, so that lanes come back to the member that had them.
func (s *Subscription) memberName() string {
	if s.cfg.member != "" {
		return s.cfg.member
	}
	return s.Member()
}

// begin notes what the exchange opened.
func (s *Subscription) begin(o *exchangev1.SubscribeOpened) {
	s.mu.Lock()
	s.member = o.GetMember()
	s.mu.Unlock()
	s.settler.opened(o.GetSubscription().GetFloor())
}

// fail ends the subscription with its first error.
func (s *Subscription) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.cancel()
}

func (s *Subscription) note(text string, args ...any) {
	if s.cfg.log != nil {
		s.cfg.log.Info(text, append([]any{"subscription", s.id}, args...)...)
	}
}

// run receives, session after session, until the end.
func (s *Subscription) run(ss *session) {
	defer close(s.closed)
	defer s.cancel()
	var workers sync.WaitGroup
	defer workers.Wait()
	defer s.work.close()
	for range s.cfg.concurrency {
		workers.Go(s.handle)
	}
	var wait backoff
	for ss != nil {
		began := time.Now()
		err := ss.run()
		switch {
		case s.ctx.Err() != nil, errors.Is(err, io.EOF) && s.isDraining():
			return
		case !errors.Is(err, io.EOF) && !transient(err):
			s.fail(err)
			return
		}
		if ss.worked || time.Since(began) > lastBackoff {
			wait.reset()
		}
		s.note("the stream ended, opening another", "kind", fault.KindOf(err), "rule", fault.RuleOf(err))
		if ss, err = s.reopen(&wait); err != nil {
			s.fail(err)
		}
	}
}
