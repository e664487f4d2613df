package cli

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
)

const (
	// markEvery is after how many lines a position may be stored.
	markEvery = 1000
	// linesUnderWay and bytesUnderWay bound what is held in memory.
	linesUnderWay = 8192
	bytesUnderWay = 64 << 20
	// stopWithin bounds the wait for answers when the user breaks a run off.
	stopWithin = 15 * time.Second
)

// load publishes the lines of a file. One goroutine reads and hands over, one
// takes the answers in the order of the lines. A position is stored only when
// every line up to it is answered and the refusals among them are written down.
type load struct {
	app      *app
	client   *sdk.Client
	template *template
	source   string // empty if no position is kept
	dry      bool
	unsigned bool
	lines    *lineReader
	begin    *sourcePosition
	rejects  *rejectFile
	started  time.Time
	// full is the full load that the lines are of; nil if they are of none.
	full *fullLoad

	room    *semaphore.Weighted
	settled atomic.Pointer[sourcePosition]
	counts  counts
	refused tally
	warned  tally
}

// job is a line on its way. Exactly one of pending and err is set, or neither for
// a line that only marks a position.
type job struct {
	line    *line
	cost    int64
	pending *sdk.Pending
	err     error
	mark    *sourcePosition
	// done, of the last job, is closed when everything before it is settled.
	done chan struct{}
}

// run publishes until the input ends, something fails that is not one record's
// fault, or ctx ends.
func (l *load) run(ctx context.Context) error {
	if l.dry {
		return l.check(ctx)
	}
	p := l.publisher()
	l.room = semaphore.NewWeighted(bytesUnderWay)
	reading, stop := context.WithCancelCause(ctx)
	jobs, collected := make(chan *job, linesUnderWay), make(chan error, 1)
	go func() { collected <- l.collect(jobs, stop) }()
	progress := l.watch()
	err := l.read(reading, p, jobs)
	close(jobs)
	// Whoever breaks the run off waits for what is under way, for a while.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	if err == nil {
		closing, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	closed := p.Close(closing)
	fatal := <-collected
	progress()
	stop(nil)
	switch {
	case ctx.Err() != nil:
		return fault.New(fault.Canceled, "publish.interrupted", "broken off")
	case fatal != nil:
		return fatal
	}
	return errors.Join(err, closed)
}

func (l *load) publisher() *sdk.Publisher {
	if l.full != nil {
		return l.full.publisher
	}
	return l.client.Publisher(sdk.PublisherConfig{Unsigned: l.unsigned})
}

// read hands line after line over. The last one waits until all others are
// settled, and takes the position of the end with it.
func (l *load) read(ctx context.Context, p *sdk.Publisher, jobs chan<- *job) error {
	h := &handover{load: l, publisher: p, jobs: jobs, first: true}
	var held *line
	for {
		next, err := l.lines.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if held != nil {
			if err != nil {
				return h.last(ctx, held)
			}
			if err := h.hand(ctx, held, nil); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
		held = next
	}
}

// handover hands lines to the publisher.
type handover struct {
	load      *load
	publisher *sdk.Publisher
	jobs      chan<- *job
	first     bool
	stored    int64
}

func (h *handover) hand(ctx context.Context, line *line, position *sourcePosition) error {
	l := h.load
	j := &job{line: line, cost: min(int64(len(line.raw))+1, bytesUnderWay)}
	if err := l.room.Acquire(ctx, j.cost); err != nil {
		return context.Cause(ctx)
	}
	pub, err := l.template.of(line)
	if err != nil {
		j.err = err
		return h.put(ctx, j)
	}
	if l.source != "" {
		pub.IdempotencyKey = l.begin.key(line.number)
		if position == nil {
			position = h.due()
		}
		if position != nil {
			pub.Source, pub.Position = l.source, position.encode()
		}
	}
	publish := h.publisher.PublishAsync
	if l.full != nil {
		publish = l.full.load.PublishAsync
	}
	if j.pending, j.err = publish(ctx, pub); ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return h.put(ctx, j)
}

// due gives the position that may be stored with the next record: that of the
// run's beginning with the first, then that of what is settled.
func (h *handover) due() *sourcePosition {
	if h.first {
		h.first = false
		h.stored = h.load.begin.Line
		return h.load.begin
	}
	if at := h.load.settled.Load(); at != nil && at.Line >= h.stored+markEvery {
		h.stored = at.Line
		return at
	}
	return nil
}

func (h *handover) put(ctx context.Context, j *job) error {
	if j.line.end != nil && h.load.source != "" {
		j.mark = h.load.begin.at(j.line.end)
	}
	select {
	case h.jobs <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// last hands the last line over.
func (h *handover) last(ctx context.Context, line *line) error {
	l := h.load
	if l.source == "" {
		return h.hand(ctx, line, nil)
	}
	settled := &job{done: make(chan struct{})}
	select {
	case h.jobs <- settled:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-settled.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return h.hand(ctx, line, l.begin.at(l.lines.mark()))
}

// collect takes the answers in the order of the lines. After the first failure
// that is not one record's fault it stops the reader and goes on counting.
func (l *load) collect(jobs <-chan *job, stop context.CancelCauseFunc) (fatal error) {
	for j := range jobs {
		err := l.settle(j)
		if err == nil && fatal == nil {
			err = l.note(j)
		}
		if err != nil && fatal == nil {
			fatal = err
			stop(err)
		}
		l.room.Release(j.cost)
	}
	return fatal
}

// settle waits for one answer. An error ends the run.
func (l *load) settle(j *job) error {
	if j.line == nil {
		return nil
	}
	var receipt *sdk.Receipt
	err := j.err
	if j.pending != nil {
		r := j.pending.Result()
		receipt, err = r.Receipt, r.Err
	}
	return l.count(j.line, receipt, err)
}

// note lets a position be stored, once the refusals before it are written down.
func (l *load) note(j *job) error {
	if j.mark == nil && j.done == nil {
		return nil
	}
	if err := l.rejects.flush(); err != nil {
		return err
	}
	if j.mark != nil {
		l.settled.Store(j.mark)
	}
	if j.done != nil {
		close(j.done)
	}
	return nil
}

// count counts one answer. An error that is not this record's fault is given
// back.
func (l *load) count(line *line, receipt *sdk.Receipt, err error) error {
	if err == nil {
		l.counts.accept(receipt)
		if receipt != nil && len(receipt.Warnings) > 0 {
			l.warned.add("", receipt.Warnings)
		}
		return nil
	}
	f, ok := oneRecords(err)
	if !ok {
		return err
	}
	l.counts.refused.Add(1)
	l.refused.add(f.Rule, f.Violations)
	r := newReject(line, f)
	if l.rejects != nil {
		return l.rejects.write(r)
	}
	if l.counts.refused.Load() <= shownRejects {
		l.app.clearProgress()
		l.app.notef("line %d: %s%s (%s)\n", r.Line, prefixed(r.Field, ": "), r.Message, r.Rule)
	}
	return nil
}

func prefixed(text, separator string) string {
	if text == "" {
		return ""
	}
	return text + separator
}

// oneRecords says whether an error is about one record alone; others would be the
// same for every line.
func oneRecords(err error) (*fault.Error, bool) {
	var f *fault.Error
	if !errors.As(err, &f) || errors.Is(err, sdk.ErrUnproven) || errors.Is(err, sdk.ErrUnanswered) {
		return nil, false
	}
	switch f.Kind {
	case fault.Invalid, fault.TooLarge, fault.Stale, fault.Conflict, fault.NotFound, fault.AlreadyExists:
		return f, true
	}
	return nil, false
}
