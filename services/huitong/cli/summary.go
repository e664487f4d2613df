package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
)

// counts is what became of the lines so far.
type counts struct {
	accepted, repeated, refused, warned atomic.Int64
	first, last                         uint64
}

func (c *counts) accept(r *sdk.Receipt) {
	if len(r.Warnings) > 0 {
		c.warned.Add(1)
	}
	if r.Repeat {
		c.repeated.Add(1)
		return
	}
	if c.accepted.Add(1) == 1 {
		c.first = r.Index
	}
	c.last = r.Index
}

// summary is the result of a run.
type summary struct {
	Topic     string  `json:"topic"`
	DryRun    bool    `json:"dry_run,omitempty"`
	AfterLine int64   `json:"after_line,omitempty"`
	Accepted  int64   `json:"accepted"`
	Repeated  int64   `json:"repeated"`
	Refused   int64   `json:"refused"`
	Warned    int64   `json:"warned"`
	First     uint64  `json:"first_entry,omitempty"`
	Last      uint64  `json:"last_entry,omitempty"`
	Seconds   float64 `json:"seconds"`
	// FullLoad says how a full load ended.
	FullLoad json.RawMessage `json:"full_load,omitempty"`
	ByRule   []ruleCount     `json:"refused_by_rule,omitempty"`
	Warnings []ruleCount     `json:"warned_by_rule,omitempty"`
}

func (l *load) summary() *summary {
	return &summary{
		Topic: l.template.topic, DryRun: l.dry, AfterLine: l.begin.Line,
		Accepted: l.counts.accepted.Load(), Repeated: l.counts.repeated.Load(),
		Refused: l.counts.refused.Load(), Warned: l.counts.warned.Load(),
		First: l.counts.first, Last: l.counts.last, Seconds: time.Since(l.started).Seconds(),
		ByRule: l.refused.sorted(), Warnings: l.warned.sorted(),
	}
}

// report prints the result and turns it into the command's end.
func (l *load) report(err error, rejects string) error {
	s := l.summary()
	if l.full != nil && l.full.ended != nil {
		text, failed := compact(l.full.ended)
		if failed != nil {
			return failed
		}
		s.FullLoad = text
	}
	if printed := l.app.printSummary(s); printed != nil {
		return errors.Join(err, printed)
	}
	if err != nil {
		if k := fault.KindOf(err); l.source != "" && !l.dry && (k.Retryable() || k == fault.Canceled) {
			return advise(err, "the same command goes on where this run stopped")
		}
		return err
	}
	if s.Refused == 0 {
		return nil
	}
	refused := fault.New(fault.Invalid, "publish.refused", "%d of %d records were refused", s.Refused, s.Refused+s.Accepted+s.Repeated)
	switch {
	case rejects != "":
		return &coded{advise(refused, "correct the lines in %s, then publish them as a file of their own", rejects), exitPartly}
	case s.Refused > shownRejects:
		return &coded{advise(refused, "--rejects FILE keeps all of them, with the rule and the input"), exitPartly}
	}
	return &coded{refused, exitPartly}
}

func (a *app) printSummary(s *summary) error {
	if a.json() {
		return a.printValue(s)
	}
	rate := ""
	if n := s.Accepted + s.Repeated; n > 0 && s.Seconds > 0 {
		rate = fmt.Sprintf(" in %.1f s (%.0f/s)", s.Seconds, float64(n)/s.Seconds)
	}
	what := "published"
	if s.DryRun {
		what = "would be accepted"
	}
	if s.AfterLine > 0 && s.Accepted+s.Repeated+s.Refused == 0 {
		a.printf("nothing new after line %d\n", s.AfterLine)
		return nil
	}
	a.printf("%d records %s on %s%s", s.Accepted, what, s.Topic, rate)
	if s.Repeated > 0 {
		a.printf(", %d were there already", s.Repeated)
	}
	if s.Refused > 0 {
		a.printf(", %d refused", s.Refused)
	}
	if s.Warned > 0 {
		a.printf(", %d with warnings", s.Warned)
	}
	if s.Last > 0 {
		a.printf("; ledger entries %d to %d", s.First, s.Last)
	}
	a.printf("\n")
	if err := a.printTally("REFUSED BY", s.ByRule); err != nil {
		return err
	}
	return a.printTally("WARNED BY", s.Warnings)
}

func (a *app) printTally(head string, all []ruleCount) error {
	if len(all) == 0 {
		return nil
	}
	a.printf("\n")
	t := newTable(a.out, head, "FIELD", "COUNT")
	for _, c := range all {
		if err := t.row(c.Rule, c.Field, itoa(c.Count)); err != nil {
			return err
		}
	}
	return t.flush()
}

// watch shows progress on a terminal until the function it gives is called.
func (l *load) watch() (stop func()) {
	if !l.app.terminal() {
		return func() {}
	}
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				l.app.clearProgress()
				return
			case <-tick.C:
				l.progress()
			}
		}
	})
	return func() { close(done); ended.Wait() }
}

func (l *load) progress() {
	n := l.counts.accepted.Load() + l.counts.repeated.Load()
	rate := float64(n) / time.Since(l.started).Seconds()
	var more strings.Builder
	if r := l.counts.refused.Load(); r > 0 {
		fmt.Fprintf(&more, ", %d refused", r)
	}
	l.app.notef("\r\x1b[K%d records, %.0f/s%s", n, rate, more.String())
}

// terminal says whether notes are read on a terminal by somebody who waits.
func (a *app) terminal() bool {
	f, ok := a.err.(*os.File)
	return ok && !a.json() && isatty.IsTerminal(f.Fd())
}

// clearProgress makes room for a line of its own.
func (a *app) clearProgress() {
	if a.terminal() {
		a.notef("\r\x1b[K")
	}
}
