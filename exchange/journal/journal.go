// Package journal is the one way by which anything that must last is written.
//
// Callers submit calls; one writer collects what concurrent callers bring into a
// group and commits it in one transaction: it locks the head row, drops repeats,
// gives consecutive ledger indexes and stream sequences, appends leaves and
// sealed openings, moves the pointers to the present versions, extends the
// Merkle tree, signs the checkpoint and writes the head. Only when COMMIT is on
// disk does a caller get its receipts, each group with its checkpoint.
//
// Any number of processes may write to one database: the head row serialises
// them.
package journal

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
)

const (
	// groupEntries bounds a group. A call larger than that is a group of its own.
	groupEntries = 1000
	// groupBytes bounds a group.
	groupBytes = 4 << 20
	// queueBytes bounds what waits; past it Submit blocks.
	queueBytes = 64 << 20
	// lookAround is how often the head is read for what other processes wrote.
	lookAround = 200 * time.Millisecond
	// MaxSkew is how far this process's clock may be from the database's.
	MaxSkew = 2 * time.Second
)

// Sealer seals what must not be read in the database.
type Sealer interface {
	Seal(plain, associated []byte) ([]byte, error)
	Open(sealed, associated []byte) ([]byte, error)
}

// Config is what a journal needs.
type Config struct {
	DB     *store.DB
	Sealer Sealer
	// Signer signs checkpoints; its name is the log's origin.
	Signer note.Signer
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
	Log   *slog.Logger
	// Erasing are asked, in the transaction of an erasure, to take what they keep
	// of the record.
	Erasing []func(ctx context.Context, tx store.Tx, e Erased) error
	// Attach makes documents of a system belong to the publication at an index, in
	// the transaction; its fault refuses that record alone.
	Attach func(ctx context.Context, tx store.Tx, system string, index uint64, documents [][]byte) error
	// Broken is called once when the database can no longer make a commit
	// durable; the process should stop.
	Broken func(error)
}

// Journal is the open journal.
type Journal struct {
	Config
	queue  queue
	tail   tail
	room   *room
	head   atomic.Pointer[Head]
	signal atomic.Pointer[chan struct{}]
	skewed atomic.Bool
	broken atomic.Bool
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// Open opens the journal of an initialised database and starts its writer.
func Open(ctx context.Context, c Config) (*Journal, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{Config: c, room: newRoom(queueBytes)}
	j.queue.wake = make(chan struct{}, 1)
	first := make(chan struct{})
	j.signal.Store(&first)
	h, err := readHead(ctx, c.DB.Reader(), "")
	if err != nil {
		return nil, err
	}
	if h.Origin != c.Signer.Name() {
		return nil, errors.New("journal: the checkpoint key is for log " + c.Signer.Name() + ", the database holds " + h.Origin)
	}
	h.Published = h.Size
	j.head.Store(h)
	running, stop := context.WithCancel(context.Background())
	j.stop = stop
	j.done.Go(func() { j.run(running) })
	j.done.Go(func() { j.look(running) })
	return j, nil
}

// Submit commits a call and gives what became of it. When it returns an error
// nothing of the call is written, except after fault.Timeout, fault.Canceled and
// fault.Unavailable, where it may yet be: retry with the same idempotency keys.
func (j *Journal) Submit(ctx context.Context, c *Call) (*Commit, error) {
	p, err := j.Begin(ctx, c)
	if err != nil {
		return nil, err
	}
	return p.Wait(ctx)
}

// Pending is a call that waits for its commit.
type Pending struct{ w *waiting }

// Begin queues a call. Calls of one caller that begin one after the other commit
// in that order.
func (j *Journal) Begin(ctx context.Context, c *Call) (*Pending, error) {
	release, err := j.room.acquire(ctx, c.From, int64(c.bytes()))
	if err != nil {
		return nil, fault.Wrap(fault.KindOfContext(err), "journal.busy", err, "the exchange is busy; try again")
	}
	w := &waiting{call: c, done: make(chan struct{}), release: release}
	if !j.queue.put(w) {
		w.release()
		return nil, fault.New(fault.Unavailable, "journal.stopping", "the exchange is stopping; try again")
	}
	return &Pending{w}, nil
}

// Done is closed once Wait would not block.
func (p *Pending) Done() <-chan struct{} { return p.w.done }

// Wait gives what became of the call.
func (p *Pending) Wait(ctx context.Context) (*Commit, error) {
	select {
	case <-p.w.done:
		return p.w.commit, p.w.err
	case <-ctx.Done():
		return nil, fault.Wrap(fault.KindOfContext(ctx.Err()), "", ctx.Err(), "gave up waiting for the commit")
	}
}

// Head gives the newest head that this process knows of.
func (j *Journal) Head() *Head { return j.head.Load() }

// Policy gives the newest count of policy changes that this process knows of.
func (j *Journal) Policy() uint64 { return j.Head().Policy }

// Changed gives a channel that is closed at the next commit seen. Take it before
// reading what is to be waited for.
func (j *Journal) Changed() <-chan struct{} { return *j.signal.Load() }

// Close commits what waits, then stops. ctx bounds it.
func (j *Journal) Close(ctx context.Context) error {
	j.queue.close()
	finished := make(chan struct{})
	go func() { j.done.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-ctx.Done():
		j.stop()
		<-finished
	}
	j.stop()
	return ctx.Err()
}

// run is the writer.
func (j *Journal) run(ctx context.Context) {
	defer j.stop()
	for {
		group := j.queue.take(ctx)
		if group == nil {
			return
		}
		j.commitGroup(ctx, group)
		if err := j.DB.Journal.Breathe(ctx); err != nil && ctx.Err() == nil {
			j.Log.Error("the write-ahead log could not be reset", "error", err)
		}
	}
}

// look learns what other processes commit.
func (j *Journal) look(ctx context.Context) {
	tick := time.NewTicker(lookAround)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h, err := readHead(ctx, j.DB.Reader(), "")
		if err != nil {
			if ctx.Err() == nil {
				j.Log.Warn("the head could not be read", "error", err)
			}
			continue
		}
		j.publishHead(h)
		j.checkClock(ctx)
	}
}

func (j *Journal) checkClock(ctx context.Context) {
	skew, err := j.DB.Journal.Skew(ctx, j.Clock)
	if err != nil {
		return
	}
	bad := skew.Abs() > MaxSkew
	if j.skewed.Swap(bad) != bad {
		j.Log.Warn("clock against the database's", "skew", skew, "refusing", bad)
	}
}

// publishHead makes a head known, unless a newer one is.
func (j *Journal) publishHead(h *Head) {
	for {
		old := j.head.Load()
		if h.Size < old.Size || h.Size == old.Size && h.Policy <= old.Policy {
			return
		}
		h.publishedSince(old)
		if j.head.CompareAndSwap(old, h) {
			break
		}
	}
	next := make(chan struct{})
	close(*j.signal.Swap(&next))
}
