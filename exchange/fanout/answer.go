package fanout

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// The outcomes.
const (
	saysFound    = recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_FOUND
	saysNotFound = recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_NOT_FOUND
	saysRefused  = recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_REFUSED
)

// ruleFormat is what a supplier's rule looks like: a name, and no place for
// anything about a person.
var ruleFormat = regexp.MustCompile(`^[a-z][a-z_]*(\.[a-z][a-z_]*){0,3}$`)

// maxRule bounds a supplier's rule, in bytes.
const maxRule = 64

// attempts is how often something is tried again that others change meanwhile.
const attempts = 8

// Answer takes a supplier's answer to a request. The same answer again changes
// nothing and is answered as the first time; another one is refused.
func (f *FanOuts) Answer(ctx context.Context, caller *identity.Caller, r *exchangev1.AnswerRequestRequest) (*exchangev1.AnswerRequestResponse, error) {
	s, err := f.answeredBy(ctx, caller, r)
	if err != nil {
		return nil, err
	}
	if s.outcome != r.Outcome || s.said != r.Rule || !slices.Equal(s.records, r.Records) {
		twice := fault.New(fault.Conflict, "answer.twice", "the request was answered already, and otherwise; correct the record instead")
		return nil, f.refused(ctx, caller, s, twice)
	}
	f.wake()
	if s.late {
		// A crash before this is made good by the supplier, whose call was not
		// answered, or by the caller, who looks.
		if _, _, err := f.report(ctx, s.fanOut); err != nil {
			return nil, err
		}
	}
	return &exchangev1.AnswerRequestResponse{Late: s.late, Entry: s.answerPlusOne - 1}, nil
}

// answeredBy gives the source that a call answers, as it is answered: by this
// call, or by one before.
func (f *FanOuts) answeredBy(ctx context.Context, caller *identity.Caller, r *exchangev1.AnswerRequestRequest) (*source, error) {
	for range attempts {
		s, err := f.asked(ctx, caller, r)
		if err != nil || s.answerPlusOne != 0 {
			return s, err
		}
		if err := check(r); err != nil {
			return nil, err
		}
		if err := f.fits(ctx, s, r.Records); err != nil {
			return nil, f.refused(ctx, caller, s, err)
		}
		if err := f.say(ctx, caller, s, r); err != nil && fault.KindOf(err) != fault.Stale {
			return nil, err
		}
	}
	return nil, fault.New(fault.Unavailable, "answer.moving", "the request keeps changing; answer again")
}

// asked finds the source that a request is of. To others than its supplier there
// is none.
func (f *FanOuts) asked(ctx context.Context, caller *identity.Caller, r *exchangev1.AnswerRequestRequest) (*source, error) {
	unknown := errNoRequest()
	id, place, ok := parseRequestID(r.RequestId)
	if !ok {
		return nil, unknown
	}
	s, err := f.source(ctx, id, place)
	if err != nil {
		return nil, err
	}
	if s == nil || !s.live || s.deadline == 0 || s.provider != caller.Participant {
		return nil, unknown
	}
	request := access.Request{Caller: caller, Action: access.Publish, Topic: s.topic}
	if d := f.Policy.Decide(request); !d.Allow {
		if err := f.Refusals.Refuse(ctx, request, d); err != nil {
			return nil, err
		}
		return nil, d.Err()
	}
	return s, nil
}

func errNoRequest() error {
	return fault.New(fault.NotFound, "answer.request", "your department was sent no request of this id, or it was erased; answer one that it received")
}

// refused commits the entry of an answer that is none to its request: who asked, and
// an auditor, see that it was given. What could not be decided is no refusal.
func (f *FanOuts) refused(ctx context.Context, caller *identity.Caller, s *source, refusal error) error {
	kind := fault.KindOf(refusal)
	if kind != fault.Invalid && kind != fault.Conflict {
		return refusal
	}
	request := access.Request{Caller: caller, Action: access.Publish, Topic: s.topic}
	d := access.Decision{Kind: kind, Rule: fault.RuleOf(refusal), Topic: s.topic, Provider: s.provider}
	if err := f.Refusals.Refuse(ctx, request, d); err != nil {
		return err
	}
	return refusal
}

// check says whether an answer is one at all.
func check(r *exchangev1.AnswerRequestRequest) error {
	switch r.Outcome {
	case saysFound, saysNotFound, saysRefused:
	default:
		return fault.Field("outcome", "answer.outcome", "is found, not found or refused")
	}
	switch {
	case r.Outcome != saysFound && len(r.Records) > 0:
		return fault.Field("records", "answer.records", "names records only where some were found")
	case r.Outcome == saysFound && (len(r.Records) == 0 || len(r.Records) > MaxRecords):
		return fault.Field("records", "answer.records", "names the 1 to %d entries of what was found; publish it on the topic first", MaxRecords)
	case r.Outcome != saysRefused && r.Rule != "":
		return fault.Field("rule", "answer.rule", "goes with a refusal only")
	case r.Outcome == saysRefused && (len(r.Rule) > maxRule || !ruleFormat.MatchString(r.Rule)):
		return fault.Field("rule", "answer.rule", "names the rule, in lower-case letters, _ and dots: supplier.frozen")
	}
	return nil
}

// fits says whether a first answer is in time and about whom its request asks.
func (f *FanOuts) fits(ctx context.Context, s *source, records []uint64) error {
	if f.now() > lateUntil(s) {
		return fault.New(fault.Conflict, "answer.too_late", "answers are taken until %v after their deadline; nobody waits for this one any more", LateFor)
	}
	of, err := f.find(ctx, s.fanOut)
	if err != nil {
		return fmt.Errorf("fan-out %s: %w", s.fanOut, err)
	}
	if of.erased {
		return errNoRequest()
	}
	topic, err := f.Topics.Topic(s.topic)
	if err != nil {
		return err
	}
	subject := of.request.Sources[s.place].Subject
	for i, index := range records {
		supplied, err := f.Queries.Supplied(ctx, topic, index, subject)
		switch {
		case err != nil:
			return err
		case slices.Contains(records[:i], index):
			return fault.Field("records", "answer.records", "names entry %d twice", index)
		case !supplied.About:
			return fault.Field("records", "answer.subject", "entry %d is no record of %s about whom the request asks", index, s.topic)
		case supplied.At < of.askedAt:
			return fault.Field("records", "answer.before", "entry %d was published before the request; publish what you find now", index)
		}
	}
	return nil
}

// say publishes an answer and gives it to who waits, unless another was before or
// the source moved on meanwhile, which is Stale. Said again after a crash, the
// record has one key.
func (f *FanOuts) say(ctx context.Context, caller *identity.Caller, s *source, r *exchangev1.AnswerRequestRequest) error {
	id, now := requestID(s.fanOut, s.place), f.now()
	late, state := now > s.deadline || s.state == timedOut, s.state
	if s.state == timedOut || late && s.state == waiting {
		state = answeredLate
	}
	_, err := f.Board.PutWith(ctx, notice.FanOutAnswers, f.derived("answer", id), &recordsv1.SupplierAnswer{
		RequestId: id, Supplier: s.provider, System: caller.System, Topic: s.topic, Outcome: r.Outcome, Records: r.Records, Rule: r.Rule, Late: late,
	}, f.with(s, "answer = $5, state = $6, outcome = $7, records = $8, said = $9, said_by = $10, answered_at = $11, late = $12",
		int64(state), int64(r.Outcome), packRecords(r.Records), r.Rule, caller.System, now, number(late)))
	crashpoint.Here("fanout.said")
	return err
}
