package access

import (
	"fmt"
	"slices"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// rule refuses a question of some actions; message says what would change that.
// Rules are asked in the order of their table, and the first that refuses is told.
type rule struct {
	name string
	kind fault.Kind
	step step
	on   []Action
	// refuses is asked with the grant at the step of grants, else with nil. A rule
	// without it is told by the code that comes upon it.
	refuses func(q *question, g *Grant) bool
	message string
}

// step is when a rule is asked, and of what.
type step uint8

const (
	ofRequest step = iota // the caller, the topic and how it is asked
	ofGrants              // whether anything allows it at all
	ofGrant               // each grant; told is the one that comes nearest
	ofFacts               // the case and the consents
	ofRecords             // the records that are found, and the entry's transaction
	steps
)

var asked = [steps]string{
	"the caller, the topic and how it is asked", "the caller's grants on the topic",
	"each grant; told is the one that comes nearest", "the case and the consents",
	"the records, and the use of the grant so far",
}

// The actions that name a topic, and those of them on records by departments;
// those that let records leave; those that have no case and rest on a grant's
// standing purpose; those made for a case; and those by an official.
var (
	ofTopic    = []Action{Publish, Subscribe, Deliver, Query, Check, Peek, Status, Show}
	onTopic    = []Action{Publish, Subscribe, Deliver, Query, Check, Peek}
	reading    = []Action{Subscribe, Deliver, Query, Check, Peek}
	standing   = []Action{Subscribe, Deliver, Peek}
	forCase    = append([]Action{Query, Check}, materials...)
	byOfficial = append([]Action{Peek}, forCase...)
	// materials are those on the materials of a service item; they name no topic.
	materials = []Action{Prepare, Preview, Collect, Submit}
	// byGrant are those for a case that a grant can serve.
	byGrant = []Action{Query, Check}
)

// What is told where no rule's question refuses.
const (
	actionUnknown = "action.unknown"
	grantRequired = "grant.required"
)

// table is all rules.
var table = []rule{
	{"role.department", fault.Denied, ofRequest, append(materials, onTopic...), func(q *question, _ *Grant) bool {
		return !q.Caller.Roles.Has(identity.Department) && !q.readsBoard()
	}, "records are exchanged between department systems, and the caller is none; use a system that is enrolled as one"},
	{"role.ledger", fault.Denied, ofRequest, []Action{ReadLedger}, func(q *question, _ *Grant) bool {
		return !q.Caller.Roles.Has(identity.Department, identity.Operator, identity.Auditor)
	}, "entries are for those who are party to them and for auditors; use a department's or an auditor's system"},
	{"role.auditor", fault.Denied, ofRequest, []Action{ExportLedger}, func(q *question, _ *Grant) bool {
		return !q.Caller.Roles.Has(identity.Auditor)
	}, "the whole ledger is for auditors; use a system that is enrolled as one, or read the entries that you are party to"},
	{"topic.unknown", fault.NotFound, ofRequest, ofTopic, func(q *question, _ *Grant) bool {
		return q.topic == nil
	}, "the catalogue has no such topic; list those that there are"},
	{"topic.withdrawn", fault.Denied, ofRequest, ofTopic, func(q *question, _ *Grant) bool {
		return q.topic.State == cataloguev1.TopicState_TOPIC_STATE_WITHDRAWN
	}, "the topic was withdrawn; ask its provider what took its place"},
	{"topic.unpublished", fault.Denied, ofRequest, ofTopic, func(q *question, _ *Grant) bool {
		return !q.topic.Active()
	}, "the topic is not published yet; submit it, and let the operator review it"},
	{"topic.reserved", fault.Denied, ofRequest, []Action{Publish}, func(q *question, _ *Grant) bool {
		return q.board
	}, "only the exchange itself publishes on its own topics; publish on one of your own"},
	{"topic.owner", fault.Denied, ofRequest, []Action{Publish}, func(q *question, _ *Grant) bool {
		return !q.own
	}, "only the topic's provider publishes on it; publish on a topic of your own"},
	{"acting.person.required", fault.Denied, ofRequest, byOfficial, func(q *question, _ *Grant) bool {
		return q.Person == ""
	}, "name the official who acts, by your department's own reference"},
	{"acting.purpose.required", fault.Denied, ofRequest, byOfficial, func(q *question, _ *Grant) bool {
		return q.Purpose == ""
	}, "name the purpose: the code of the service item"},
	{"acting.case.required", fault.Denied, ofRequest, forCase, func(q *question, _ *Grant) bool {
		return q.Case == ""
	}, "name the case number"},
	{"acting.purpose.format", fault.Denied, ofRequest, byOfficial, func(q *question, _ *Grant) bool {
		return !PurposeGood(q.Purpose)
	}, "a service item code has 1 to 64 letters, digits and . _ : -"},
	{"acting.size", fault.Denied, ofRequest, byOfficial, func(q *question, _ *Grant) bool {
		return !reference(q.Person) || !reference(q.Case)
	}, fmt.Sprintf("person and case are references of at most %d bytes, in one line without control characters", maxReference)},
	{"check.unknown", fault.Denied, ofRequest, []Action{Check}, func(q *question, _ *Grant) bool {
		return q.own
	}, "a check is agreed in a grant, and your own topic needs none; query it"},
	{"topic.not_shared", fault.Denied, ofRequest, reading, func(q *question, _ *Grant) bool {
		return !q.own && q.topic.SharingClass == cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED
	}, "the topic is not shared, on the legal basis that the catalogue names; ask the provider, or the data authority"},
	{"topic.delivery_mode", fault.Denied, ofRequest, reading, func(q *question, _ *Grant) bool {
		return (!q.own || q.board) && !q.topic.Delivers(q.mode)
	}, "the topic does not offer this delivery mode; use one that its catalogue entry names"},
	{"topic.answered_live", fault.Denied, ofRequest, []Action{Query, Check}, func(q *question, _ *Grant) bool {
		return !q.own && q.topic.AnsweredLive() && !q.Live
	}, "the topic is answered live, and what it holds is past answers; ask its provider by a fan-out"},

	{actionUnknown, fault.Denied, ofGrants, nil, nil, "no rule allows this"},
	{grantRequired, fault.Denied, ofGrants, nil, nil, "reading this topic needs a grant, and the caller has none; ask its provider for one"},

	// What a grant covers comes before whether it is in force: of several grants the
	// one that would serve, were it in force, is the one that comes nearest.
	{"grant.scope", fault.Denied, ofGrant, byGrant, func(_ *question, g *Grant) bool {
		return g.scope == accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS
	}, "the grant covers subjects that a subscription enrolled, and is read by subscriptions only"},
	{"grant.delivery_mode", fault.Denied, ofGrant, reading, func(q *question, g *Grant) bool {
		return !g.delivers(q.mode)
	}, "the grant does not cover this delivery mode; have it agreed"},
	{"grant.standing_purpose", fault.Denied, ofGrant, standing, func(_ *question, g *Grant) bool {
		return g.StandingPurpose == "" || g.StandingLegalBasis == ""
	}, "the grant states no standing purpose and legal basis for a subscription; have them agreed"},
	{"grant.purpose", fault.Denied, ofGrant, byGrant, func(q *question, g *Grant) bool {
		return !slices.Contains(g.ServiceItems, q.Purpose)
	}, "the grant does not name this service item as a purpose; name one that it does, or have this one agreed"},
	{"grant.check", fault.Denied, ofGrant, []Action{Check}, func(q *question, g *Grant) bool {
		return g.Check(q.Check) == nil
	}, "the grant has no such check; ask one that it names, or have one agreed"},
	{"grant.threshold", fault.Denied, ofGrant, []Action{Check}, func(q *question, g *Grant) bool {
		return !g.hasThreshold(q.Check, q.Threshold)
	}, "the check has no such threshold; choose one that the grant names"},
	{"grant.suspended", fault.Denied, ofGrant, reading, func(_ *question, g *Grant) bool {
		return g.State == accessv1.GrantState_GRANT_STATE_SUSPENDED
	}, "the grant is suspended; the side that suspended it may resume it, and the operator"},
	{"grant.inactive", fault.Denied, ofGrant, reading, func(_ *question, g *Grant) bool {
		return g.State != accessv1.GrantState_GRANT_STATE_ACTIVE
	}, "the grant is not in force: it is not agreed yet, or has ended; see its state, and ask for a new one if it has"},
	{"grant.expired", fault.Denied, ofGrant, reading, func(q *question, g *Grant) bool {
		return q.day > g.until
	}, "the grant has expired; ask for a new one"},
	{"grant.not_yet_valid", fault.Denied, ofGrant, reading, func(q *question, g *Grant) bool {
		return q.day < g.validFrom
	}, "the grant is not valid yet; wait for its first day"},

	{"case.unknown", fault.Denied, ofFacts, forCase, func(q *question, _ *Grant) bool {
		return !q.Facts.Case.Known
	}, "your department has no case of this number on the exchange; open it first"},
	{"case.closed", fault.Denied, ofFacts, forCase, func(q *question, _ *Grant) bool {
		return !q.Facts.Case.Open
	}, "the case is closed; nothing more is read for it"},
	{"case.item", fault.Denied, ofFacts, forCase, func(q *question, _ *Grant) bool {
		return q.Facts.Case.Item != q.Purpose
	}, "the case is for another service item than the purpose; name the item that it was opened for"},
	{"case.subject", fault.Denied, ofFacts, forCase, func(q *question, _ *Grant) bool {
		return !q.Facts.Case.Names
	}, "the case does not name who is asked about; only its own subjects are read for it"},
	{"consent.required", fault.Denied, ofFacts, byGrant, consentIs(ConsentNone), "this reading needs the subject's consent, and none is on record; record it first"},
	{consentElsewhere, fault.Denied, ofFacts, byGrant, consentIs(ConsentElsewhere), "the consent on record is for other data, another recipient or another purpose; ask the subject for one that is for this"},
	{"consent.not_yet_valid", fault.Denied, ofFacts, byGrant, consentIs(ConsentNotYet), "the consent on record is not valid yet; wait for its first day"},
	{"consent.expired", fault.Denied, ofFacts, byGrant, consentIs(ConsentExpired), "the consent on record has expired; ask for a new one"},
	{"consent.revoked", fault.Denied, ofFacts, byGrant, consentIs(ConsentRevoked), "the consent on record was revoked; nothing is read without a new one"},
	{"consent.every_adult", fault.Denied, ofFacts, byGrant, consentIs(ConsentOfOthers), "every adult of the case has to consent, and one has not; record that one's consent"},

	{"check.outdated", fault.Denied, ofRecords, nil, nil, "the topic's contract has a version that the check does not fit; agree the check anew"},
	{"check.records", fault.Denied, ofRecords, nil, nil, "the subject has more active records of the topic than a check looks at; query them, if the grant allows it"},
	{"check.cost", fault.Denied, ofRecords, nil, nil, "the check takes too long over these records; the two sides have to agree a simpler one"},
	{"check.failed", fault.Denied, ofRecords, nil, nil, "the check cannot be computed over these records; ask the provider, or agree a check that allows for what is missing"},
	{"check.thresholds", fault.Denied, ofRecords, nil, nil, "as many thresholds of the check were asked about the subject in this case as may be; ask one of these again"},
	{"status.limit", fault.Denied, ofRecords, nil, nil, "the participant asked how certificates stand as often as it may in an hour; wait for the next, or have the operator set another limit"},
	{"grant.daily_limit", fault.Denied, ofRecords, nil, nil, "the grant's queries and checks of today are used up; wait until tomorrow, or have a larger limit agreed"},
}

const consentElsewhere = "consent.elsewhere"

// consentIs refuses a question whose consents stand like that.
func consentIs(standing ConsentStanding) func(*question, *Grant) bool {
	return func(q *question, _ *Grant) bool { return q.Facts.Consent.Standing == standing }
}

// plan is the table's rules for one action, step by step.
type plan [steps][]*rule

// plans sorts the table once, so that a decision asks no rule in vain.
var plans = func() map[Action]*plan {
	all := map[Action]*plan{}
	for i := range table {
		r := &table[i]
		for _, action := range r.on {
			if all[action] == nil {
				all[action] = &plan{}
			}
			all[action][r.step] = append(all[action][r.step], r)
		}
	}
	return all
}()

// noRules is the plan of an action that the table does not know.
var noRules = &plan{}

func planOf(action Action) *plan {
	if p := plans[action]; p != nil {
		return p
	}
	return noRules
}

// first gives the first of some rules that refuses, and which it is; nil if none
// does.
func first(rules []*rule, q *question, g *Grant) (int, *rule) {
	for i, r := range rules {
		if r.refuses(q, g) {
			return i, r
		}
	}
	return len(rules), nil
}

// ruleOf finds a rule by its name.
func ruleOf(name string) *rule {
	for i := range table {
		if table[i].name == name {
			return &table[i]
		}
	}
	return nil
}

// RuleText is one rule as people look it up.
type RuleText struct {
	// Name is what a refusal and its ledger entry say.
	Name string
	// Asked says of whom or what the rule is.
	Asked string
	// Message says what refuses and what would change it.
	Message string
}

// Rules lists the rules in the order in which they are asked: the first that
// refuses is told.
func Rules() []RuleText {
	all := make([]RuleText, len(table))
	for i, r := range table {
		all[i] = RuleText{r.name, asked[r.step], r.message}
	}
	return all
}
