package access

import (
	"fmt"
	"slices"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// question is a request with all that its decision rests on.
type question struct {
	Request
	topic *catalog.Topic
	own   bool // the topic is the caller's own
	board bool // the topic is one of the exchange's own
	day   int32
	mode  cataloguev1.DeliveryMode
}

// rule refuses a question; message says what would change that. Rules are asked
// in the order of their table, and the first that refuses is told.
type rule struct {
	name    string
	kind    fault.Kind
	refuses func(q *question) bool
	message string
}

// is limits a rule to some actions.
func is(check func(q *question) bool, actions ...Action) func(q *question) bool {
	return func(q *question) bool { return slices.Contains(actions, q.Action) && check(q) }
}

// onTopic are the actions on records of a topic, reading those that let records
// leave, and standing those that have no case and rest on a grant's standing
// purpose.
var (
	onTopic  = []Action{Publish, Subscribe, Deliver, Query, Check, Peek}
	reading  = []Action{Subscribe, Deliver, Query, Check, Peek}
	standing = []Action{Subscribe, Deliver, Peek}
	// forCase are those made for a case.
	forCase = []Action{Query, Check}
)

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

// rules are what a question must pass before grants are looked at.
var rules = []rule{
	{"role.department", fault.Denied,
		is(func(q *question) bool { return !q.Caller.Roles.Has(identity.Department) && !q.readsBoard() }, onTopic...),
		"records are exchanged between department systems, and the caller is none; use a system that is enrolled as one"},
	{"role.ledger", fault.Denied,
		is(func(q *question) bool {
			return !q.Caller.Roles.Has(identity.Department, identity.Operator, identity.Auditor)
		}, ReadLedger),
		"entries are for those who are party to them and for auditors"},
	{"role.auditor", fault.Denied,
		is(func(q *question) bool { return !q.Caller.Roles.Has(identity.Auditor) }, ExportLedger),
		"the whole ledger is for auditors"},
	{"topic.unknown", fault.NotFound,
		is(func(q *question) bool { return q.topic == nil }, onTopic...),
		"the catalogue has no such topic"},
	{"topic.withdrawn", fault.Denied,
		is(func(q *question) bool { return q.topic.State == cataloguev1.TopicState_TOPIC_STATE_WITHDRAWN }, onTopic...),
		"the topic was withdrawn"},
	{"topic.unpublished", fault.Denied,
		is(func(q *question) bool { return !q.topic.Active() }, onTopic...),
		"the topic is not published yet; submit it, and let the operator review it"},
	{"topic.reserved", fault.Denied,
		is(func(q *question) bool { return q.board }, Publish),
		"only the exchange itself publishes on its own topics; publish on one of your own"},
	{"topic.owner", fault.Denied,
		is(func(q *question) bool { return !q.own }, Publish),
		"only the topic's provider publishes on it; publish on a topic of your own"},
	{"acting.person.required", fault.Denied,
		is(func(q *question) bool { return q.Person == "" }, Query, Check, Peek),
		"name the official who acts, by your department's own reference"},
	{"acting.purpose.required", fault.Denied,
		is(func(q *question) bool { return q.Purpose == "" }, Query, Check, Peek),
		"name the purpose: the code of the service item"},
	{"acting.case.required", fault.Denied,
		is(func(q *question) bool { return q.Case == "" }, Query, Check),
		"name the case number"},
	{"acting.purpose.format", fault.Denied,
		is(func(q *question) bool { return !PurposeGood(q.Purpose) }, Query, Check, Peek),
		"a service item code has 1 to 64 letters, digits and . _ : -"},
	{"acting.size", fault.Denied,
		is(func(q *question) bool { return len(q.Person) > maxReference || len(q.Case) > maxReference }, Query, Check, Peek),
		fmt.Sprintf("person and case are references of at most %d bytes", maxReference)},
	{"check.unknown", fault.Denied,
		is(func(q *question) bool { return q.own }, Check),
		"a check is agreed in a grant, and your own topic needs none; query it"},
	{"topic.not_shared", fault.Denied,
		is(func(q *question) bool {
			return !q.own && q.topic.SharingClass == cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED
		}, reading...),
		"the topic is not shared, on the legal basis that the catalogue names; ask the provider, or the data authority"},
	{"topic.delivery_mode", fault.Denied,
		is(func(q *question) bool { return (!q.own || q.board) && !q.topic.Delivers(q.mode) }, reading...),
		"the topic does not offer this delivery mode; use one that its catalogue entry names"},
}

// grantRules are what a grant must pass to serve a question.
var grantRules = []struct {
	name    string
	refuses func(q *question, g *Grant) bool
	message string
}{
	{"grant.suspended", func(_ *question, g *Grant) bool { return g.State == accessv1.GrantState_GRANT_STATE_SUSPENDED },
		"the grant is suspended; ask the operator to resume it"},
	{"grant.inactive", func(_ *question, g *Grant) bool { return g.State != accessv1.GrantState_GRANT_STATE_ACTIVE },
		"the grant is not in force: it is not agreed yet, or has ended"},
	{"grant.expired", func(q *question, g *Grant) bool { return q.day > g.until },
		"the grant has expired; ask for a new one"},
	{"grant.not_yet_valid", func(q *question, g *Grant) bool { return q.day < g.validFrom },
		"the grant is not valid yet; wait for its first day"},
	{"grant.scope", func(q *question, g *Grant) bool {
		return slices.Contains(forCase, q.Action) && g.scope == accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS
	}, "the grant covers subjects that a subscription enrolled, and is read by subscriptions only"},
	{"grant.delivery_mode", func(q *question, g *Grant) bool { return !g.delivers(q.mode) },
		"the grant does not cover this delivery mode; have it agreed"},
	{"grant.standing_purpose", func(q *question, g *Grant) bool {
		return slices.Contains(standing, q.Action) && (g.StandingPurpose == "" || g.StandingLegalBasis == "")
	}, "the grant states no standing purpose and legal basis for a subscription; have them agreed"},
	{"grant.purpose", func(q *question, g *Grant) bool {
		return slices.Contains(forCase, q.Action) && !slices.Contains(g.ServiceItems, q.Purpose)
	}, "the grant does not name this service item as a purpose; name one that it does, or have this one agreed"},
	{"grant.check", func(q *question, g *Grant) bool { return q.Action == Check && g.Check(q.Check) == nil },
		"the grant has no such check; ask one that it names, or have one agreed"},
	{"grant.threshold", func(q *question, g *Grant) bool { return q.Action == Check && !g.hasThreshold(q.Check, q.Threshold) },
		"the check has no such threshold; choose one that the grant names"},
}

// factRules are what a question must pass that a grant serves: the case must be
// open, the caller's own, for the purpose, and name who is asked about; and the
// consents that topic or item ask for must stand.
var factRules = []rule{
	{"case.unknown", fault.Denied, is(func(q *question) bool { return !q.Facts.Case.Known }, forCase...),
		"your department has no case of this number on the exchange; open it first"},
	{"case.closed", fault.Denied, is(func(q *question) bool { return !q.Facts.Case.Open }, forCase...),
		"the case is closed; nothing more is read for it"},
	{"case.item", fault.Denied, is(func(q *question) bool { return q.Facts.Case.Item != q.Purpose }, forCase...),
		"the case is for another service item than the purpose; name the item that it was opened for"},
	{"case.subject", fault.Denied, is(func(q *question) bool { return !q.Facts.Case.Names }, forCase...),
		"the case does not name who is asked about; only its own subjects are read for it"},
	{"consent.required", fault.Denied, consent(ConsentNone), "this reading needs the subject's consent, and none is on record; record it first"},
	{"consent.elsewhere", fault.Denied, consent(ConsentElsewhere), "the consent on record is for other data, another recipient or another purpose; ask the subject for one that is for this"},
	{"consent.not_yet_valid", fault.Denied, consent(ConsentNotYet), "the consent on record is not valid yet; wait for its first day"},
	{"consent.expired", fault.Denied, consent(ConsentExpired), "the consent on record has expired; ask for a new one"},
	{"consent.revoked", fault.Denied, consent(ConsentRevoked), "the consent on record was revoked; nothing is read without a new one"},
	{"consent.every_adult", fault.Denied, consent(ConsentOfOthers), "every adult of the case has to consent, and one has not"},
}

// consent refuses a question for a case whose consents stand like that.
func consent(standing ConsentStanding) func(q *question) bool {
	return is(func(q *question) bool { return q.Facts.Consent.Standing == standing }, forCase...)
}

// What refuses where there is no rule, and no grant, at all.
const (
	actionUnknown, noRule  = "action.unknown", "no rule allows this"
	grantRequired, noGrant = "grant.required", "reading this topic needs a grant, and the caller has none; ask its provider for one"
)

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
	if r.Topic != "" || slices.Contains(onTopic, r.Action) {
		q.topic, _ = p.Catalogue.Topic(r.Topic)
	}
	if q.topic != nil && !q.topic.KnownTo(caller) {
		q.topic = nil
	}
	if q.topic != nil {
		d.Topic, d.Provider = q.topic.Name, q.topic.Provider
		q.own, q.board = q.topic.Provider == caller.Participant, verify.OwnTopic(q.topic.Name)
	}
	for i := range rules {
		if rules[i].refuses(&q) {
			return d.refuse(rules[i].kind, rules[i].name, rules[i].message)
		}
	}
	if d = p.allow(&q, d); !d.Allow {
		return d
	}
	for i := range factRules {
		if factRules[i].refuses(&q) {
			return d.refuse(factRules[i].kind, factRules[i].name, factRules[i].message)
		}
	}
	if q.Action == Check && !q.agreedToCheck(d.Grant) {
		return d.RefuseBy("consent.elsewhere")
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
	case q.Action == Publish:
	case q.Action == ReadLedger, q.Action == ExportLedger:
		d.All = q.Caller.Roles.Has(identity.Auditor)
	case !slices.Contains(reading, q.Action):
		return d.refuse(fault.Denied, actionUnknown, noRule)
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
	best := -1
	d.Ended = true
	for _, list := range p.candidates(q.topic.Name, q.Caller) {
		for _, g := range list {
			if q.Grant != "" && q.Grant != g.ID {
				continue
			}
			failed := firstRefusal(q, g)
			if failed < 0 {
				d.Allow, d.Grant, d.Fields, d.Scope, d.Ended = true, g, g.Fields(q.topic), g.Scope(), false
				return d
			}
			d.Ended = d.Ended && g.over(q.day)
			if failed > best {
				best = failed
			}
		}
	}
	if best < 0 {
		d.Ended = false // there never was any
		return d.refuse(fault.Denied, grantRequired, noGrant)
	}
	return d.refuse(fault.Denied, grantRules[best].name, grantRules[best].message)
}

func firstRefusal(q *question, g *Grant) int {
	for i := range grantRules {
		if grantRules[i].refuses(q, g) {
			return i
		}
	}
	return -1
}

func (d Decision) refuse(kind fault.Kind, rule, message string) Decision {
	d.Allow, d.Kind, d.Rule, d.Message = false, kind, rule, message
	return d
}
