package inspect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// CheckOptions say how far a check goes.
type CheckOptions struct {
	// Progress, which may be nil, is told how many entries are checked.
	Progress func(done, total uint64)
	// Index compares the index, too, with one made anew.
	Index bool
}

// Report is what a check found.
type Report struct {
	// Checkpoint is the signed one that everything was checked against.
	Checkpoint   string
	Entries      uint64
	Publications uint64
	Erased       uint64
	Records      uint64
	// SignedCalls had a publisher's signature, which was checked.
	SignedCalls, UnsignedCalls uint64
	// SnapshotCalls are removals that the signed end of a full load asks for.
	SnapshotCalls    uint64
	Acknowledgements uint64
	// Objects is how many rows of the catalogue, grants and subscriptions were
	// compared with the ledger.
	Objects uint64
	// Wrong is the first thing that is wrong; nil if nothing is.
	Wrong *Finding
}

// Finding is something wrong in the database.
type Finding struct {
	Table string
	// Row names the row within the table, by its key; empty if the table as a
	// whole is wrong.
	Row     string
	Message string
}

// Error says what is wrong and where.
func (f *Finding) Error() string {
	if f.Row == "" {
		return f.Table + ": " + f.Message
	}
	return f.Table + ", row " + f.Row + ": " + f.Message
}

func wrong(table string, row any, format string, args ...any) *Finding {
	f := &Finding{Table: table, Message: fmt.Sprintf(format, args...)}
	if row != nil {
		f.Row = fmt.Sprint(row)
	}
	return f
}

// Check derives everything in the database anew from its rows and names the
// first thing that is wrong: the tree, its tiles and edge, the signed
// checkpoint; entries, their order and sequences; openings against their
// commitments, tokens, pointers to present versions; publishers' and receivers'
// signatures by the certificates that the ledger knew; catalogue, grants and
// subscriptions against their last digests; the engine's own structures.
//
// What is no evidence cannot be derived and is looked at for plausibility only:
// positions of publishers in their sources, positions of subscriptions, leases
// and counters of use.
//
// The database must not be served meanwhile. An error says that the check could
// not be made.
func Check(ctx context.Context, db *store.DB, keyring *identity.Keyring, o CheckOptions) (*Report, error) {
	if o.Progress == nil {
		o.Progress = func(uint64, uint64) {}
	}
	c := newChecker(db, keyring, o)
	err := c.run(ctx)
	if errors.As(err, &c.report.Wrong) {
		return c.report, nil
	}
	return c.report, err
}

// checker is one check under way.
type checker struct {
	source
	keyring *identity.Keyring
	options CheckOptions
	report  *Report
	head    *journal.Head
	verify  signatures
	tree    tree
	replay  replay
	objects objects
	cases   caseEntries
	// subscribed are the subscriptions, by id, once their rows were compared.
	subscribed map[string]*exchangev1.Subscription
	enrolments enrolments
	// taken are the notices that were acknowledged.
	taken   map[takenNotice]bool
	reuse   *reuseEntries
	codes   map[string]string // of catalogue entries: the topic of each
	layouts layouts
	persons persons
	steps   verify.Steps
	// consents and acting are what the ledger says of consents and
	// representations.
	consents, acting agreed
	documents        documents
	// suspect names several entries; a closer look may yet name the one.
	suspect *Finding
}

func newChecker(db *store.DB, keyring *identity.Keyring, o CheckOptions) *checker {
	c := &checker{keyring: keyring, options: o, report: &Report{}}
	c.source = source{db: db, keys: keyring, log: slog.New(slog.DiscardHandler)}
	c.verify.certificates = map[string]*certificate{}
	c.verify.snapshots = verify.Snapshots{Origin: keyring.Origin(), Key: c.verify.key}
	c.steps = verify.Steps{Origin: keyring.Origin(), Persons: &c.persons.Persons, Key: c.verify.key}
	c.objects.seen = map[objectID]*object{}
	c.cases, c.reuse = caseEntries{}, newReuseEntries()
	c.documents = newDocuments()
	c.subscribed = map[string]*exchangev1.Subscription{}
	c.taken = map[takenNotice]bool{}
	c.enrolments.of = map[string]*enrolling{}
	c.codes = map[string]string{}
	c.layouts = layouts{known: map[contractID]*layout{}}
	return c
}

func (c *checker) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		c.checkHead, c.checkLedger, c.checkEnd, c.checkRecords, c.checkErasures, c.checkObjects, c.checkRest, c.checkEngine, c.checkIndex,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// checkLedger walks the entries, a tile's worth at a time.
func (c *checker) checkLedger(ctx context.Context) error {
	for from := uint64(0); from < c.head.Size; from += tileWidth {
		to := min(c.head.Size, from+tileWidth)
		rows, err := c.page(ctx, from, to)
		if err != nil {
			return err
		}
		if err := c.tree.page(ctx, c, rows); err != nil {
			return err
		}
		if err := c.checkEntries(ctx, rows); err != nil {
			return err
		}
		c.report.Entries = to
		c.options.Progress(to, c.head.Size)
	}
	return c.verify.endCall(c.report)
}

// checkEntries checks the entries of a page. Where the tree says only that some
// of them are not its own, the first that is wrong otherwise is the one.
func (c *checker) checkEntries(ctx context.Context, rows []row) error {
	err := c.checkKeys(ctx, rows)
	for i := 0; i < len(rows) && err == nil; i++ {
		err = c.checkEntry(ctx, &rows[i])
	}
	var f *Finding
	switch {
	case c.suspect == nil:
		return err
	case errors.As(err, &f) && f.Row != "":
		return wrong("ledger", f.Row, "%s: %s", c.suspect.Message, f.Message)
	case err != nil && f == nil:
		return err
	}
	return c.suspect
}

// checkEngine has the engine look at its own structures.
func (c *checker) checkEngine(ctx context.Context) error {
	for name, part := range map[string]*store.Part{"journal": c.db.Journal, "index": c.db.Index} {
		if name == "index" && !c.options.Index {
			continue
		}
		found, err := part.Verify(ctx)
		if err != nil {
			return unreadable(ctx, c.db, err, name+" database", nil)
		}
		if found != "" {
			return wrong(name+" database", nil, "the engine finds its structures damaged: %s", found)
		}
	}
	return nil
}
