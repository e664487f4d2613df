package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	// MaxEnrolled bounds one call, so that its entry fits a leaf.
	MaxEnrolled = 500
	// MaxEnrolments bounds what a subscription has enrolled.
	MaxEnrolments = 1_000_000
	// maxReference bounds a person's or case's reference, in bytes.
	maxReference = 128
)

// pair is a subject with the case that it is enrolled for.
type pair struct {
	subject       *ledgerv1.Subject // normalised, without role
	number        string            // of the case
	token, ofCase []byte
}

// pairs checks what a call names, and leaves out what it names twice.
func (m *Manager) pairs(by *identity.Caller, list []*exchangev1.Enrolment, caseRequired bool) ([]pair, error) {
	if len(list) == 0 || len(list) > MaxEnrolled {
		return nil, fault.Field("enrolments", "enrolments.number", "a call names 1 to %d subjects", MaxEnrolled)
	}
	known := map[string]bool{}
	var found []pair
	for i, e := range list {
		field := fmt.Sprintf("enrolments[%d].", i)
		number, err := contract.Normalise(e.GetSubject().GetType(), e.GetSubject().GetNumber())
		if err != nil {
			return nil, fault.Field(field+"subject.number", fault.RuleOf(err), "%s", fault.Status(err).Message())
		}
		if e.CaseNumber == "" && caseRequired {
			return nil, fault.Field(field+"case_number", "case.required", "name the case that the subject is enrolled for")
		}
		if len(e.CaseNumber) > maxReference {
			return nil, fault.Field(field+"case_number", "case.size", "has more than %d bytes", maxReference)
		}
		p := pair{subject: &ledgerv1.Subject{Type: e.Subject.Type, Number: number}, number: e.CaseNumber}
		p.token = m.Keyring.Token(identity.TokenSubject, p.subject.Type, number)
		if p.number != "" {
			p.ofCase = m.Keyring.Token(identity.TokenCase, by.Participant, p.number)
		}
		if name := string(p.token) + string(p.ofCase); !known[name] {
			known[name] = true
			found = append(found, p)
		}
	}
	return found, nil
}

func checkPerson(person string) error {
	switch {
	case person == "":
		return fault.Field("acting.person", "acting.person.required", "name the official who acts, by your department's own reference")
	case len(person) > maxReference:
		return fault.Field("acting.person", "acting.size", "a person's reference has at most %d bytes", maxReference)
	}
	return nil
}

// Enrolled is what an enrolment did.
type Enrolled struct {
	Enrolled int
	Owed     int
	Commit   *journal.Commit // nil where there was nothing to do
}

// Enrol adds subjects to a subscription of the caller, each with an open case of
// its department that names the subject, for a service item that the grant names.
// The subjects' present records are owed from that very commit on.
func (m *Manager) Enrol(ctx context.Context, by *identity.Caller, in *exchangev1.EnrolSubjectsRequest) (*Enrolled, error) {
	person := in.GetActing().GetPerson()
	if err := checkPerson(person); err != nil {
		return nil, err
	}
	list, err := m.pairs(by, in.GetEnrolments(), true)
	if err != nil {
		return nil, err
	}
	s, t, err := m.own(ctx, m.DB.Reader(), by, fullID(by, in.Subscription))
	if err != nil {
		return nil, m.concealed(ctx, by, fullID(by, in.Subscription), err)
	}
	if err := m.roomToEnrol(ctx, s.id, len(list)); err != nil {
		return nil, err
	}
	r := access.Request{Caller: by, Action: access.Subscribe, Topic: s.topic, Subscription: s.id, Person: person}
	for range maxDecisions {
		e := &enrolling{m: m, s: s, t: t, by: by, person: person, list: list}
		if err := e.look(ctx); err != nil {
			return nil, err
		}
		e.done.Commit, err = m.decided(ctx, r, in.ValidateOnly, e.build)
		var refused *caseRefusal
		switch {
		case errors.Is(err, errFarBehind):
			continue
		case errors.Is(err, errUnchanged):
			return &Enrolled{}, nil
		case errors.As(err, &refused):
			d := access.Decision{Kind: fault.Denied, Rule: refused.rule, Message: refused.message, Topic: t.Name, Provider: t.Provider}
			r.Case, r.Purpose = refused.number, refused.item
			return nil, m.refuse(ctx, r, d)
		case err == nil && !in.ValidateOnly:
			m.touched(s.id)
		}
		return &e.done, err
	}
	return nil, fault.New(fault.Unavailable, "enrolment.busy", "the topic is too busy to enrol subjects just now; try again")
}

func (m *Manager) roomToEnrol(ctx context.Context, id string, more int) error {
	var n int
	err := m.DB.Reader().QueryRowContext(ctx, "SELECT count(*) FROM enrolments WHERE subscription = $1", journal.Number(id)).Scan(&n)
	if err == nil && n+more > MaxEnrolments {
		return fault.New(fault.TooLarge, "enrolments.number", "a subscription has at most %d enrolments", MaxEnrolments)
	}
	return err
}

// caseRefusal says that a case does not bear an enrolment.
type caseRefusal struct{ rule, message, number, item string }

func (r *caseRefusal) Error() string { return r.rule }

// checkCases refuses subjects whose case does not bear their enrolment. The
// message names the place of the first, and nobody.
func (m *Manager) checkCases(ctx context.Context, tx store.Tx, by *identity.Caller, list []pair, g *access.Grant) error {
	numbers, subjects := make([]string, len(list)), make([]*ledgerv1.Subject, len(list))
	for i, p := range list {
		numbers[i], subjects[i] = p.number, p.subject
	}
	facts, err := m.Cases.Standing(ctx, tx, by.Participant, numbers, subjects)
	if err != nil {
		return err
	}
	for i, f := range facts {
		rule, message := "", ""
		switch {
		case !f.Known:
			rule, message = "case.unknown", "your department has no case of this number on the exchange; open it first"
		case !f.Open:
			rule, message = "case.closed", "the case is closed; nobody is enrolled for it any more"
		case !slices.Contains(g.ServiceItems, f.Item):
			rule, message = "case.item", "the case is for a service item that the grant does not name"
		case !f.Names:
			rule, message = "case.subject", "the case does not name the subject"
		default:
			continue
		}
		return &caseRefusal{rule, fmt.Sprintf("subject %d of %d: %s", i+1, len(list), message), numbers[i], f.Item}
	}
	return nil
}

// Remove removes subjects from a subscription of the caller: with the case that
// is named, or with all where none is. It rests on nothing but the subscription
// being the caller's, so that a lapsed grant keeps nobody enrolled.
func (m *Manager) Remove(ctx context.Context, by *identity.Caller, in *exchangev1.RemoveSubjectsRequest) (*Enrolled, error) {
	person := in.GetActing().GetPerson()
	if err := checkPerson(person); err != nil {
		return nil, err
	}
	list, err := m.pairs(by, in.GetEnrolments(), false)
	if err != nil {
		return nil, err
	}
	done := &Enrolled{}
	_, done.Commit, err = m.change(ctx, by, in.Subscription, in.ValidateOnly,
		func(ctx context.Context, tx store.Tx, slot journal.Slot, s *standing, t *catalog.Topic) ([]journal.Entry, error) {
			var gone []enrolment
			for _, p := range list {
				found, err := m.enrolments(ctx, tx, "WHERE subscription = $1 AND subject = $2 AND (case_token = $3 OR $4 = 1) ORDER BY case_token",
					journal.Number(s.id), p.token, append([]byte{}, p.ofCase...), boolean(p.ofCase == nil))
				if err != nil {
					return nil, err
				}
				gone = append(gone, found...)
			}
			if done.Enrolled = len(gone); len(gone) == 0 {
				return nil, errUnchanged
			}
			return m.end(ctx, tx, slot, s.id, s.topic, t.Provider, byRequest, person, gone)
		})
	return done, err
}

// ListEnrolments lists a page of whom a subscription of the caller has enrolled,
// after a place that the page before ended with.
func (m *Manager) ListEnrolments(ctx context.Context, by *identity.Caller, id string, after []byte, limit int) ([]*exchangev1.Enrolment, []byte, error) {
	n, err := catalog.Page{Limit: limit}.Size()
	if err != nil {
		return nil, nil, err
	}
	if len(after) != 0 && len(after) != 2*identity.TokenSize {
		return nil, nil, fault.Field("page_token", "page_token", "is not one that the exchange gave")
	}
	s, _, err := m.own(ctx, m.DB.Reader(), by, fullID(by, id))
	if err != nil {
		return nil, nil, m.concealed(ctx, by, fullID(by, id), err)
	}
	subject, ofCase := []byte{}, []byte{}
	if len(after) > 0 {
		subject, ofCase = after[:identity.TokenSize], after[identity.TokenSize:]
	}
	rows, err := m.enrolments(ctx, m.DB.Reader(), `WHERE subscription = $1 AND (subject > $2 OR subject = $2 AND case_token > $3)
		ORDER BY subject, case_token LIMIT $4`, journal.Number(s.id), subject, ofCase, int64(n))
	if err != nil {
		return nil, nil, err
	}
	list := make([]*exchangev1.Enrolment, len(rows))
	for i := range rows {
		list[i] = rows[i].message()
	}
	if len(rows) < n {
		return list, nil, nil
	}
	last := &rows[len(rows)-1]
	return list, slices.Concat(last.token, last.ofCase), nil
}
