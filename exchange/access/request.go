// Package access decides who may do what, and keeps the grants that decisions
// rest on.
//
// Everything is denied that no rule allows. One function decides, by one table
// of rules; each rule has a stable name, which is told to the caller and stands
// in the ledger. A decision names the count of policy changes at which it was
// made, and the journal commits what was decided only at that count: suspending
// a grant or revoking a certificate is exact.
package access

import (
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
)

// Action is what a caller wants to do.
type Action string

// The actions, as they stand in the ledger's refusals.
const (
	// Publish changes records of a topic.
	Publish Action = "publish"
	// Subscribe creates or opens a subscription to a topic.
	Subscribe Action = "subscribe"
	// Deliver sends records to a subscriber.
	Deliver Action = "deliver"
	// Query reads records for a person, a purpose and a case.
	Query Action = "query"
	// Check answers a predicate over records for a person, a purpose and a case.
	Check Action = "check"
	// Prepare asks which materials of a case's service item the exchange holds.
	Prepare Action = "prepare"
	// Preview shows what the copies would say; each record shown is a query by
	// itself beside it.
	Preview Action = "preview"
	// Collect releases copies of them; each copy is a query by itself beside it.
	Collect Action = "collect"
	// Submit enters a material that the applicant of a case submitted.
	Submit Action = "submit"
	// Peek shows a dead letter to the subscriber's staff.
	Peek Action = "peek"
	// Status asks how a record stands whose key the caller knows.
	Status Action = "status"
	// Show lets a document of a public record leave, to whoever is enrolled.
	Show Action = "show"
	// ReadLedger lists, watches or opens ledger entries.
	ReadLedger Action = "ledger"
	// ExportLedger takes all leaves of the ledger.
	ExportLedger Action = "ledger.export"
	// Document brings documents, and takes back what was brought.
	Document Action = "document"
	// Connect is any call at all; it is refused to a certificate that was
	// revoked or has expired.
	Connect Action = "connect"
	// Manage changes or lists catalogue and grants.
	Manage Action = "manage"
)

// Request is what is asked for.
type Request struct {
	Caller *identity.Caller
	Action Action
	Topic  string
	// Purpose, Person and Case are as the caller named them (Query, Check, Peek, and
	// for materials).
	Purpose string
	Person  string
	Case    string
	// Check and Threshold name the agreed check that is asked (Check).
	Check, Threshold string
	// Live: the answer is what the topic's provider supplies now, not what the
	// topic holds (Query).
	Live bool
	// Facts are what the exchange knows of the case and of consents (Query,
	// Check). The zero value refuses.
	Facts Facts
	// Subscription is the id, for the ledger.
	Subscription string
	// Grant, if not empty, is the only grant that may serve.
	Grant string
}

// Facts are what a decision rests on that is not held in memory.
type Facts struct {
	Case    CaseFacts
	Consent ConsentFacts
	// Guards hold these facts until the commit.
	Guards []journal.Guard
}

// CaseFacts say how the case stands that a request names.
type CaseFacts struct {
	// Known: the caller's participant opened a case of that number.
	Known bool
	Open  bool
	// Item is what the case applies for.
	Item string
	// Names: whoever is asked about is a subject of the case. A question that
	// names nobody is answered with records about subjects of the case only.
	Names bool
}

// ConsentStanding is how the consents stand that a reading needs.
type ConsentStanding uint8

// The standings of consent, the worse the larger.
const (
	// ConsentNone is the zero value: nothing is known, so none was given.
	ConsentNone ConsentStanding = iota
	// ConsentNotNeeded: neither topic nor item asks for any.
	ConsentNotNeeded
	ConsentGiven
	// ConsentElsewhere: given for other data, another recipient or purpose.
	ConsentElsewhere
	ConsentNotYet
	ConsentExpired
	ConsentRevoked
	// ConsentOfOthers: that of another adult of the case is missing.
	ConsentOfOthers
)

// ConsentFacts say how the consents stand that a request needs.
type ConsentFacts struct {
	Standing ConsentStanding
	// Weaker: one of them was attested at a counter.
	Weaker bool
	// Digests are the SHA-256 of those that the reading rests on.
	Digests [][]byte
	// Fields are the numbers of the fields that they are limited to; nil is no
	// limit.
	Fields []uint32
}

// Scope is about whom the records may be that a reading lets leave.
type Scope uint8

// The scopes. The zero value is about nobody.
const (
	// ScopeAll is all records of the topic.
	ScopeAll Scope = iota + 1
	// ScopeEnrolled is the subjects that the subscription enrolled.
	ScopeEnrolled
	// ScopeOwn is the reader's own participant: the records that name it as a
	// subject, by its unified social credit code (type 001).
	ScopeOwn
)

// Decision answers a request.
type Decision struct {
	Allow bool
	// Kind, Rule and Message say what refused and what would change it.
	Kind    fault.Kind
	Rule    string
	Message string
	// Topic is the topic's name if it exists, and Provider its participant.
	Topic    string
	Provider string
	// Ended says of a refusal that the grants which would have allowed it are over:
	// none of them comes back by itself or can be resumed.
	Ended bool
	// Grant is what allowed it; nil where none is needed.
	Grant *Grant
	// Fields are the numbers of the fields that may leave, ascending; nil is all
	// of them.
	Fields []uint32
	// Scope is about whom the records may be.
	Scope Scope
	// All says of a ledger read that it may see entries of every participant.
	All bool
	// Policy is the count at which the decision was made.
	Policy uint64
}

// Err gives the refusal as a fault; nil if it is allowed.
func (d *Decision) Err() error {
	if d.Allow {
		return nil
	}
	return fault.New(d.Kind, d.Rule, "%s", d.Message)
}

// RefuseBy is the refusal by the rule of a name: what is found behind the table's
// own questions.
func (d Decision) RefuseBy(name string) Decision {
	if r := ruleOf(name); r != nil {
		return d.refuseBy(r)
	}
	return d.refuse(fault.Denied, name, "refused")
}
