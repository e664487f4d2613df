package consent_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/consent"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const day = 24 * time.Hour

// A consent is for what it says and for nothing else, from its first to its last
// day.
func TestWhatAConsentIsFor(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *accessv1.Consent)
		later  time.Duration
		want   access.ConsentStanding
	}{
		"all of it":        {func(*accessv1.Consent) {}, 0, access.ConsentGiven},
		"this case":        {func(m *accessv1.Consent) { m.CaseNumber = number }, 0, access.ConsentGiven},
		"another case":     {func(m *accessv1.Consent) { m.CaseNumber = "SF-2026-000043" }, 0, access.ConsentElsewhere},
		"another topic":    {func(m *accessv1.Consent) { m.Topics[0].Topic = "others" }, 0, access.ConsentElsewhere},
		"another item":     {func(m *accessv1.Consent) { m.ServiceItems = []string{"000115004000"} }, 0, access.ConsentElsewhere},
		"from tomorrow on": {func(m *accessv1.Consent) { m.ValidFrom = access.Today(time.Now().Add(day)) }, 0, access.ConsentNotYet},
		"from that day on": {func(m *accessv1.Consent) { m.ValidFrom = access.Today(time.Now().Add(day)) }, day, access.ConsentGiven},
		"the last day":     {func(*accessv1.Consent) {}, 30 * day, access.ConsentGiven},
		"the day after":    {func(*accessv1.Consent) {}, 31 * day, access.ConsentExpired},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.wantStanding(access.ConsentNone, wang)
			w.give(wang, c.change)
			w.clock.Ahead = c.later
			w.wantStanding(c.want, wang)
			w.wantStanding(access.ConsentNone, li)
		})
	}
}

// Of several consents the one that stands counts, the subject's own signature
// before an attested one; and each limits the fields.
func TestTheBestConsentCounts(t *testing.T) {
	w := newWorld(t)
	revoked := w.give(wang)
	w.revoke(wang, revoked.Consent.Digest)
	w.give(wang, func(m *accessv1.Consent) { m.ServiceItems = []string{"another"} })
	w.wantStanding(access.ConsentRevoked, wang)
	raw := w.consent(wang)
	w.given(raw, w.attest(raw, w.clerk, w.head))
	if f := w.stands(wang); f.Standing != access.ConsentGiven || !f.Weaker || f.Fields != nil {
		t.Errorf("it stands as %+v", f)
	}
	w.give(wang, func(m *accessv1.Consent) { m.Topics[0].Fields = []string{"id_number", "name"} })
	f := w.stands(wang)
	if f.Standing != access.ConsentGiven || f.Weaker || len(f.Fields) != 2 {
		t.Errorf("it stands as %+v", f)
	}
}

// A family's means test needs every adult's consent, a child's nobody's; and each
// limits what may leave.
func TestEveryAdultConsents(t *testing.T) {
	w := newWorld(t)
	w.needs(cataloguev1.Consent_CONSENT_EVERY_ADULT)
	family := []*ledgerv1.Subject{wang, li, child, company, {Type: li.Type, Number: li.Number, Role: "spouse"}}
	w.wantStanding(access.ConsentNone, wang, family...)
	w.give(wang, func(m *accessv1.Consent) { m.Topics[0].Fields = []string{"id_number", "name", "sex"} })
	w.wantStanding(access.ConsentOfOthers, wang, family...)
	w.wantStanding(access.ConsentNone, li, family...)
	w.wantStanding(access.ConsentOfOthers, child, family...)
	second := w.give(li, func(m *accessv1.Consent) { m.Topics[0].Fields = []string{"name", "id_number", "birth_date"} })
	for _, about := range []*ledgerv1.Subject{wang, li, child, company, nil} {
		f := w.stands(about, family...)
		if f.Standing != access.ConsentGiven || len(f.Digests) != 2 || len(f.Fields) != 2 || !slices.IsSorted(f.Fields) {
			t.Errorf("about %v it stands as %+v", about, f)
		}
	}
	w.revoke(li, second.Consent.Digest)
	w.wantStanding(access.ConsentOfOthers, wang, family...)
	w.wantStanding(access.ConsentRevoked, li, family...)
	// A case of a child alone needs its guardian's.
	w.wantStanding(access.ConsentNone, child, child)
	// No more are asked than the topic asks for.
	w.needs(cataloguev1.Consent_CONSENT_UNSPECIFIED)
	w.wantStanding(access.ConsentNotNeeded, li, family...)
}

// A question that names nobody is about everybody of the case.
func TestAQuestionAboutNobodyNeedsAll(t *testing.T) {
	w := newWorld(t)
	w.give(wang)
	w.wantStanding(access.ConsentGiven, nil, wang)
	w.wantStanding(access.ConsentNone, nil, wang, li)
	w.give(li)
	w.wantStanding(access.ConsentGiven, nil, wang, li)
}

const (
	guardian = accessv1.RepresentationKind_REPRESENTATION_KIND_GUARDIAN
	agent    = accessv1.RepresentationKind_REPRESENTATION_KIND_AGENT
	legal    = accessv1.RepresentationKind_REPRESENTATION_KIND_LEGAL_REPRESENTATIVE
)

func under(digest []byte) func(*accessv1.Consent) {
	return func(m *accessv1.Consent) { m.Representation = digest }
}

// A child consents through its guardian, for as long as that is on record and the
// child is one.
func TestAGuardianConsentsForAChild(t *testing.T) {
	w := newWorld(t)
	r := w.record(w.representation(child, wang, guardian, func(m *accessv1.Representation) { m.ValidUntil = w.day(3650) }))
	raw := w.consent(child, under(r), func(m *accessv1.Consent) { m.ValidUntil = w.day(3650) })
	_, err := w.consents.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: byToken(w.token(child, raw))})
	wantRule(t, err, fault.Denied, "consent.token.subject")
	given := w.given(raw, byToken(w.token(wang, raw)))
	if e := entry(t, given.Receipt.Leaf).GetConsentGiven(); !e.Represented {
		t.Error("the entry does not say that another acted")
	}
	w.wantStanding(access.ConsentGiven, child)
	// The child, born on 2010-10-20, comes of age.
	w.clock.Ahead = time.Until(time.Date(2028, 10, 19, 12, 0, 0, 0, time.UTC))
	w.wantStanding(access.ConsentGiven, child)
	w.clock.Ahead += day
	w.wantStanding(access.ConsentExpired, child)
	raw = w.consent(child, under(r))
	_, err = w.consents.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: byToken(w.token(wang, raw))})
	wantRule(t, err, fault.Denied, "consent.representation.expired")
	w.clock.Ahead = 0
	must(t, w.end(r))
	w.wantStanding(access.ConsentRevoked, child)
	// Ending it again gives the same answer; nothing more is given under it.
	must(t, w.end(r))
	raw = w.consent(child, under(r))
	_, err = w.consents.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: byToken(w.token(wang, raw))})
	wantRule(t, err, fault.Denied, "consent.representation.ended")
}

// A guardian of a person without capacity, an agent and a legal representative
// act as far as is on record.
func TestHowFarARepresentativeActs(t *testing.T) {
	w := newWorld(t)
	give := func(s, by *ledgerv1.Subject, digest []byte, change ...func(*accessv1.Consent)) error {
		raw := w.consent(s, append(change, under(digest))...)
		_, err := w.consents.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: byToken(w.token(by, raw))})
		return err
	}
	capacity := func(m *accessv1.Representation) { m.Incapacity = true }
	must(t, give(li, wang, w.record(w.representation(li, wang, guardian, capacity))))
	w.wantStanding(access.ConsentGiven, li)
	must(t, give(company, wang, w.record(w.representation(company, wang, legal))))
	w.wantStanding(access.ConsentGiven, company)
	narrow := w.record(w.representation(wang, li, agent, func(m *accessv1.Representation) {
		m.Topics, m.ServiceItems, m.ValidUntil = []string{topic}, []string{item}, w.day(3)
	}))
	must(t, give(wang, li, narrow))
	wantRule(t, give(wang, li, narrow, func(m *accessv1.Consent) { m.Topics[0].Topic = "others" }), fault.Denied, "consent.representation.scope")
	wantRule(t, give(wang, li, narrow, func(m *accessv1.Consent) { m.ServiceItems = append(m.ServiceItems, "more") }), fault.Denied, "consent.representation.scope")
	wantRule(t, give(li, li, narrow), fault.Denied, "consent.representation.principal")
	wantRule(t, give(child, wang, w.record(w.representation(child, wang, agent))), fault.Denied, "consent.representation.guardian")
	later := w.record(w.representation(wang, li, agent, func(m *accessv1.Representation) { m.ValidFrom = w.day(2) }))
	wantRule(t, give(wang, li, later), fault.Denied, "consent.representation.expired")
	w.clock.Ahead = 4 * day
	w.wantStanding(access.ConsentExpired, wang)
}

// What is recorded of a representation has to make sense and to be signed by an
// official of the department.
func TestRepresentationsThatCannotBe(t *testing.T) {
	w := newWorld(t)
	stranger := w.Person(w.housing, "ZJ-01", cataloguev1.Capacity_CAPACITY_CLERK)
	set := func(kind accessv1.RepresentationKind, f func(m *accessv1.Representation)) []byte {
		return w.representation(wang, li, kind, f)
	}
	for name, c := range map[string]struct {
		raw  []byte
		rule string
		kind fault.Kind
	}{
		"no kind":                 {set(0, func(*accessv1.Representation) {}), "representation.kind", fault.Invalid},
		"legal for a person":      {set(legal, func(*accessv1.Representation) {}), "representation.kind", fault.Invalid},
		"guardian of a company":   {w.representation(company, li, guardian), "representation.kind", fault.Invalid},
		"guardian of a grown-up":  {w.representation(wang, li, guardian), "representation.grown_up", fault.Invalid},
		"an agent for incapacity": {set(agent, func(m *accessv1.Representation) { m.Incapacity = true }), "representation.incapacity", fault.Invalid},
		"of itself":               {w.representation(wang, wang, agent), "representation.self", fault.Invalid},
		"no proof":                {set(agent, func(m *accessv1.Representation) { m.Proof = nil }), "representation.proof", fault.Invalid},
		"two proofs":              {set(agent, func(m *accessv1.Representation) { m.Proof.Topic = topic }), "representation.proof", fault.Invalid},
		"proof without a kind":    {set(agent, func(m *accessv1.Representation) { m.Proof.Document = "" }), "text.required", fault.Invalid},
		"a record of no topic": {set(agent, func(m *accessv1.Representation) {
			m.Proof = &accessv1.RepresentationProof{Topic: topic, Index: 1}
		}), "representation.record", fault.Invalid},
		"past":             {set(agent, func(m *accessv1.Representation) { m.ValidFrom, m.ValidUntil = "2020-01-01", "2020-01-02" }), "consent.representation.expired", fault.Denied},
		"another exchange": {set(agent, func(m *accessv1.Representation) { m.LedgerOrigin = "another" }), "consent.ledger", fault.Denied},
		"unknown topic":    {set(agent, func(m *accessv1.Representation) { m.Topics = []string{"nothing"} }), "topic.unknown", fault.Invalid},
		"nothing":          {nil, "representation.required", fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.consents.RegisterRepresentation(t.Context(), w.civil.Caller, &accessv1.RegisterRepresentationRequest{
				Representation: c.raw, Attestation: w.sign(w.clerk, c.raw),
			})
			wantRule(t, err, c.kind, c.rule)
		})
	}
	raw := w.representation(wang, li, agent)
	for name, c := range map[string]struct {
		a    *accessv1.Attestation
		rule string
		kind fault.Kind
	}{
		"nobody":         {nil, "person.fingerprint", fault.Invalid},
		"another's":      {w.sign(stranger, raw), "person.unknown", fault.Denied},
		"of other bytes": {w.sign(w.clerk, w.representation(wang, li, agent)), "person.signature", fault.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.consents.RegisterRepresentation(t.Context(), w.civil.Caller, &accessv1.RegisterRepresentationRequest{Representation: raw, Attestation: c.a})
			wantRule(t, err, c.kind, c.rule)
		})
	}
	// Only who recorded one ends it and sees it.
	digest := w.record(raw)
	_, err := w.consents.Representation(t.Context(), w.housing.Caller, digest)
	wantRule(t, err, fault.NotFound, "representation.unknown")
	list, err := w.consents.Representations(t.Context(), w.civil.Caller, wang, page())
	if err != nil || len(list) != 1 || list[0].Representation.Representative.Number != li.Number {
		t.Errorf("%v, %v", list, err)
	}
	if list, err = w.consents.Representations(t.Context(), w.housing.Caller, nil, page()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// Nothing is committed behind a revocation, or behind the end of a
// representation, that was decided before it.
func TestNothingIsReadBehindARevocation(t *testing.T) {
	w := newWorld(t)
	r := w.record(w.representation(child, wang, guardian))
	raw := w.consent(child, under(r))
	w.given(raw, byToken(w.token(wang, raw)))
	mine := w.give(wang).Consent.Digest
	ended := map[*ledgerv1.Subject]func(){
		wang:  func() { w.revoke(wang, mine) },
		child: func() { must(t, w.end(r)) },
	}
	for _, subject := range []*ledgerv1.Subject{wang, child} {
		done := make(chan struct{})
		var readers sync.WaitGroup
		last := make([]uint64, 16)
		for i := range last {
			readers.Go(func() {
				for {
					index, err := w.read(subject, i)
					if errors.Is(err, journal.ErrPolicyMoved) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					if index == 0 {
						return // it no longer stands
					}
					last[i] = index
					select {
					case <-done:
						t.Error("it was read although its consent had ended")
						return
					default:
					}
				}
			})
		}
		before := w.Journal.Head().Size
		catalogtest.Within(t, catalogtest.Patience, "some are read", func() bool { return w.Journal.Head().Size > before+64 })
		ended[subject]()
		end := w.lastOf(subject == wang)
		readers.Wait()
		close(done)
		for _, index := range last {
			if index > end {
				t.Errorf("entry %d stands behind the end %d", index, end)
			}
		}
	}
}

// read decides and commits an entry that rests on a consent; 0 if it stands no
// more.
func (w *world) read(subject *ledgerv1.Subject, n int) (uint64, error) {
	topic, err := w.Catalogue.Topic(topic)
	if err != nil {
		return 0, err
	}
	f, guards, err := w.consents.Facts(w.t.Context(), consent.Reading{
		Topic: topic, Item: item, Recipient: catalogtest.Civil, Case: number, Subject: subject, Subjects: []*ledgerv1.Subject{subject},
	})
	if err != nil || f.Standing != access.ConsentGiven {
		return 0, err
	}
	c, err := w.Journal.Submit(w.t.Context(), &journal.Call{From: fmt.Sprint(n), Guards: guards, Entries: []journal.Entry{{
		Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Refused{Refused: &ledgerv1.AccessRefused{Rule: "test"}}},
	}}})
	if err != nil {
		return 0, err
	}
	return c.Index, nil
}

// lastOf finds the last entry that ends a consent, or a representation.
func (w *world) lastOf(revoked bool) uint64 {
	w.t.Helper()
	for index := w.Journal.Head().Size; index > 0; index-- {
		var leaf []byte
		must(w.t, w.DB.Reader().QueryRowContext(w.t.Context(), "SELECT leaf FROM ledger WHERE idx = $1", int64(index-1)).Scan(&leaf))
		e := entry(w.t, leaf)
		if revoked && e.GetConsentRevoked() != nil || !revoked && e.GetRepresentation().GetChange() == "end" {
			return index - 1
		}
	}
	w.t.Fatal("nothing was ended")
	return 0
}
