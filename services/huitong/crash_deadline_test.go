package main_test

import (
	"context"
	"errors"
	"testing"

	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

// extended starts a clock and extends it, on the database of an exchange that
// does not run: the extension is to be told of when it next does.
func (c *city) extended() {
	c.t.Helper()
	c.offline(func(ctx context.Context, d *identity.Directory, db *store.DB) error {
		j, err := journal.Open(ctx, journal.Config{DB: db, Sealer: d.Keyring, Signer: d.Keyring.Signer()})
		if err != nil {
			return err
		}
		step := func(do func(ctx context.Context, tx store.Tx, at int64) error) error {
			_, err := j.Submit(ctx, &journal.Call{Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
				changed := &ledgerv1.ObjectChanged{Object: "source", Id: "x", Change: "step"}
				return []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Changed{Changed: changed}}}}, do(ctx, tx, slot.At)
			}})
			return err
		}
		err = step(func(ctx context.Context, tx store.Tx, at int64) error {
			return deadline.Start(ctx, tx, at, deadline.Clock{Kind: deadline.GrantAnswerConditional, Object: "g1", Owner: sample.CivilAffairs.Code})
		})
		if err == nil {
			err = step(func(ctx context.Context, tx store.Tx, at int64) error {
				return deadline.Extend(ctx, tx, at, deadline.GrantAnswerConditional, "g1")
			})
		}
		return errors.Join(err, j.Close(ctx))
	})
}

// offline opens the database past the exchange, which does not run.
func (c *city) offline(do func(ctx context.Context, d *identity.Directory, db *store.DB) error) {
	c.t.Helper()
	d, err := identity.Load(c.dir)
	must(c.t, err)
	db, err := store.Open(c.t.Context(), c.database)
	must(c.t, err)
	must(c.t, errors.Join(do(c.t.Context(), d, db), db.Close()))
}

// told waits until the list of deadlines knows that the extension was told of.
func (c *city) told() {
	c.t.Helper()
	d, err := identity.Load(c.dir)
	must(c.t, err)
	operator, err := authority.Connect(c.t.Context(), c.dir, c.processes[0].address, d.Keyring.VerifierKey())
	must(c.t, err)
	defer operator.Close()
	for moment := everyMoment(c.t); ; moment() {
		list, err := accessv1.NewDeadlineServiceClient(operator.Client.Conn()).ListDeadlines(c.t.Context(), &accessv1.ListDeadlinesRequest{})
		must(c.t, err)
		if len(list.Deadlines) == 1 && list.Deadlines[0].EventPlusOne > 0 {
			return
		}
	}
}

// TestKilledBetweenTellingAndMarking: an event of a deadline that was published
// and not marked is published by the next process under the same key, so it is
// told once.
func TestKilledBetweenTellingAndMarking(t *testing.T) {
	c := newCity(t, storetest.URL(t))
	c.stop()
	c.extended()
	for _, p := range c.processes {
		p.start("deadline.before-mark:1")
	}
	moment := everyMoment(t)
	dead := 0
	for dead == 0 {
		for _, p := range c.processes {
			if p.isDead() {
				dead++
			}
		}
		moment()
	}
	for _, p := range c.processes {
		p.kill()
	}
	published := func() (records, untold int) {
		c.offline(func(ctx context.Context, _ *identity.Directory, db *store.DB) error {
			return errors.Join(
				db.Reader().QueryRowContext(ctx, "SELECT count(*) FROM sealed WHERE topic = $1 AND pos > 0", journal.Number(deadline.Topic)).Scan(&records),
				db.Reader().QueryRowContext(ctx, "SELECT count(*) FROM deadlines WHERE untold > 0").Scan(&untold))
		})
		return records, untold
	}
	if records, untold := published(); records != 1 || untold != 1 {
		t.Fatalf("after the kill: %d published, %d untold", records, untold)
	}
	for _, p := range c.processes {
		p.start("")
	}
	c.told()
	c.stop()
	if records, untold := published(); records != 1 || untold != 0 {
		t.Fatalf("in the end: %d published, %d untold", records, untold)
	}
	c.offline(func(ctx context.Context, d *identity.Directory, db *store.DB) error {
		report, err := inspect.Check(ctx, db, d.Keyring, inspect.CheckOptions{})
		if err == nil && report.Wrong != nil {
			err = report.Wrong
		}
		return err
	})
}
