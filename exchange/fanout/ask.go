package fanout

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/query"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// Ask asks all sources and tells of each as it moves on, one call of tell at a
// time; an error of tell ends it. It returns the report once every source is
// answered or its deadline has passed. Asked again under the same key it goes on
// where it was.
func (f *FanOuts) Ask(ctx context.Context, caller *identity.Caller, r *exchangev1.AskAllRequest, tell func(*exchangev1.FanOutProgress) error) (*exchangev1.FanOutDone, error) {
	n, err := read(r)
	if err != nil {
		return nil, err
	}
	id := f.id(caller.System, n.Key)
	known, err := f.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if known == nil {
		if known, err = f.begin(ctx, caller, id, n); err != nil {
			return nil, err
		}
	}
	if known.erased {
		return nil, errErased()
	}
	if !sameRequest(known.request, n) {
		return nil, fault.New(fault.Conflict, "fan_out.other", "another fan-out has this key: it asks something else; make a new key")
	}
	known.request.Json = n.Json
	return f.run(ctx, &run{caller: caller, of: known, acting: n.Acting, wait: true, tell: tell})
}

// Get tells what came of a fan-out without waiting or asking anybody.
func (f *FanOuts) Get(ctx context.Context, caller *identity.Caller, r *exchangev1.GetFanOutRequest, tell func(*exchangev1.FanOutProgress) error) (*exchangev1.FanOutDone, error) {
	known, err := f.find(ctx, r.Id)
	if err != nil {
		return nil, err
	}
	if known == nil || known.participant != caller.Participant {
		return nil, errUnknown()
	}
	if known.erased {
		return nil, errErased()
	}
	acting := proto.CloneOf(known.request.Acting)
	acting.Person = r.Person
	known.request.Json = r.Json
	return f.run(ctx, &run{caller: caller, of: known, acting: acting, tell: tell})
}

func errUnknown() error {
	return fault.New(fault.NotFound, "fan_out.unknown", "your department has no fan-out of this id")
}

// begin decides each source and writes the fan-out down. What is wrong with the
// call as a whole refuses it; a source that is refused is one that is answered.
func (f *FanOuts) begin(ctx context.Context, caller *identity.Caller, id string, r *exchangev1.AskAllRequest) (*fanOut, error) {
	n := &fanOut{id: id, system: caller.System, participant: caller.Participant, askedAt: f.now(), request: r}
	var sources []*source
	for i, asked := range r.Sources {
		s := &source{fanOut: id, place: i, topic: asked.Topic, state: waiting}
		if t, err := f.Topics.Topic(asked.Topic); err == nil && t.KnownTo(caller) {
			s.provider, s.live = t.Provider, t.AnsweredLive()
		}
		if s.live && asked.Check != "" {
			return nil, fault.Field("sources.check", "fan_out.check_live", "%s is answered live, and no check is asked of it; ask for its records", s.topic)
		}
		err := f.permit(ctx, caller, r.Acting, asked, s.live)
		switch {
		case err == nil:
		case !refuses(err) || ofCall(fault.RuleOf(err)):
			return nil, err
		default:
			s.state, s.rule = refused, fault.RuleOf(err)
		}
		if !s.live {
			s.deadline = n.askedAt + waitOf(asked).Microseconds()
		}
		sources = append(sources, s)
	}
	if err := f.insert(ctx, n, sources); err != nil {
		return nil, err
	}
	return f.find(ctx, id)
}

// permit decides a source; the refusal is entered.
func (f *FanOuts) permit(ctx context.Context, caller *identity.Caller, acting *exchangev1.Acting, s *exchangev1.Source, live bool) (err error) {
	switch {
	case live:
		_, err = f.Queries.Permit(ctx, caller, &query.Live{Topic: s.Topic, Acting: acting, Subject: s.Subject})
	case s.Check != "":
		_, err = f.Queries.Check(ctx, caller, checkOf(acting, s, true))
	default:
		_, err = f.Queries.Answer(ctx, caller, queryOf(acting, s, false, true))
	}
	return err
}

func queryOf(acting *exchangev1.Acting, s *exchangev1.Source, json, validateOnly bool) *exchangev1.QueryRequest {
	return &exchangev1.QueryRequest{
		Topic: s.Topic, Acting: acting, By: &exchangev1.QueryRequest_Subject{Subject: s.Subject}, Json: json, ValidateOnly: validateOnly,
	}
}

func checkOf(acting *exchangev1.Acting, s *exchangev1.Source, validateOnly bool) *exchangev1.CheckRequest {
	return &exchangev1.CheckRequest{
		Topic: s.Topic, Acting: acting, Subject: s.Subject, Check: s.Check, Threshold: s.Threshold, ValidateOnly: validateOnly,
	}
}

// refuses says whether an error is an answer: asking again gives the same.
func refuses(err error) bool {
	switch fault.KindOf(err) {
	case fault.Denied, fault.NotFound, fault.Invalid:
		return true
	}
	return false
}

// ofCaller says whether a rule is about who asks, which is the same for all
// sources; ofCall, whether it is about that or the case.
func ofCaller(rule string) bool {
	return strings.HasPrefix(rule, "role.") || strings.HasPrefix(rule, "acting.")
}

func ofCall(rule string) bool { return ofCaller(rule) || strings.HasPrefix(rule, "case.") }
