package sdk

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// FanOutReportTopic is the exchange's own topic of fan-out reports: who subscribes
// to it hears when an answer came late.
const FanOutReportTopic = "huitong-fanout-reports"

// goOnFor is how long AskAll tries to reach the exchange again.
const goOnFor = time.Minute

// Source is one question of a fan-out: a topic, and a subject of the case.
type Source struct {
	Topic   string
	Subject Subject
	// Check and Threshold name a check of the grant; records are asked if empty.
	Check, Threshold string
	// Wait is how long to wait for it; 10 s if 0, at most 5 minutes.
	Wait time.Duration
}

// FanOutQuestion asks many sources in one call, for one case.
type FanOutQuestion struct {
	// Key is made if it is zero. Ask under the same key to go on with a fan-out:
	// nobody is asked twice.
	Key    IdempotencyKey
	Acting Acting
	// Sources are 1 to 64.
	Sources []Source
	// JSON asks for payloads as protobuf-JSON too.
	JSON bool
	// Progress, if set, is told of each source as it moves on, one at a time.
	Progress func(r *SourceResult)
}

// SourceState is how a source stands.
type SourceState = recordsv1.FanOutState

// The states of a source.
const (
	SourceWaiting  = recordsv1.FanOutState_FAN_OUT_STATE_WAITING
	SourceFound    = recordsv1.FanOutState_FAN_OUT_STATE_FOUND
	SourceNotFound = recordsv1.FanOutState_FAN_OUT_STATE_NOT_FOUND
	SourceRefused  = recordsv1.FanOutState_FAN_OUT_STATE_REFUSED
	SourceTimedOut = recordsv1.FanOutState_FAN_OUT_STATE_TIMED_OUT
	// SourceAnsweredLate: there is an answer, which asking again reads.
	SourceAnsweredLate = recordsv1.FanOutState_FAN_OUT_STATE_ANSWERED_LATE
)

// SourceResult is how one source stands, and what was found.
type SourceResult struct {
	// Place is that of the source among those that were asked.
	Place    int
	Source   Source
	Provider string
	State    SourceState
	// Rule says why it is refused, Message what would change that.
	Rule, Message string
	// Live: a supplier answers. Late: it answered after the deadline.
	Live, Late           bool
	Deadline, AnsweredAt time.Time
	// At is when this was told.
	At time.Time
	// Answer is set where records were asked and read, Checked where a check was.
	Answer  *Answer
	Checked *Checked
}

// FanOut is what came of asking many sources.
type FanOut struct {
	ID string
	// Results are in the order of the sources.
	Results []SourceResult
	// Report says the same without what was found; it is a record of its own, and
	// ReportEntry its entry.
	Report      *recordsv1.FanOutReport
	ReportEntry uint64
}

// AskAll asks many sources in one call and returns when each is answered or its
// deadline has passed. A source that is refused or late is a result and no error.
// Where the connection is lost it goes on for a minute.
//
// Every answer is checked as that of Query or Check is.
func (c *Client) AskAll(ctx context.Context, q FanOutQuestion) (*FanOut, error) {
	if q.Key == (IdempotencyKey{}) {
		q.Key = NewIdempotencyKey()
	}
	until := time.Now().Add(goOnFor)
	for wait := (backoff{}); ; {
		f, err := c.askAll(ctx, &q)
		if err == nil || !fault.KindOf(err).Retryable() || errors.Is(err, ErrUnproven) || ctx.Err() != nil || time.Now().After(until) {
			return f, err
		}
		t := time.NewTimer(wait.next())
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, err
		case <-t.C:
		}
	}
}

func (c *Client) askAll(ctx context.Context, q *FanOutQuestion) (*FanOut, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &exchangev1.AskAllRequest{Key: q.Key[:], Acting: q.Acting.message(), Json: q.JSON}
	for _, s := range q.Sources {
		r.Sources = append(r.Sources, s.message())
	}
	stream, err := exchangev1.NewFanOutServiceClient(c.Conn()).AskAll(ctx, r)
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	f := &FanOut{Results: make([]SourceResult, len(q.Sources))}
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil, endedEarly(err)
		}
		if done := m.GetDone(); done != nil {
			return f, f.finish(done)
		}
		one, err := c.sourceResult(q.Acting.Purpose, m.GetProgress())
		if err != nil {
			return nil, err
		}
		if one.Place >= len(f.Results) {
			return nil, unproven("source %d was not asked", one.Place)
		}
		one.Source = q.Sources[one.Place]
		f.Results[one.Place] = *one
		if q.Progress != nil {
			q.Progress(one)
		}
	}
}

// GetFanOut tells what came of a fan-out of the calling department, with what came
// late, without waiting for anybody. What was found is read again, by the official
// that is named, and each reading is an entry.
func (c *Client) GetFanOut(ctx context.Context, id, person string) (*FanOut, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := exchangev1.NewFanOutServiceClient(c.Conn()).GetFanOut(ctx, &exchangev1.GetFanOutRequest{Id: id, Person: person})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	var told []*exchangev1.FanOutProgress
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil, endedEarly(err)
		}
		done := m.GetDone()
		if done == nil {
			told = append(told, m.GetProgress())
			continue
		}
		f := &FanOut{Results: make([]SourceResult, len(done.GetReport().GetResults()))}
		for _, p := range told {
			one, err := c.sourceResult(done.GetReport().GetPurpose(), p)
			if err != nil {
				return nil, err
			}
			if one.Place >= len(f.Results) {
				return nil, unproven("source %d is not in the report", one.Place)
			}
			f.Results[one.Place] = *one
		}
		return f, f.finish(done)
	}
}

// EraseFanOut erases the report, the requests and the suppliers' answers of a
// fan-out for good, for the department that asked once its case is closed, or for
// the operator. The reason must say why; nobody keeps it. What was found is
// records of their providers, which Publisher.Erase erases.
func (c *Client) EraseFanOut(ctx context.Context, id, reason string) error {
	_, err := exchangev1.NewFanOutServiceClient(c.Conn()).EraseFanOut(ctx, &exchangev1.EraseFanOutRequest{Id: id, Reason: reason})
	return fault.FromStatus(err)
}

// endedEarly is the error of a stream that ended without its last message.
func endedEarly(err error) error {
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Unavailable, "sdk.fan_out", "the exchange ended the call before its report; ask again under the same key")
	}
	return fault.FromStatus(err)
}

func (f *FanOut) finish(done *exchangev1.FanOutDone) error {
	f.ID, f.Report, f.ReportEntry = done.GetId(), done.GetReport(), done.GetEntry()
	if len(f.Report.GetResults()) != len(f.Results) {
		return unproven("the report has %d results, not %d", len(f.Report.GetResults()), len(f.Results))
	}
	return nil
}

// sourceResult checks what a source was answered with.
func (c *Client) sourceResult(purpose string, p *exchangev1.FanOutProgress) (*SourceResult, error) {
	in := p.GetResult()
	s := Source{
		Topic: in.GetTopic(), Subject: Subject{Type: in.GetIdType(), Number: in.GetIdNumber()}, Check: in.GetCheck(), Threshold: in.GetThreshold(),
	}
	r := &SourceResult{
		Place: int(p.GetSource()), Source: s, Provider: in.GetProvider(), State: in.GetState(), Rule: in.GetRule(), Message: p.GetMessage(),
		Live: in.GetLive(), Late: in.GetLate(), Deadline: microTime(in.GetDeadlineUs()), AnsweredAt: microTime(in.GetAnsweredAtUs()),
		At: p.GetAt().AsTime(),
	}
	acting := Acting{Purpose: purpose}
	var err error
	switch {
	case p.GetRecords() != nil:
		r.Answer = &Answer{NextPageToken: p.GetRecords().GetNextPageToken()}
		err = c.readAnswer(r.Answer, &Query{Topic: s.Topic, Acting: acting}, p.GetRecords())
	case p.GetCheck() != nil:
		r.Checked, err = c.readChecked(&Check{Topic: s.Topic, Acting: acting, Name: s.Check, Threshold: s.Threshold}, p.GetCheck())
	}
	return r, err
}

// microTime is the time of µs UTC; zero for 0.
func microTime(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func (s Source) message() *exchangev1.Source {
	m := &exchangev1.Source{
		Topic: s.Topic, Subject: &ledgerv1.Subject{Type: s.Subject.Type, Number: s.Subject.Number, Role: s.Subject.Role},
		Check: s.Check, Threshold: s.Threshold,
	}
	if s.Wait != 0 {
		m.Wait = durationpb.New(s.Wait)
	}
	return m
}
