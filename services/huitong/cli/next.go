package cli

import (
	"strings"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// nextOf says what to do about a refusal, where its message leaves that open: by
// its rule, by what the rule is about, or by its kind.
func nextOf(f *fault.Error) string {
	if advice, ok := nextOfRule[f.Rule]; ok {
		return advice
	}
	for about, found := upTo(f.Rule); found; about, found = upTo(about) {
		if advice, ok := nextAbout[f.Kind][about]; ok {
			return advice
		}
	}
	return nextOfKind[f.Kind]
}

// upTo gives a rule's name without its last word.
func upTo(rule string) (string, bool) {
	i := strings.LastIndexByte(rule, '.')
	return rule[:max(i, 0)], i > 0
}

// nextOfKind is for whatever is not told below. What a denial's message says is
// what would change it.
var nextOfKind = map[fault.Kind]string{
	fault.Unauthenticated: "look at the context's certificate: huitong context show; a new one comes from huitong system enrol",
	fault.Lapsed:          "the permission is no longer in force: huitong grant list",
	fault.Stale:           "the exchange holds a newer version of the record; read it first",
	fault.Conflict:        "look at the object as it stands now, then decide again",
	fault.Limited:         "try again later",
	fault.Unavailable:     "is the exchange running? start it with huitong serve, or choose another with --context or --address",
	fault.Timeout:         "try again; the same call may be made again",
	fault.Internal:        "the exchange's log says more",
	fault.Unsupported:     "the exchange is of another version than this command: huitong version",
}

// nextAbout is by kind and by what a rule's name begins with.
var nextAbout = map[fault.Kind]map[string]string{
	fault.Denied: {
		"role":                   "see who the exchange takes you for: huitong context show; the data authority enrols systems and gives their roles",
		"participant":            "see who the exchange takes you for: huitong context show",
		"person":                 "see who signs for your department, and as what: huitong person list",
		"grant":                  "see what you may use, and what stands in the way: huitong allowed --refused; a grant is asked for with huitong grant request",
		"consent":                askConsent,
		"consent.representation": "see who may act for whom: huitong representation list; or record who may: huitong representation record",
		"consent.counter":        "see who may attest, and as what: huitong person list",
		"consent.token":          "ask the person's identity provider for a token with the nonce and the audience that huitong consent prepare prints",
		"consent.key":            "let the person sign the file that huitong consent prepare wrote, or take the consent on paper",
		"consent.jws":            "let the person sign the file that huitong consent prepare wrote, or take the consent on paper",
		"step":                   "see how the grant stands now: huitong grant show; then take the step anew",
		"acting":                 "name them: --person, --purpose and --case",
		"check":                  "see which checks and thresholds are agreed: huitong allowed",
		"topic":                  "see whose the topic is, how it stands and who may use it: huitong topic show",
		"contract":               "see which contracts there are, and whose: huitong contract list",
		"dispute":                "see which disputes are yours to open or to answer: huitong dispute list",
		"enrolment":              "enrol the person with a case that is open: huitong subscription enrol",
		"signature":              "publish with huitong publish or an SDK, which sign, or let the topic's entry say that it takes unsigned calls: huitong topic edit",
	},
	fault.NotFound: {
		"calendar":          "see which years are known: huitong calendar show",
		"case":              "see which cases there are: huitong case list",
		"certificate":       "see which there are: huitong certificate list",
		"consent":           "see which there are: huitong consent list",
		"context":           "see which there are: huitong context list; make one with huitong context add",
		"contract":          "see which there are: huitong contract list",
		"dead_letter":       "see which there are: huitong dead-letter list",
		"dispute":           "see which there are: huitong dispute list",
		"entry":             "see which entries are for you: huitong ledger list",
		"grant":             "see which there are: huitong grant list",
		"group":             "see which there are: huitong group list",
		"identity_provider": "see which there are: huitong identity-provider list",
		"item":              "see which there are: huitong item list",
		"material":          "see which materials the item asks for: huitong item show",
		"participant":       "see which there are: huitong participant list",
		"person":            "see who there is: huitong person list",
		"representation":    "see which there are: huitong representation list",
		"subscription":      "see which there are: huitong subscription list",
		"system":            "see which there are: huitong system list",
	},
	fault.Conflict: {
		"topic":     "see how the topic stands and who acts next: huitong topic show",
		"grant":     "see how the grant stands and who acts next: huitong grant show",
		"case":      "see how the case stands: huitong case show",
		"dispute":   "see how the dispute stands: huitong dispute show",
		"enrolment": "see what the subscription stands on: huitong allowed",
	},
}

// nextOfRule is where one rule leaves something particular to do.
var nextOfRule = map[string]string{
	"approval.same_person": "another head of the same side approves: huitong person list",
	"case.unknown":         openCase,
	"case.closed":          openCase,
	"case.item":            "name the case's own service item, or open a case for this one: huitong case open",
	"case.subject":         "look whom the case names: huitong case show; whoever else is asked about needs a case of their own",
	"collect.choices":      "collect with the choices of before: huitong case collect --decline names what was declined then",
	"consent.minor":        "record the guardian, and name it in the consent: huitong representation record, then huitong consent prepare --representation",
	"consent.recipient":    "make a statement for your own department: huitong consent prepare",
	"topic.exists":         "take another name, or edit that one if it is yours: huitong topic edit",
	"topic.unknown":        "see which there are: huitong topic list",
	"field.unknown":        "see which fields there are: huitong topic show",
	"topic.delivery_mode":  "see how the topic is delivered: huitong topic show",
	"person.key":           "make a key for this person: huitong person key new",
	"grant.requests.limit": "withdraw requests that are not needed, or wait for answers: huitong grant list",
	"grant.daily_limit":    "see what is left today: huitong allowed; a larger limit is the grant's next version: huitong grant request --grant",
	"grant.self":           "your own topic needs no grant; for somebody else's use name its system: huitong system list",
	"grant.period":         "name days in order: --valid-from, --valid-until",
	"period":               "name days in order: --from, --until",
	"topic.reserved":       "publish on a topic of your own: huitong topic list",
	"grant.returned_once":  "accept it, or refuse it with a reason: huitong grant accept, huitong grant refuse",
	// Their messages say all there is to do.
	"check.thresholds":      "",
	"consent.not_yet_valid": "",
	"participant.suspended": "",
	"system.suspended":      "",
	"topic.secret":          "",
}

const (
	openCase   = "open a case that names who is asked about: huitong case open"
	askConsent = "ask who is asked about: huitong consent prepare, then huitong consent give"
)
