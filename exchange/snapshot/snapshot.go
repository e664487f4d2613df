// Package snapshot brackets full loads: a provider publishes everything that its
// source holds, and what it no longer mentions is removed.
//
// A load is begun by an entry. What is published behind it is published as
// always; a record that is held (active or suspended) and whose newest version
// is older than that entry was not mentioned. The end is an entry with the
// provider's signature and the exact counts; the removals follow it, each a
// publication like any other that names the entry. So stream, index and
// subscriptions see them without knowing of full loads.
//
// A removal states the version that it removes, so a record that is published
// meanwhile stays. Removals are made in batches under keys that derive from load
// and record: a process that dies between two leaves the rest to whoever comes
// next, and none is made twice.
package snapshot

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

const (
	// DefaultShare is how many of a hundred records may go without the provider
	// stating the number.
	DefaultShare = 10
	// attempts is how often a call is decided while the policy keeps moving.
	attempts = 8
	// look is how often a process looks for an end that another left undone.
	look = 30 * time.Second
)

// Topics finds a topic by name.
type Topics interface {
	Topic(name string) (*catalog.Topic, error)
}

// Decider decides who may load.
type Decider interface {
	Decide(r access.Request) access.Decision
	Refresh(ctx context.Context, policy uint64) error
}

// Refuser commits the entry of a denial before the caller hears of it.
type Refuser interface {
	Refuse(ctx context.Context, r access.Request, d access.Decision) error
}

// Config is what full loads need.
type Config struct {
	DB       *store.DB
	Journal  *journal.Journal
	Topics   Topics
	Access   Decider
	Refusals Refuser
	Keys     intake.Keys
	// Share gives how many of a hundred records of a topic may go without the
	// provider stating the number; DefaultShare if nil.
	Share func() int
	Log   *slog.Logger
}

// Loads keeps the full loads. It is safe for concurrent use.
type Loads struct {
	Config
	// finishing lets one end at a time make its removals in this process.
	finishing sync.Mutex
	stop      context.CancelFunc
	done      sync.WaitGroup
}

// Open starts to finish what ends were left undone, until Close.
func Open(c Config) *Loads {
	if c.Share == nil {
		c.Share = func() int { return DefaultShare }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l := &Loads{Config: c}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.done.Go(func() { l.run(ctx) })
	return l
}

// Close ends it.
func (l *Loads) Close() {
	l.stop()
	l.done.Wait()
}

func (l *Loads) run(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if err := l.finishAll(ctx); err != nil && ctx.Err() == nil {
			l.Log.Warn("the end of a full load is not finished yet", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// decided runs a call that a decision lets through: the topic's provider, and
// nobody else, as the policy stands when it commits.
func (l *Loads) decided(ctx context.Context, caller *identity.Caller, topic string, run func(t *catalog.Topic, policy uint64) error) error {
	request := access.Request{Caller: caller, Action: access.Publish, Topic: topic}
	var err error
	for range attempts {
		d := l.Access.Decide(request)
		if !d.Allow {
			if d.Kind == fault.Denied {
				if err := l.Refusals.Refuse(ctx, request, d); err != nil {
					return err
				}
			}
			return d.Err()
		}
		var t *catalog.Topic
		if t, err = l.Topics.Topic(topic); err != nil {
			return err
		}
		if err = run(t, d.Policy); !errors.Is(err, journal.ErrPolicyMoved) {
			return err
		}
		if err := l.Access.Refresh(ctx, 0); err != nil {
			return err
		}
	}
	return fault.Wrap(fault.Unavailable, "policy.moving", err, "permissions keep changing; try again")
}
