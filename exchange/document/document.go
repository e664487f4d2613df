// Package document keeps documents beside records: forms, scans and samples.
//
// A document comes in chunks, each of which is on disk before it is confirmed. An
// upload that broke off goes on behind what is stored. The document is there once
// all of it is stored, its SHA-256 is found right over what is read back, and a
// ledger entry commits to it. What is not finished in time is swept away, and so is
// what no record names in a longer one: nobody could erase it. What turns
// out to be another document than was said, cut short, altered or larger, is refused
// with an entry; what is only spelt wrongly is refused without.
//
// Each document is sealed by a key of its own, which is sealed in the document's
// row: erasing takes the row's sealed body, in the transaction of the erasure,
// and the chunks, which nobody can read any more, soon after.
package document

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	// MaxSize bounds a document, in bytes.
	MaxSize = 100 << 20
	// ChunkSize is that of every chunk but the last.
	ChunkSize = 1 << 20
	// DefaultKeep is how long an upload is kept after something of it was stored
	// last.
	DefaultKeep = 24 * time.Hour
	// DefaultUnnamed is how long a document is kept that belongs to no publication.
	DefaultUnnamed = 30 * 24 * time.Hour
	// DefaultUnfinished bounds the documents that a participant has begun to bring
	// and not finished, in bytes.
	DefaultUnfinished = 1 << 30
	// leastUnfinished is what an upload counts at least, however small its document:
	// so uploads are bounded in number too.
	leastUnfinished = 64 << 10
)

// Standing reads a caller's standing in a transaction.
type Standing interface {
	Actor(ctx context.Context, tx store.Tx, known *identity.Caller) (*identity.Caller, error)
}

// Refuser commits the entry of a refusal before the caller hears of it.
type Refuser interface {
	Refuse(ctx context.Context, r access.Request, d access.Decision) error
}

// Releaser lets a document leave that belongs to a publication, to whoever may
// query that version; the entry that says so is committed when it returns.
type Releaser interface {
	Document(ctx context.Context, caller *identity.Caller, acting *exchangev1.Acting, index uint64, d *ledgerv1.Document) (*exchangev1.QueryResponse, error)
}

// Config is what documents need.
type Config struct {
	DB       *store.DB
	Journal  *journal.Journal
	Standing Standing
	Refusals Refuser
	Sealer   journal.Sealer
	Releaser Releaser
	// Keep is DefaultKeep if 0, Unnamed is DefaultUnnamed, Unfinished is
	// DefaultUnfinished.
	Keep       time.Duration
	Unnamed    time.Duration
	Unfinished int64
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
	Log   *slog.Logger
	// Broken is called when the database can no longer make a commit durable.
	Broken func(error)
}

// Documents keeps the documents. It is safe for concurrent use.
type Documents struct {
	Config
	writes chan *write
	sweep  chan struct{}
	stop   context.CancelFunc
	ended  context.Context
	done   sync.WaitGroup
}

// Open starts to write and to sweep, until Close.
func Open(c Config) *Documents {
	if c.Keep == 0 {
		c.Keep = DefaultKeep
	}
	if c.Unnamed == 0 {
		c.Unnamed = DefaultUnnamed
	}
	if c.Unfinished == 0 {
		c.Unfinished = DefaultUnfinished
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Documents{Config: c, writes: make(chan *write, atOnce), sweep: make(chan struct{}, 1)}
	d.ended, d.stop = context.WithCancel(context.Background())
	d.done.Go(d.write)
	d.done.Go(d.sweepAll)
	return d
}

// Close ends it. What is not confirmed may be stored or not.
func (d *Documents) Close() {
	d.stop()
	d.done.Wait()
}

// department refuses a caller that is no department's system.
func (d *Documents) department(ctx context.Context, caller *identity.Caller) error {
	if caller.Roles.Has(identity.Department) {
		return nil
	}
	return d.refused(ctx, caller, fault.New(fault.Denied, "role.department", "documents are for department systems; the caller has no such role"))
}

// refused commits the entry of a refusal, and gives the refusal; or why it could
// not be committed.
func (d *Documents) refused(ctx context.Context, caller *identity.Caller, refusal error) error {
	decision := access.Decision{Kind: fault.KindOf(refusal), Rule: fault.RuleOf(refusal)}
	if err := d.Refusals.Refuse(ctx, access.Request{Caller: caller, Action: access.Document}, decision); err != nil {
		return err
	}
	return refusal
}
