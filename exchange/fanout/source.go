package fanout

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/query"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// read reads what a source is answered with: decided now, and an entry.
func (f *FanOuts) read(ctx context.Context, r *run, s *source) (got reading, state recordsv1.FanOutState, entry uint64, err error) {
	asked := r.of.request.Sources[s.place]
	if !s.live {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, waitOf(asked))
		defer cancel()
	}
	state = notFound
	switch {
	case s.live:
		got.records, err = f.Queries.AnswerLive(ctx, r.caller, &query.Live{
			Topic: s.topic, Acting: r.acting, Subject: asked.Subject, JSON: r.of.request.Json, Supplied: s.records,
		})
		if s.outcome == recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_FOUND {
			state = found
		}
		return got, state, got.records.GetRelease().GetIndex(), err
	case asked.Check != "":
		got.check, err = f.Queries.Check(ctx, r.caller, checkOf(r.acting, asked, false))
		if got.check.GetAnswer() != exchangev1.CheckAnswer_CHECK_ANSWER_NOT_HELD {
			state = found
		}
		return got, state, got.check.GetReceipt().GetIndex(), err
	}
	got.records, err = f.Queries.Answer(ctx, r.caller, queryOf(r.acting, asked, r.of.request.Json, false))
	if len(got.records.GetRecords()) > 0 {
		state = found
	}
	return got, state, got.records.GetRelease().GetIndex(), err
}

// askSupplier publishes the request of a source, if it is not published yet. It
// is decided once more: what was permitted when the fan-out began may not be
// when it goes on.
func (f *FanOuts) askSupplier(ctx context.Context, r *run, s *source) (*source, error) {
	if s.requestPlusOne != 0 {
		return s, nil
	}
	asked := r.of.request.Sources[s.place]
	d, err := f.Queries.Permit(ctx, r.caller, &query.Live{Topic: s.topic, Acting: r.acting, Subject: asked.Subject})
	if err != nil {
		if !refuses(err) {
			return nil, err
		}
		return f.change(ctx, s, "state = $3, rule = $4", unsettled, int64(refused), fault.RuleOf(err))
	}
	// The deadline is in the row before the request is out: published again after
	// a crash it is the same request.
	if s, err = f.change(ctx, s, "deadline = $3", "deadline = 0", f.Clock().Add(waitOf(asked)).UnixMicro()); err != nil {
		return nil, err
	}
	topic, err := f.Topics.Topic(s.topic)
	if err != nil {
		return nil, err
	}
	m := &recordsv1.SupplierRequest{
		RequestId: requestID(s.fanOut, s.place), Supplier: s.provider, Topic: s.topic, Consumer: r.of.participant,
		Purpose: r.acting.GetPurpose(), CaseNumber: r.acting.GetCaseNumber(),
		IdType: asked.Subject.Type, IdNumber: asked.Subject.Number,
		DeadlineUs: s.deadline, LateUntilUs: lateUntil(s),
	}
	if d.Fields != nil {
		m.Fields = topic.Names(d.Fields)
	}
	_, err = f.Board.PutWith(ctx, notice.FanOutRequests, f.derived("request", m.RequestId), m, f.with(s, "request = $5"))
	if err != nil && fault.KindOf(err) != fault.Stale {
		return nil, fmt.Errorf("request %s: %w", m.RequestId, err)
	}
	// A crash here leaves the request with its supplier, whose answer is taken; who
	// asked asks again.
	crashpoint.Here("fanout.asked")
	return f.again(ctx, s)
}

func lateUntil(s *source) int64 { return s.deadline + int64(LateFor/time.Microsecond) }

// requestID names the request of a source; parseRequestID takes it apart.
func requestID(fanOut string, place int) string { return fanOut + "-" + strconv.Itoa(place) }

func parseRequestID(id string) (fanOut string, place int, ok bool) {
	fanOut, text, ok := strings.Cut(id, "-")
	place, err := strconv.Atoi(text)
	return fanOut, place, ok && err == nil && id == requestID(fanOut, place)
}
