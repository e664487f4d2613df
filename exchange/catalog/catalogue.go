// Package catalog keeps who takes part, by which contracts, and on which topics.
//
// Every change is a call to the journal: the row and its ledger entry commit
// together, and the count of policy changes grows by one. Each process holds
// the catalogue in memory and reads, whenever the count moved, just the rows
// that changed since, so ten thousand topics cost a change nothing, and a
// revoked certificate is refused everywhere within the time it takes the other
// processes to see the new count: a quarter of a second.
//
// Rows hold the object's message in the API, and the ledger the digest of these
// bytes: here protobuf is the domain's own form.
package catalog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Config is what a catalogue needs.
type Config struct {
	DB      *store.DB
	Journal *journal.Journal
	// Authority issues and verifies certificates.
	Authority *identity.Authority
	// Keyring seals what names persons.
	Keyring *identity.Keyring
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
	Log   *slog.Logger
}

// Catalogue is the open catalogue: the registry and the changes to it.
type Catalogue struct {
	*Registry
	Config
	// compiling lets one contract at a time be compiled and compared: a large
	// one takes many times its size in memory.
	compiling *semaphore.Weighted
	onEnrol   []OnEnrol
	stop      context.CancelFunc
	done      sync.WaitGroup
}

// OnEnrol makes, in the transaction that enrols a system, what every system has,
// and gives the entries that say so.
type OnEnrol func(ctx context.Context, tx store.Tx, slot journal.Slot, s *cataloguev1.System) ([]journal.Entry, error)

// OnEnrol registers what is made with a system. Call it before the first call to
// enrol one is taken.
func (c *Catalogue) OnEnrol(f OnEnrol) { c.onEnrol = append(c.onEnrol, f) }

// Open loads the catalogue and follows its changes until Close.
func Open(ctx context.Context, c Config) (*Catalogue, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	cat := &Catalogue{Config: c, Registry: newRegistry(c.DB.Reader(), c.Clock), compiling: semaphore.NewWeighted(1)}
	if err := cat.Refresh(ctx, 0); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.Background())
	cat.stop = stop
	cat.done.Go(func() { Follow(running, c.Journal, cat.Registry, c.Log) })
	return cat, nil
}

// Close ends following.
func (c *Catalogue) Close() {
	c.stop()
	c.done.Wait()
}

// Copy is a copy of rows that change with the policy.
type Copy interface {
	// Policy is the count that the copy is complete up to.
	Policy() uint64
	// Refresh brings the copy up to a count, or to the newest if it is 0.
	Refresh(ctx context.Context, atLeast uint64) error
}

// followRetry is how long Follow waits after a refresh that failed.
const followRetry = 100 * time.Millisecond

// Follow refreshes a copy whenever the journal sees a new count, until ctx ends.
func Follow(ctx context.Context, j *journal.Journal, c Copy, log *slog.Logger) {
	for {
		changed := j.Changed()
		var again <-chan time.Time
		if newest := j.Policy(); newest > c.Policy() {
			if err := c.Refresh(ctx, newest); err != nil && ctx.Err() == nil {
				log.Warn("a change of policy could not be read; trying again", "error", err)
				again = time.After(followRetry)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-again:
		}
	}
}

// Current is a copy's place: the count it is complete up to, with one refresh at
// a time and a signal for those who wait for the next.
type Current struct {
	policy  atomic.Uint64
	signal  atomic.Pointer[chan struct{}]
	loading sync.Mutex
}

// NewCurrent makes the place of an empty copy.
func NewCurrent() *Current {
	c := &Current{}
	first := make(chan struct{})
	c.signal.Store(&first)
	return c
}

// Policy is the count that the copy is complete up to. Read it before what a
// decision rests on: a decision may see newer rows than its count says, never
// older ones.
func (c *Current) Policy() uint64 { return c.policy.Load() }

// Changed gives a channel that is closed when the count next moves. Take it
// before reading what is to be waited for.
func (c *Current) Changed() <-chan struct{} { return *c.signal.Load() }

// errBehind says that a database does not have a count that it was asked for.
var errBehind = errors.New("the database does not have that count of policy changes yet")

// Advance runs load with the count seen so far, unless that is at least atLeast
// and atLeast is not 0, and then takes the count that was in force before load.
func (c *Current) Advance(ctx context.Context, tx store.Tx, atLeast uint64, load func(ctx context.Context, since uint64) error) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	if atLeast != 0 && c.Policy() >= atLeast {
		return nil
	}
	// Rows of later counts may be among those that load reads; they are read
	// again at the next refresh, which changes nothing.
	head, err := journal.ReadHead(ctx, tx)
	if err != nil {
		return err
	}
	if head.Policy < atLeast {
		return errBehind
	}
	if err := load(ctx, c.Policy()); err != nil {
		return err
	}
	c.policy.Store(head.Policy)
	next := make(chan struct{})
	close(*c.signal.Swap(&next))
	return nil
}
