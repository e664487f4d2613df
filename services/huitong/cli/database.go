package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

// databaseFlags name the database of an exchange that is not running.
type databaseFlags struct{ data, database string }

func (f *databaseFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.data, "data", dataDefault(), "data directory [$HUITONG_DATA]")
	c.Flags().StringVar(&f.database, "database", os.Getenv("HUITONG_DATABASE"), "postgres://… of PostgreSQL or CockroachDB; SQLite in the data directory if not given [$HUITONG_DATABASE]")
}

// open opens the keys and the database of a data directory, past the exchange.
func (f *databaseFlags) open(ctx context.Context) (*identity.Directory, *store.DB, error) {
	d, err := identity.Load(f.data)
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(ctx, orElse(f.database, node.DefaultDatabase(f.data)))
	if err != nil {
		return nil, nil, fmt.Errorf("open the database of %s: %w", f.data, err)
	}
	return d, db, nil
}

func (a *app) ledgerFsck() *cobra.Command {
	var f databaseFlags
	var index bool
	c := &cobra.Command{
		Use:   "fsck",
		Short: "Check everything in a data directory against the ledger",
		Long: `Derives the ledger anew from the rows of the database and names the first thing that
is wrong: the tree and its checkpoint, entries and their order, sealed records
against their commitments, present versions, signatures of publishers and receivers,
catalogue and grants. It opens the data directory itself, so the exchange must not be
running. Exit code 6 says that something is wrong.`,
		Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error { return a.fsck(ctx, &f, index) }),
	}
	f.add(c)
	c.Flags().BoolVar(&index, "index", true, "compare the search index, too, with one made anew")
	return c
}

func (a *app) fsck(ctx context.Context, f *databaseFlags, index bool) (err error) {
	d, db, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	progress, done := a.counting("entries checked")
	started := time.Now()
	report, err := inspect.Check(ctx, db, d.Keyring, inspect.CheckOptions{Progress: progress, Index: index})
	done()
	if err != nil {
		return err
	}
	if err := a.printReport(report, time.Since(started)); err != nil {
		return err
	}
	if w := report.Wrong; w != nil {
		return &coded{advise(fmt.Errorf("something is wrong: %w", w), "stop the exchange, keep a copy of the database as it is, and tell the auditor"), exitUnproven}
	}
	return nil
}

func (a *app) printReport(r *inspect.Report, took time.Duration) error {
	if a.json() {
		v := map[string]any{
			"ok": r.Wrong == nil, "entries": r.Entries, "publications": r.Publications, "erased": r.Erased, "records": r.Records,
			"signed_calls": r.SignedCalls, "unsigned_calls": r.UnsignedCalls, "snapshot_calls": r.SnapshotCalls, "acknowledgements": r.Acknowledgements,
			"objects": r.Objects, "checkpoint": r.Checkpoint, "seconds": took.Seconds(),
		}
		if w := r.Wrong; w != nil {
			v["wrong"] = map[string]string{"table": w.Table, "row": w.Row, "message": w.Message}
		}
		return a.printValue(v)
	}
	if r.Wrong != nil {
		a.printf("%d entries were checked until something was wrong\n", r.Entries)
		return nil
	}
	a.printf("nothing is wrong; checked in %s\n", took.Round(time.Millisecond))
	return a.pairs(pair{"entries", itoa(r.Entries)}, pair{"publications", itoa(r.Publications)}, pair{"erased", itoa(r.Erased)},
		pair{"records", itoa(r.Records)}, pair{"signed calls", itoa(r.SignedCalls)}, pair{"unsigned calls", itoa(r.UnsignedCalls)},
		pair{"acknowledgements", itoa(r.Acknowledgements)}, pair{"objects", itoa(r.Objects)})
}

func (a *app) ledgerRebuild() *cobra.Command {
	var f databaseFlags
	c := &cobra.Command{
		Use:   "rebuild",
		Short: "Make anew what is derived in a data directory",
		Long: `Makes everything anew that is derived from the entries: tiles of the tree, idempotency
keys, present versions and the search index. It refuses to do so from entries that do
not make the tree of the signed checkpoint (exit code 6). It opens the data directory
itself, so the exchange must not be running.`,
		Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) (err error) {
			d, db, err := f.open(ctx)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			progress, done := a.counting("steps done")
			started := time.Now()
			err = inspect.Rebuild(ctx, db, d.Keyring, progress)
			done()
			if fault.RuleOf(err) == "rebuild.evidence" {
				return &coded{advise(err, "keep a copy of the database as it is, and tell the auditor"), exitUnproven}
			}
			if err != nil {
				return err
			}
			took := time.Since(started)
			if a.json() {
				return a.printValue(map[string]any{"ok": true, "seconds": took.Seconds()})
			}
			a.printf("everything derived is made anew in %s\n", took.Round(time.Millisecond))
			return nil
		}),
	}
	f.add(c)
	return c
}

// counting shows on a terminal how far something is, a few times a second.
func (a *app) counting(what string) (progress func(done, total uint64), end func()) {
	if !a.terminal() {
		return func(uint64, uint64) {}, func() {}
	}
	var mu sync.Mutex
	var last time.Time
	return func(done, total uint64) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(last) > 250*time.Millisecond {
			last = now
			a.notef("\r\x1b[K%d of %d %s", done, total, what)
		}
	}, a.clearProgress
}
