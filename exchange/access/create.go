package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/predicate"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

const (
	maxServiceItems = 1000
	// maxStanding bounds what each release repeats in the ledger, in bytes.
	maxStanding = 300
)

var grantID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// Create records a grant that was agreed outside the exchange; an operator may.
// Its id is made if it is empty; the repeat of a call with an id changes nothing.
func (p *Policy) Create(ctx context.Context, ch catalog.Change, g *accessv1.Grant) (*accessv1.Grant, *journal.Commit, error) {
	n, err := p.prepare(g)
	if err != nil {
		return nil, nil, err
	}
	if err := p.checkChecks(n); err != nil {
		return nil, nil, err
	}
	var result *accessv1.Grant
	commit, err := p.Commit(ctx, ch, func(ctx context.Context, w *catalog.Write) (err error) {
		result, err = create(ctx, w, proto.CloneOf(n))
		return err
	})
	return result, commit, err
}

// checkChecks compiles the grant's checks with every version of the topic's
// contract.
func (p *Policy) checkChecks(g *accessv1.Grant) error {
	mode := slices.Contains(g.DeliveryModes, cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK)
	switch {
	case mode && len(g.Checks) == 0:
		return fault.Field("grant.checks", "grant.checks.required", "a grant to check names the checks that may be asked")
	case !mode && len(g.Checks) > 0:
		return fault.Field("grant.checks", "grant.checks.mode", "are of no use without the delivery mode check")
	case !mode:
		return nil
	}
	t, err := p.Catalogue.Topic(g.Topic)
	if err != nil {
		return fault.Field("grant.topic", "topic.unknown", "the catalogue has no such topic")
	}
	return predicate.Validate("grant.checks", g.Checks, t)
}

// prepare takes what a creator may say of a grant and checks what needs no look
// at the catalogue.
func (p *Policy) prepare(g *accessv1.Grant) (*accessv1.Grant, error) {
	n := &accessv1.Grant{
		Id: g.GetId(), Version: 1, Topic: g.GetTopic(), Provider: g.GetProvider(), Consumer: g.GetConsumer(),
		Basis: g.GetBasis(), Scenario: g.GetScenario(), Fields: slices.Clone(g.GetFields()),
		ServiceItems: slices.Clone(g.GetServiceItems()), DeliveryModes: g.GetDeliveryModes(),
		StandingPurpose: g.GetStandingPurpose(), StandingLegalBasis: g.GetStandingLegalBasis(),
		Checks: g.GetChecks(), Scope: g.GetScope(), ValidFrom: g.GetValidFrom(), ValidUntil: g.GetValidUntil(),
		DailyLimit: g.GetDailyLimit(), State: accessv1.GrantState_GRANT_STATE_ACTIVE, RecordedOutside: true,
	}
	if n.Id == "" {
		id := make([]byte, 10)
		if _, err := rand.Read(id); err != nil {
			return nil, err
		}
		n.Id = hex.EncodeToString(id)
	}
	if n.Scope == accessv1.GrantScope_GRANT_SCOPE_UNSPECIFIED {
		n.Scope = accessv1.GrantScope_GRANT_SCOPE_ALL_SUBJECTS
	}
	if len(n.DeliveryModes) == 0 {
		return nil, fault.Field("grant.delivery_modes", "grant.delivery_modes.required", "names at least one delivery mode")
	}
	var err error
	if n.DeliveryModes, err = catalog.DeliveryModes("grant.delivery_modes", n.DeliveryModes); err != nil {
		return nil, err
	}
	return n, catalog.First(checkTexts(n), checkPurposes(n), checkPeriod(n, DayOf(p.Clock())))
}

func checkTexts(g *accessv1.Grant) error {
	if !grantID.MatchString(g.Id) || contract.HoldsResidentID(g.Id) {
		return fault.Field("grant.id", "grant.id", `has lower-case letters, digits and "-", at most 64 of them, and names no person`)
	}
	if g.Scope != accessv1.GrantScope_GRANT_SCOPE_ALL_SUBJECTS && g.Scope != accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS {
		return fault.Field("grant.scope", "grant.scope.unknown", "is none that the exchange knows")
	}
	if g.DailyLimit > 1<<53 {
		return fault.Field("grant.daily_limit", "grant.daily_limit.range", "is too large")
	}
	return catalog.First(
		catalog.Text("grant.basis", g.Basis, true), catalog.Text("grant.scenario", g.Scenario, false),
		catalog.Text("grant.topic", g.Topic, true), catalog.Text("grant.consumer", g.Consumer, true),
	)
}

// checkPurposes checks what the grant's delivery modes need to stand on.
func checkPurposes(g *accessv1.Grant) error {
	if len(g.StandingPurpose) > maxStanding || len(g.StandingLegalBasis) > maxStanding {
		return fault.Field("grant.standing_purpose", "grant.standing_purpose.size", "purpose and legal basis have at most %d bytes each", maxStanding)
	}
	subscribe := slices.Contains(g.DeliveryModes, cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE)
	if err := catalog.First(
		catalog.Text("grant.standing_purpose", g.StandingPurpose, subscribe),
		catalog.Text("grant.standing_legal_basis", g.StandingLegalBasis, subscribe),
	); err != nil {
		return err
	}
	forCase := slices.ContainsFunc(g.DeliveryModes, func(m cataloguev1.DeliveryMode) bool {
		return m != cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE
	})
	if len(g.ServiceItems) == 0 && forCase {
		return fault.Field("grant.service_items", "grant.service_items.required", "a grant to query or check names the service items that it is for")
	}
	if len(g.ServiceItems) > maxServiceItems {
		return fault.Field("grant.service_items", "grant.service_items.size", "are more than %d", maxServiceItems)
	}
	for _, item := range g.ServiceItems {
		if !PurposeGood(item) {
			return fault.Field("grant.service_items", "grant.service_items.format", "a service item code has 1 to 64 letters, digits and . _ : -")
		}
	}
	return nil
}

// checkPeriod checks the days; a grant begins today unless it says otherwise.
func checkPeriod(g *accessv1.Grant, today int32) error {
	if g.ValidFrom == "" {
		g.ValidFrom = date(today)
	}
	if contract.CheckDate(g.ValidFrom) != nil {
		return fault.Field("grant.valid_from", "date", `is no date "YYYY-MM-DD"`)
	}
	if g.ValidUntil == "" {
		return nil
	}
	switch {
	case contract.CheckDate(g.ValidUntil) != nil:
		return fault.Field("grant.valid_until", "date", `is no date "YYYY-MM-DD"`)
	case dayOr(g.ValidUntil, maxDay) < today:
		return fault.Field("grant.valid_until", "grant.past", "has passed; name a day that is still to come")
	case g.ValidUntil < g.ValidFrom:
		return fault.Field("grant.valid_until", "grant.period", "is before valid_from")
	}
	return nil
}

func create(ctx context.Context, w *catalog.Write, g *accessv1.Grant) (*accessv1.Grant, error) {
	if err := w.RequireOperator(); err != nil {
		return nil, err
	}
	old, err := Newest(ctx, w.Tx, g.Id)
	if err != nil {
		return nil, err
	}
	if err := CheckSides(ctx, w, g); err != nil {
		return nil, err
	}
	g.CreatedAt = w.At()
	g.Steps = []*accessv1.GrantStep{{Side: "operator", Step: "create", System: w.Actor(), At: w.At()}}
	if old != nil {
		same := proto.CloneOf(old)
		same.State, same.Version, same.Reason = g.State, g.Version, g.Reason
		same.CreatedAt, same.Steps, same.SuspendedBy = g.CreatedAt, g.Steps, ""
		if proto.Equal(same, g) {
			return old, w.Unchanged()
		}
		return nil, fault.New(fault.AlreadyExists, "grant.exists", "another grant has that id")
	}
	return g, putOutside(ctx, w, g, "create", "")
}

// CheckSides checks a grant against the catalogue as the transaction sees it, and
// fills in the provider.
func CheckSides(ctx context.Context, w *catalog.Write, g *accessv1.Grant) error {
	t, err := w.Topic(ctx, g.Topic)
	if err != nil {
		return err
	}
	switch {
	case t == nil:
		return fault.Field("grant.topic", "topic.unknown", "the catalogue has no such topic")
	case t.State == cataloguev1.TopicState_TOPIC_STATE_WITHDRAWN:
		return fault.Field("grant.topic", "topic.withdrawn", "the topic was withdrawn")
	case verify.OwnTopic(t.Name):
		return fault.Field("grant.topic", "topic.reserved", "is the exchange's own; everybody reads what names it there, and nobody needs a grant")
	case t.State != cataloguev1.TopicState_TOPIC_STATE_PUBLISHED:
		return fault.Field("grant.topic", "topic.unpublished", "the topic is not published yet; a grant can be made once it is")
	case t.SharingClass == cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED:
		return fault.Field("grant.topic", "topic.not_shared", "the topic is not shared; no grant can be made")
	case g.Provider != "" && g.Provider != t.Provider:
		return fault.Field("grant.provider", "grant.provider", "is not the topic's provider")
	}
	g.Provider = t.Provider
	for _, m := range g.DeliveryModes {
		if !slices.Contains(t.DeliveryModes, m) {
			return fault.Field("grant.delivery_modes", "topic.delivery_mode", "names a delivery mode that the topic does not offer")
		}
	}
	if err := checkConsumer(ctx, w, g); err != nil {
		return err
	}
	return checkFields(ctx, w, g, t)
}

func checkConsumer(ctx context.Context, w *catalog.Write, g *accessv1.Grant) error {
	if id, ok := catalog.GroupOf(g.Consumer); ok {
		group, err := w.Group(ctx, id)
		if err == nil && (group == nil || group.Removed) {
			err = fault.Field("grant.consumer", "group.unknown", "the catalogue has no such group")
		}
		return err
	}
	participant, system, isSystem := strings.Cut(g.Consumer, "/")
	if participant == g.Provider {
		return fault.Field("grant.consumer", "grant.self", "is the topic's provider, who needs no grant")
	}
	p, err := w.Participant(ctx, participant)
	if err != nil {
		return err
	}
	if p == nil {
		return fault.Field("grant.consumer", "participant.unknown", "is no registered participant")
	}
	if !isSystem {
		return nil
	}
	s, err := w.System(ctx, participant+"/"+system)
	if err != nil {
		return err
	}
	if s == nil || !catalog.RolesOf(s.Roles).Has(identity.Department) {
		return fault.Field("grant.consumer", "system.unknown", "is no enrolled department system")
	}
	return nil
}

func checkFields(ctx context.Context, w *catalog.Write, g *accessv1.Grant, t *cataloguev1.Topic) error {
	k, err := w.NewestContract(ctx, t.Contract)
	if err != nil {
		return err
	}
	if len(g.Fields) == 0 && !slices.Equal(g.DeliveryModes, []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK}) {
		return fault.Field("grant.fields", "grant.fields.required", "names the fields that may leave")
	}
	var bad []fault.Violation
	for i, name := range g.Fields {
		known := slices.ContainsFunc(k.GetItems(), func(d *cataloguev1.DataItem) bool { return d.Name == name })
		if !known || slices.Contains(g.Fields[:i], name) {
			bad = append(bad, fault.Violation{Field: fmt.Sprintf("grant.fields[%d]", i), Rule: "field.unknown", Message: "names a field that the contract does not have at its top, or one twice"})
		}
	}
	if len(bad) > 0 {
		return fault.New(fault.Invalid, "field.unknown", "%d of the fields are unknown to %s at its top, or named twice", len(bad), t.Contract).With(bad...)
	}
	for _, c := range g.Checks {
		if err := catalog.CheckShared("grant.checks", t, c.Fields); err != nil {
			return err
		}
	}
	return catalog.CheckShared("grant.fields", t, g.Fields)
}

func errUnknown() error { return fault.New(fault.NotFound, "grant.unknown", "there is no such grant") }

// Get gives a grant to those it concerns.
func (p *Policy) Get(by *identity.Caller, id string) (*accessv1.Grant, error) {
	if err := p.Catalogue.MayRead(by); err != nil {
		return nil, err
	}
	g, err := p.Grant(id)
	if err != nil {
		return nil, err
	}
	if !p.Concerns(by, g.Message()) {
		return nil, errUnknown()
	}
	return shown(g, DayOf(p.Clock())), nil
}

// Concerns says whether a caller may see a grant: both sides, operators and
// auditors may.
func (p *Policy) Concerns(by *identity.Caller, g *accessv1.Grant) bool {
	if by.Roles.Has(identity.Operator, identity.Auditor) {
		return true
	}
	return by.Roles.Has(identity.Department) && (by.Participant == g.Provider || by.Participant == verify.ParticipantOf(g.Consumer) ||
		slices.Contains(p.Catalogue.ConsumersOf(by.Participant), g.Consumer))
}

// List gives the grants that concern a caller, in the order of their ids. topic
// and consumer narrow, if they are not empty; a participant's code stands for
// its systems too.
func (p *Policy) List(by *identity.Caller, topic, consumer string, page catalog.Page) ([]*accessv1.Grant, error) {
	n, err := page.Size()
	if err != nil {
		return nil, err
	}
	if err := p.Catalogue.MayRead(by); err != nil {
		return nil, err
	}
	var found []*Grant
	p.grants.mu.RLock()
	for _, g := range p.grants.byID {
		if g.ID > page.After && p.Concerns(by, g.Message()) && (topic == "" || topic == g.Topic) &&
			(consumer == "" || consumer == g.Consumer || consumer == verify.ParticipantOf(g.Consumer)) {
			found = append(found, g)
		}
	}
	p.grants.mu.RUnlock()
	slices.SortFunc(found, func(a, b *Grant) int { return cmp.Compare(a.ID, b.ID) })
	today := DayOf(p.Clock())
	var list []*accessv1.Grant
	for _, g := range found[:min(n, len(found))] {
		list = append(list, shown(g, today))
	}
	return list, nil
}

// shown gives a grant as of today: "expired" follows from its dates.
func shown(g *Grant, today int32) *accessv1.Grant {
	m := proto.CloneOf(g.message)
	if m.State == accessv1.GrantState_GRANT_STATE_ACTIVE && today > g.until {
		m.State = accessv1.GrantState_GRANT_STATE_EXPIRED
	}
	return m
}

// Today is the day in Asia/Shanghai, "YYYY-MM-DD".
func Today(now time.Time) string { return date(DayOf(now)) }
