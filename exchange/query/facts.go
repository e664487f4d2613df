package query

import (
	"context"
	"errors"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/consent"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Consents tells how the consents stand that a reading needs.
type Consents interface {
	// Facts is asked where topic or item need consent, or one to the reuse of what
	// was submitted may be on record, and only there. The guards hold what it says
	// until the commit.
	Facts(ctx context.Context, r consent.Reading) (access.ConsentFacts, []journal.Guard, error)
}

// errOthers says that what was found is about nobody whom the case names, or
// that nothing was found: those who ask by key or entry do not learn which.
var errOthers = errors.New("about nobody whom the case names")

// CaseOf finds the case that a request names, of the caller's participant, for a
// decision that Settled commits under the case's guard; nil if there is none.
func (q *Queries) CaseOf(ctx context.Context, r access.Request) (*cases.Case, error) {
	if r.Case == "" {
		return nil, nil
	}
	return q.Cases.Known(ctx, r.Caller.Participant, r.Case)
}

// CaseNow finds it for a decision that nothing is committed with, or not yet.
func (q *Queries) CaseNow(ctx context.Context, r access.Request) (*cases.Case, error) {
	if r.Case == "" {
		return nil, nil
	}
	return q.Cases.Find(ctx, r.Caller.Participant, r.Case)
}

// caseFor finds it for a question that is asked, or only tried out.
func (q *Queries) caseFor(ctx context.Context, r access.Request, validateOnly bool) (*cases.Case, error) {
	if validateOnly {
		return q.CaseNow(ctx, r)
	}
	return q.CaseOf(ctx, r)
}

// Facts are what a request's decision rests on: its case, and the consents that
// the topic asks for. A request about no subject is about every one of the case.
func (q *Queries) Facts(ctx context.Context, r access.Request, of *cases.Case, subject *ledgerv1.Subject) (access.Facts, error) {
	var token []byte
	if subject != nil {
		token = q.Cases.SubjectToken(subject)
	}
	f := access.Facts{Case: cases.FactsOf(of, token), Consent: access.ConsentFacts{Standing: access.ConsentNotNeeded}}
	if of == nil {
		return f, nil
	}
	f.Guards = []journal.Guard{of.Guard()}
	topic, err := q.Topics.Topic(r.Topic)
	if err != nil || topic.Provider == r.Caller.Participant {
		return f, nil // the decision says what is wrong with the topic
	}
	needed := topic.Consent(r.Purpose) != cataloguev1.Consent_CONSENT_UNSPECIFIED
	if !needed && topic.ContractName != Submitted {
		return f, nil
	}
	if needed {
		f.Consent.Standing = access.ConsentNone
	}
	if q.Consents == nil {
		return f, nil
	}
	subjects, err := q.Cases.Subjects(ctx, of)
	if err != nil {
		return f, err
	}
	facts, guards, err := q.Consents.Facts(ctx, consent.Reading{
		Topic: topic, Item: r.Purpose, Recipient: r.Caller.Participant, Case: r.Case, Subject: subject, Subjects: subjects, Reuse: !needed,
	})
	if !needed && facts.Standing != access.ConsentGiven {
		return f, err // what is bound to another item is left out; the rest needs none
	}
	f.Consent, f.Guards = facts, append(f.Guards, guards...)
	return f, err
}

// named says whether a case names one of the subjects of a record.
func (q *Queries) named(of *cases.Case, subjects []*ledgerv1.Subject) bool {
	for _, s := range subjects {
		if of.Names(q.Keyring.Token(identity.TokenSubject, s.Type, s.Number)) {
			return true
		}
	}
	return false
}
