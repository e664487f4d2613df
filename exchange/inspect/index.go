package inspect

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

// IndexConfig is what an index needs.
type IndexConfig struct {
	DB      *store.DB
	Journal *journal.Journal
	Keyring *identity.Keyring
	Log     *slog.Logger
}

// Index follows the ledger, so that what is in it can be found. It is safe for
// concurrent use.
type Index struct {
	IndexConfig
	next   atomic.Uint64
	signal atomic.Pointer[chan struct{}]
	// urged has a value while somebody waits for the index.
	urged chan struct{}
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// OpenIndex starts following, until Close. It does not wait for the index to
// come up to the ledger: whoever reads it calls Wait.
func OpenIndex(_ context.Context, c IndexConfig) (*Index, error) {
	if c.DB == nil || c.Journal == nil || c.Keyring == nil {
		return nil, errors.New("inspect: an index needs a database, a journal and a keyring")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	x := &Index{IndexConfig: c, urged: make(chan struct{}, 1)}
	first := make(chan struct{})
	x.signal.Store(&first)
	running, stop := context.WithCancel(context.Background())
	x.stop = stop
	x.done.Go(func() { x.run(running) })
	return x, nil
}

// Close ends following.
func (x *Index) Close() {
	x.stop()
	x.done.Wait()
}

// Wait waits until the index has followed the ledger to a size. A read that
// waits for the head it saw sees every receipt before it.
func (x *Index) Wait(ctx context.Context, size uint64) error {
	for {
		signal := *x.signal.Load()
		if x.next.Load() >= size {
			return nil
		}
		select {
		case x.urged <- struct{}{}:
		default:
		}
		select {
		case <-signal:
		case <-ctx.Done():
			return fault.Wrap(fault.KindOfContext(ctx.Err()), "index.behind", ctx.Err(), "the index is still catching up with the ledger; try again")
		}
	}
}

// Followed gives how many entries the index has followed.
func (x *Index) Followed() uint64 { return x.next.Load() }

// retry is how long the follower waits after an error.
const retry = 200 * time.Millisecond

// run follows until ctx ends. An error is met again from where the index's own
// row says it stands.
func (x *Index) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := x.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		x.Log.Error("the index cannot follow the ledger; trying again", "at", x.next.Load(), "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

func (x *Index) follow(ctx context.Context) error {
	f := &follower{source: source{db: x.DB, keys: x.Keyring, origin: x.Journal.Head().Origin, log: x.Log}}
	if err := f.start(ctx); err != nil {
		return err
	}
	for {
		x.reached(f.next)
		changed := x.Journal.Changed()
		if size := x.Journal.Head().Size; size > f.next {
			if size-f.next < followBatch {
				x.gather(ctx)
			}
			if err := f.step(ctx, x.Journal.Head().Size); err != nil {
				return err
			}
			if err := x.DB.Index.Breathe(ctx); err != nil {
				return err
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// gatherFor is how long commits are gathered for one transaction of the index
// while nobody waits for it: a small one costs nearly as much as a large one, and
// as much as the commit that it follows.
const gatherFor = 50 * time.Millisecond

func (x *Index) gather(ctx context.Context) {
	t := time.NewTimer(gatherFor)
	defer t.Stop()
	select {
	case <-t.C:
	case <-x.urged:
	case <-ctx.Done():
	}
}

// reached tells those who wait how far the index is.
func (x *Index) reached(next uint64) {
	if x.next.Swap(next) == next {
		return
	}
	fresh := make(chan struct{})
	close(*x.signal.Swap(&fresh))
}
