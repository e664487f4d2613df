package reuse

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fanout"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/query"
	"github.com/huitong-bus/huitong/exchange/release"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// assessment is how all materials of an item stand for a case and a subject.
type assessment struct {
	// allowed is the decision on the call as a whole.
	allowed   access.Allowed
	of        *cases.Case
	item      *item
	subject   *ledgerv1.Subject
	materials []*material
	sources   *sources
}

// material is one material, and what was found for it.
type material struct {
	*recordsv1.ItemMaterial
	state  state
	source *source // the evidence that the state comes from; nil if none does
	found  []found // one for each person that it is about, if it is held
	rule   string
	reason string
	next   string
	// ended says that a record would stand in for it, had it not ended.
	ended string
}

type state = ledgerv1.MaterialState

const (
	isHeld        = ledgerv1.MaterialState_MATERIAL_STATE_HELD
	needsConsent  = ledgerv1.MaterialState_MATERIAL_STATE_NEEDS_CONSENT
	needsGrant    = ledgerv1.MaterialState_MATERIAL_STATE_NEEDS_GRANT
	hasExpired    = ledgerv1.MaterialState_MATERIAL_STATE_EXPIRED
	isDisputed    = ledgerv1.MaterialState_MATERIAL_STATE_DISPUTED
	isAmbiguous   = ledgerv1.MaterialState_MATERIAL_STATE_AMBIGUOUS
	supplierLate  = ledgerv1.MaterialState_MATERIAL_STATE_SUPPLIER_LATE
	mustSubmit    = ledgerv1.MaterialState_MATERIAL_STATE_TO_SUBMIT
	wasDeclined   = ledgerv1.MaterialState_MATERIAL_STATE_DECLINED
	wasCollected  = ledgerv1.MaterialState_MATERIAL_STATE_COLLECTED
	neverAssessed = ledgerv1.MaterialState_MATERIAL_STATE_UNSPECIFIED
)

// nearest orders states by how near they are to the material being held: of
// several kinds of evidence the nearest is told.
var nearest = []state{isHeld, isDisputed, needsConsent, isAmbiguous, supplierLate, hasExpired, needsGrant, mustSubmit, neverAssessed}

func (m *material) take(s state, from *source, rule, reason, next string) {
	if slices.Index(nearest, s) < slices.Index(nearest, m.state) {
		m.state, m.source, m.rule, m.reason, m.next = s, from, rule, reason, next
	}
}

func (m *material) usable() bool { return m.state == isHeld || m.state == isDisputed }

// source is a topic that evidence comes from, with the decision whether the
// caller may read it about one person.
type source struct {
	topic    *catalog.Topic
	about    *ledgerv1.Subject
	allowed  access.Allowed
	held     []journal.Held
	tooMany  bool
	openings map[uint64]*ledgerv1.RecordOpening
	// said is what its supplier said for the case; nil if it is not answered live.
	said *fanout.Said
}

// assess decides on the call and then on every material. An error of kind Denied
// was entered as a refusal.
func (r *Reuse) assess(ctx context.Context, caller *identity.Caller, action access.Action, acting *exchangev1.Acting, about *ledgerv1.Subject) (*assessment, error) {
	subject, err := query.ReadSubject(about)
	if err != nil {
		return nil, err
	}
	a := &assessment{subject: subject}
	if a.allowed, a.of, err = r.decide(ctx, caller, action, acting, subject); err != nil {
		return nil, err
	}
	if a.item, err = r.item(ctx, acting.GetPurpose()); err != nil {
		return nil, err
	}
	sources := &sources{r: r, a: a, known: map[string]*source{}}
	a.sources = sources
	for _, m := range a.item.Materials {
		a.materials = append(a.materials, &material{ItemMaterial: m})
	}
	if err := sources.decideAll(ctx); err != nil {
		return nil, err
	}
	if err := sources.decideBrought(ctx); err != nil {
		return nil, err
	}
	if err := sources.look(ctx); err != nil {
		return nil, err
	}
	for _, m := range a.materials {
		if err := r.weigh(ctx, sources, m); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// decide says whether the caller may ask for the materials of the case at all.
func (r *Reuse) decide(ctx context.Context, caller *identity.Caller, action access.Action, acting *exchangev1.Acting, subject *ledgerv1.Subject) (access.Allowed, *cases.Case, error) {
	request := requestOf(caller, action, "", acting)
	find := r.Queries.CaseOf
	if action == access.Submit {
		find = r.Queries.CaseNow // the material is published before the decision is committed
	}
	of, err := find(ctx, request)
	if err != nil {
		return access.Allowed{}, nil, err
	}
	request.Facts.Case = cases.FactsOf(of, r.Queries.Cases.SubjectToken(subject))
	if of != nil {
		request.Facts.Guards = []journal.Guard{of.Guard()}
	}
	d := r.Policy.Decide(request)
	if !d.Allow {
		return access.Allowed{}, nil, r.Queries.Refuse(ctx, request, d)
	}
	return access.Allowed{Request: request, Decision: d}, of, nil
}

func requestOf(caller *identity.Caller, action access.Action, topic string, acting *exchangev1.Acting) access.Request {
	return access.Request{
		Caller: caller, Action: action, Topic: topic,
		Person: acting.GetPerson(), Purpose: acting.GetPurpose(), Case: acting.GetCaseNumber(),
	}
}

// sources are all that the materials' evidence comes from, each once.
type sources struct {
	r     *Reuse
	a     *assessment
	known map[string]*source
	// subjects are those of the case; read when evidence asks for a role.
	subjects []*ledgerv1.Subject
}

func keyOf(topic string, about *ledgerv1.Subject) string {
	return topic + "\x00" + about.Type + "\x00" + about.Number
}

func (s *sources) get(topic string, about *ledgerv1.Subject) *source {
	return s.known[keyOf(topic, about)]
}

// decideAll decides on each topic and person that evidence names.
func (s *sources) decideAll(ctx context.Context) error {
	for _, m := range s.a.materials {
		for _, e := range m.Evidence {
			topic, err := s.r.Topics.Topic(e.Topic)
			if err != nil || !topic.Active() {
				continue // withdrawn since the item was published
			}
			persons, err := s.persons(ctx, e.About)
			if err != nil {
				return err
			}
			for _, person := range persons {
				if err := s.add(ctx, topic, person); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// persons gives whom evidence is about: who is asked about, or everybody of the
// case in a role.
func (s *sources) persons(ctx context.Context, role string) ([]*ledgerv1.Subject, error) {
	if role == "" {
		return []*ledgerv1.Subject{s.a.subject}, nil
	}
	if s.subjects == nil {
		var err error
		if s.subjects, err = s.r.Queries.Cases.Subjects(ctx, s.a.of); err != nil {
			return nil, err
		}
	}
	var persons []*ledgerv1.Subject
	for _, one := range s.subjects {
		if one.Role == role {
			persons = append(persons, &ledgerv1.Subject{Type: one.Type, Number: one.Number})
		}
	}
	return persons, nil
}

func (s *sources) add(ctx context.Context, topic *catalog.Topic, person *ledgerv1.Subject) error {
	key := keyOf(topic.Name, person)
	if s.known[key] != nil {
		return nil
	}
	whole := s.a.allowed.Request
	request := access.Request{
		Caller: whole.Caller, Action: access.Query, Topic: topic.Name, Person: whole.Person, Purpose: whole.Purpose, Case: whole.Case,
	}
	request.Live = topic.AnsweredLive() && topic.Provider != whole.Caller.Participant
	var err error
	if request.Facts, err = s.r.Queries.Facts(ctx, request, s.a.of, person); err != nil {
		return err
	}
	s.known[key] = &source{
		topic: topic, about: person, allowed: access.Allowed{Request: request, Decision: s.r.Policy.Decide(request)},
		openings: map[uint64]*ledgerv1.RecordOpening{},
	}
	return nil
}

// look finds the records of all sources that may be read, person by person.
func (s *sources) look(ctx context.Context) error {
	q := s.r.Queries
	if err := q.Index.Wait(ctx, q.Journal.Head().Published); err != nil {
		return err
	}
	byPerson := map[string][]*source{}
	for _, one := range s.known {
		if one.allowed.Decision.Allow {
			person := one.about.Type + "\x00" + one.about.Number
			byPerson[person] = append(byPerson[person], one)
		}
	}
	for _, of := range byPerson {
		var names []string
		for _, one := range of {
			names = append(names, one.topic.Name)
		}
		held, whole, err := s.r.Index.HeldAbout(ctx, names, q.Cases.SubjectToken(of[0].about))
		if err != nil {
			return err
		}
		for _, one := range of {
			one.held, one.tooMany = held[journal.Number(one.topic.Name)], !whole
			if one.allowed.Request.Live {
				if err := s.lookLive(ctx, one); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// weigh goes through a material's evidence in its order; the first that holds
// decides, else the one that comes nearest.
func (r *Reuse) weigh(ctx context.Context, s *sources, m *material) error {
	for i, e := range m.Evidence {
		if err := r.weighOne(ctx, s, m, e); err != nil {
			return err
		}
		if m.usable() {
			return r.onePerson(ctx, s, m, m.Evidence[i+1:])
		}
	}
	if err := r.brought(s, m); err != nil || m.usable() {
		return err
	}
	m.take(mustSubmit, nil, "", "the exchange holds nothing that stands in for it", submitTo(m.ItemMaterial))
	if m.ended != "" && m.rule != notActive {
		m.reason += "; " + m.ended // nobody grants something anew without knowing that
	}
	return nil
}

func submitTo(m *recordsv1.ItemMaterial) string {
	if m.SourceName != "" && m.Source == recordsv1.MaterialSource_MATERIAL_SOURCE_DEPARTMENT {
		return "the applicant submits it; it is issued by " + m.SourceName
	}
	return "the applicant submits it"
}

// weighOne weighs one kind of evidence: every person that it is about needs a
// record.
func (r *Reuse) weighOne(ctx context.Context, s *sources, m *material, e *recordsv1.Evidence) error {
	persons, err := s.persons(ctx, e.About)
	if err != nil || len(persons) == 0 {
		return err
	}
	one, all := &material{ItemMaterial: m.ItemMaterial}, []found{}
	disputed := false
	for _, person := range persons {
		source := s.get(e.Topic, person)
		if source == nil {
			return nil
		}
		if d := &source.allowed.Decision; !d.Allow {
			m.take(stateOf(d.Rule), source, d.Rule, d.Message, nextFor(m.ItemMaterial, d.Rule, source))
			return nil
		}
		one.state, one.source = neverAssessed, nil
		f, err := r.choose(ctx, one, source, e)
		if err != nil {
			return err
		}
		m.ended = cmp.Or(one.ended, m.ended)
		if !one.usable() {
			m.take(one.state, one.source, one.rule, one.reason, one.next)
			return nil
		}
		disputed = disputed || one.state == isDisputed
		all = append(all, f)
	}
	if disputed {
		m.take(isDisputed, all[0].source, "", "a department disputes the record; it may be used nonetheless", "collect it")
	} else {
		m.take(isHeld, all[0].source, "", "", "collect it")
	}
	m.found = all
	return nil
}

// stateOf is how a material stands whose topic is refused by a rule.
func stateOf(rule string) state {
	switch {
	case strings.HasPrefix(rule, "consent."):
		return needsConsent
	case strings.HasPrefix(rule, "topic."):
		return mustSubmit // no grant would change what the topic offers
	}
	return needsGrant
}

// nextFor is what to do where a rule refuses to read a material's topic.
func nextFor(m *recordsv1.ItemMaterial, rule string, from *source) string {
	const meanwhile = "; until then the applicant submits it"
	grant := "the grant on " + from.topic.Name
	switch {
	case strings.HasPrefix(rule, "topic."):
		return submitTo(m)
	case rule == "consent.every_adult":
		return "record the consent of every adult of the case, then prepare again"
	case rule == "consent.not_yet_valid":
		return "prepare again on the consent's first day" + meanwhile
	case strings.HasPrefix(rule, "consent."):
		return "record the subject's consent, then prepare again"
	case rule == "grant.suspended":
		return "ask the operator to resume " + grant + meanwhile
	case rule == "grant.not_yet_valid":
		return "prepare again on the first day of " + grant + meanwhile
	case rule == "grant.purpose":
		return "ask " + from.topic.Provider + " to name this service item in " + grant + meanwhile
	}
	return "ask " + from.topic.Provider + " for a grant on " + from.topic.Name + meanwhile
}

func (r *Reuse) today() int64 { return release.Today(r.Clock()) }
