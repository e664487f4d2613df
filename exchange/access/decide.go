package access

import (
	"slices"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// question is a request with all that its decision rests on, and the rules that
// it is put to.
type question struct {
	Request
	topic *catalog.Topic
	own   bool // the topic is the caller's own
	board bool // the topic is one of the exchange's own
	day   int32
	mode  cataloguev1.DeliveryMode
	plan  *plan
}

// maxPurpose bounds a service item code.
const maxPurpose = 64

// PurposeGood says whether a purpose looks like a service item code, and not like
// a person: codes stand in the ledger in the clear, so nothing else may be
// written there.
func PurposeGood(purpose string) bool {
	if purpose == "" || len(purpose) > maxPurpose || !letterOrDigit(purpose[0]) {
		return false
	}
	for i := range len(purpose) {
		if c := purpose[i]; !letterOrDigit(c) && c != '.' && c != '_' && c != ':' && c != '-' {
			return false
		}
	}
	return !contract.HoldsResidentID(purpose)
}

func letterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// maxReference bounds a person's or case's reference, in bytes.
const maxReference = 128

func reference(text string) bool { return len(text) <= maxReference && contract.OneLine(text) }

// Decide answers a request. A caller whose certificate, system or participant
// is no longer in force is refused, whatever it asks.
func (p *Policy) Decide(r Request) Decision {
	// Before all that it rests on: see catalog.Current.
	d := Decision{Policy: p.Policy(), Kind: fault.Denied}
	q := question{Request: r, day: DayOf(p.Clock()), mode: cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE}
	switch r.Action {
	case Query:
		q.mode = cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY
	case Check:
		q.mode = cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK
	}
	caller, err := p.Catalogue.Caller(r.Caller.Fingerprint)
	if err != nil {
		return d.refuse(fault.KindOf(err), fault.RuleOf(err), fault.Status(err).Message())
	}
	q.Caller = caller // with the roles that it has now
	if r.Topic != "" || slices.Contains(ofTopic, r.Action) {
		q.topic, _ = p.Catalogue.Topic(r.Topic)
	}
	if q.topic != nil && !q.topic.KnownTo(caller) {
		q.topic = nil
	}
	if q.topic != nil {
		d.Topic, d.Provider = q.topic.Name, q.topic.Provider
		q.own, q.board = q.topic.Provider == caller.Participant, verify.OwnTopic(q.topic.Name)
	}
	q.plan = planOf(r.Action)
	if _, refused := first(q.plan[ofRequest], &q, nil); refused != nil {
		return d.refuseBy(refused)
	}
	if d = p.allow(&q, d); !d.Allow {
		return d
	}
	if _, refused := first(q.plan[ofFacts], &q, nil); refused != nil {
		return d.refuseBy(refused)
	}
	if q.Action == Check && !q.agreedToCheck(d.Grant) {
		return d.RefuseBy(consentElsewhere)
	}
	d.Fields = consented(d.Fields, r.Facts.Consent.Fields)
	return d
}

// agreedToCheck says whether all that a check looks at is among the fields that
// the subjects agreed to.
func (q *question) agreedToCheck(g *Grant) bool {
	agreed := q.Facts.Consent.Fields
	if agreed == nil || g == nil {
		return agreed == nil
	}
	fields := q.topic.Mask(g.Check(q.Check).GetFields())
	return len(fields) > 0 && !slices.ContainsFunc(fields, func(n uint32) bool { return !slices.Contains(agreed, n) })
}

// consented limits the fields that may leave to those that the subjects agreed
// to; nil is no limit.
func consented(granted, agreed []uint32) []uint32 {
	if agreed == nil {
		return granted
	}
	fields := []uint32{}
	for _, n := range agreed {
		if granted == nil || slices.Contains(granted, n) {
			fields = append(fields, n)
		}
	}
	return fields
}

// allow decides what no rule refused.
func (p *Policy) allow(q *question, d Decision) Decision {
	switch {
	case q.Action == Publish, slices.Contains(materials, q.Action):
	case q.Action == ReadLedger, q.Action == ExportLedger:
		d.All = q.Caller.Roles.Has(identity.Auditor)
	case q.Action == Status:
		// Nothing of the record leaves, so no grant is asked for and no field goes.
		d.Allow, d.Fields = true, []uint32{}
		return d
	case q.Action == Show && q.topic.SharingClass == cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL:
		d.Allow, d.Fields = true, []uint32{}
		return d
	case !slices.Contains(reading, q.Action):
		return d.RefuseBy(actionUnknown)
	case q.board:
		return q.readBoard(d)
	case q.own:
	case q.Action == Query && q.topic.SharingClass == cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL:
		if d.Fields = q.topic.Unconditional(); d.Fields != nil {
			// Some of its fields need a grant; without one the others are read.
			if granted := p.byGrant(q, d); granted.Allow {
				return granted
			}
		}
	default:
		return p.byGrant(q, d)
	}
	d.Allow, d.Scope = true, ScopeAll
	return d
}

// byGrant finds a grant that serves. If none does, the refusal is that of the
// grant that passed most rules.
func (p *Policy) byGrant(q *question, d Decision) Decision {
	passed, nearest := -1, (*rule)(nil)
	d.Ended = true
	for _, list := range p.candidates(q.topic.Name, q.Caller) {
		for _, g := range list {
			if q.Grant != "" && q.Grant != g.ID {
				continue
			}
			n, refused := first(q.plan[ofGrant], q, g)
			if refused == nil {
				d.Allow, d.Grant, d.Fields, d.Scope, d.Ended = true, g, g.Fields(q.topic), g.Scope(), false
				return d
			}
			d.Ended = d.Ended && g.over(q.day)
			if n > passed {
				passed, nearest = n, refused
			}
		}
	}
	if nearest == nil {
		d.Ended = false // there never was any
		return d.RefuseBy(grantRequired)
	}
	return d.refuseBy(nearest)
}

// refuseBy is the refusal by a rule.
func (d Decision) refuseBy(r *rule) Decision { return d.refuse(r.kind, r.name, r.message) }

func (d Decision) refuse(kind fault.Kind, rule, message string) Decision {
	d.Allow, d.Kind, d.Rule, d.Message = false, kind, rule, message
	return d
}
