package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// entriesPerRecord is how many entries the ledger has for each record when the
// start is measured: deliveries, queries and refusals make entries too.
const entriesPerRecord = 10

// start measures how long an exchange takes from its start until it has answered
// a call: empty, after an orderly stop, and as a crash leaves it.
func (s *settings) start(ctx context.Context) (*Report, error) {
	r, err := newReport("Start: from opening the directory to the first receipt", s.dir)
	if err != nil {
		return nil, err
	}
	in, err := install(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	p := &publisher{installation: in}
	return r, errors.Join(s.starts(ctx, r, p), in.close())
}

func (s *settings) starts(ctx context.Context, r *Report, p *publisher) error {
	if err := p.restart(ctx, r, "a directory without records", p.stop); err != nil {
		return err
	}
	if err := s.fill(ctx, p); err != nil {
		return err
	}
	if err := p.restart(ctx, r, "after an orderly stop", p.stop); err != nil {
		return err
	}
	return p.restart(ctx, r, "after a crash", p.crash)
}

// fill publishes so many records, and makes the ledger as much longer.
func (s *settings) fill(ctx context.Context, p *publisher) error {
	if _, err := p.run(ctx, thousands, "", Limit{Records: s.records}); err != nil {
		return err
	}
	_, err := load(ctx, "", streamCalls, 1000, Limit{Records: (entriesPerRecord - 1) * s.records}, func(ctx context.Context, _, _ int) error {
		return p.enter(ctx, 1000)
	})
	return err
}

// restart ends the exchange one way, starts it again and measures until a record
// is committed, and until its streams are there again.
func (p *publisher) restart(ctx context.Context, r *Report, name string, end func(ctx context.Context) error) error {
	if err := end(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := p.start(ctx); err != nil {
		return err
	}
	if _, err := p.run(ctx, oneCaller, "", Limit{Records: 1}); err != nil {
		return err
	}
	// run waits for the relay too, so the receipt's time is taken from inside.
	ready := p.answered.Sub(began)
	entries := int(p.node.Journal.Head().Size)
	r.add(Row{Name: "first receipt, " + name, Records: entries, P50: milliseconds(ready), Resident: residentMiB()})
	r.add(Row{Name: "JetStream holds everything, " + name, Records: entries, P50: milliseconds(time.Since(began)), Resident: residentMiB()})
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// stop ends the exchange in order.
func (p *publisher) stop(context.Context) error { return p.halt() }

// crash goes on with a copy of the directory made while the exchange runs and
// nothing is under way: what a killed process leaves.
func (p *publisher) crash(ctx context.Context) error {
	if err := p.settled(ctx); err != nil {
		return err
	}
	left := p.dir + "-crashed"
	if err := os.CopyFS(left, os.DirFS(p.dir)); err != nil {
		return fmt.Errorf("copy the directory: %w", err)
	}
	if err := p.halt(); err != nil {
		return errors.Join(err, os.RemoveAll(left))
	}
	old := p.dir
	p.dir = left
	return os.RemoveAll(old)
}
