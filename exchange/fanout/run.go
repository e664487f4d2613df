package fanout

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// The states of a source.
const (
	waiting      = recordsv1.FanOutState_FAN_OUT_STATE_WAITING
	found        = recordsv1.FanOutState_FAN_OUT_STATE_FOUND
	notFound     = recordsv1.FanOutState_FAN_OUT_STATE_NOT_FOUND
	refused      = recordsv1.FanOutState_FAN_OUT_STATE_REFUSED
	timedOut     = recordsv1.FanOutState_FAN_OUT_STATE_TIMED_OUT
	answeredLate = recordsv1.FanOutState_FAN_OUT_STATE_ANSWERED_LATE
)

// run is one call that asks, or that looks what came of it.
type run struct {
	caller *identity.Caller
	of     *fanOut
	acting *exchangev1.Acting
	// wait: ask who was not asked, and wait for answers.
	wait bool
	room chan struct{}

	mu   sync.Mutex
	tell func(*exchangev1.FanOutProgress) error
}

// reading is what a source was answered, beside how it stands.
type reading struct {
	records *exchangev1.QueryResponse
	check   *exchangev1.CheckResponse
	message string
}

// run brings every source as far as it goes, side by side, and reports. An error
// that is no answer of a source ends the call when the others are done: asked
// again it goes on.
func (f *FanOuts) run(ctx context.Context, r *run) (*exchangev1.FanOutDone, error) {
	sources, err := f.sources(ctx, r.of.id)
	if err != nil {
		return nil, err
	}
	r.room = make(chan struct{}, atOnce)
	errs := make([]error, len(sources))
	var working sync.WaitGroup
	for i, s := range sources {
		working.Go(func() { errs[i] = f.one(ctx, r, s) })
	}
	working.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	report, entry, err := f.report(ctx, r.of.id)
	if err != nil {
		return nil, err
	}
	return &exchangev1.FanOutDone{Id: r.of.id, Report: report, Entry: entry}, nil
}

// one brings a source as far as it goes.
func (f *FanOuts) one(ctx context.Context, r *run, s *source) error {
	var err error
	if s.live && r.wait && (s.state == waiting || s.state == timedOut) {
		if s, err = f.askSupplier(ctx, r, s); err != nil {
			return err
		}
		if s.state == waiting && s.answerPlusOne == 0 {
			if err := r.progress(f, s, reading{}); err != nil {
				return err
			}
			if s, err = f.await(ctx, s); err != nil {
				return err
			}
		}
	}
	var got reading
	if err := r.working(ctx, func() (err error) { s, got, err = f.settle(ctx, r, s); return err }); err != nil {
		return err
	}
	return r.progress(f, s, got)
}

// working does something when there is room for it.
func (r *run) working(ctx context.Context, do func() error) error {
	select {
	case r.room <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.room }()
	return do()
}

// await waits until a supplier has answered or the source's deadline passes, and
// gives the source as it is then.
func (f *FanOuts) await(ctx context.Context, s *source) (*source, error) {
	for every := lookFirst; ; every = min(2*every, lookLast) {
		answered := f.answered()
		now, err := f.again(ctx, s)
		if err != nil || now.answerPlusOne != 0 {
			return now, err
		}
		left := time.Duration(s.deadline-f.now()) * time.Microsecond
		if left <= 0 {
			return now, nil
		}
		look := time.NewTimer(min(left, every))
		select {
		case <-answered:
		case <-look.C:
		case <-ctx.Done():
			look.Stop()
			return nil, ctx.Err()
		}
		look.Stop()
	}
}

// settle reads what a source is answered with, if it can be read now, and writes
// down how it stands.
func (f *FanOuts) settle(ctx context.Context, r *run, s *source) (*source, reading, error) {
	switch {
	case s.state == refused, s.state == notFound:
		return s, reading{}, nil
	case s.live && s.answerPlusOne == 0:
		now, err := f.expire(ctx, s)
		return now, reading{}, err
	case !s.live && !r.wait && s.state != found:
		return s, reading{}, nil
	case s.live && s.outcome == recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_REFUSED:
		now, err := f.change(ctx, s, "state = $3, rule = $4", unsettled, int64(refused), s.said)
		return now, reading{}, err
	}
	got, state, entry, err := f.read(ctx, r, s)
	if err != nil {
		return f.failed(ctx, r, s, err)
	}
	if s.state == found {
		return s, got, nil // read again; how it stands was told
	}
	now, err := f.change(ctx, s, "state = $3, entry = $4, answered_at = CASE WHEN answered_at = 0 THEN $5 ELSE answered_at END", unsettled,
		int64(state), int64(entry)+1, f.now())
	return now, got, err
}

// expire marks a source whose deadline passed without an answer.
func (f *FanOuts) expire(ctx context.Context, s *source) (*source, error) {
	if s.state != waiting || s.deadline == 0 || f.now() < s.deadline {
		return s, nil
	}
	return f.change(ctx, s, "state = $3", "state = $4 AND answer = 0", int64(timedOut), int64(waiting))
}

// failed writes down a refusal or that there was no time; any other error ends
// the call. What was found before stays so: only that it is not read again now is
// told.
func (f *FanOuts) failed(ctx context.Context, r *run, s *source, cause error) (*source, reading, error) {
	state, rule := refused, fault.RuleOf(cause)
	switch {
	case ctx.Err() != nil:
		return nil, reading{}, ctx.Err()
	case errors.Is(cause, context.DeadlineExceeded), fault.KindOf(cause) == fault.Timeout:
		state, rule = timedOut, ""
	case !refuses(cause), ofCaller(rule):
		return nil, reading{}, cause
	}
	got := reading{message: fault.Status(cause).Message()}
	if s.state == found {
		again := *s
		again.state, again.rule = state, rule
		return &again, got, nil
	}
	now, err := f.change(ctx, s, "state = $3, rule = $4", unsettled, int64(state), rule)
	return now, got, err
}

// progress tells how a source stands.
func (r *run) progress(f *FanOuts, s *source, got reading) error {
	p := &exchangev1.FanOutProgress{
		Source: uint32(s.place), Result: result(r.of.request.Sources[s.place], s), At: timestamppb.New(f.Clock().UTC()), Message: got.message,
	}
	switch {
	case got.records != nil:
		p.Answer = &exchangev1.FanOutProgress_Records{Records: got.records}
	case got.check != nil:
		p.Answer = &exchangev1.FanOutProgress_Check{Check: got.check}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tell(p)
}
