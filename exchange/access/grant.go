package access

import (
	"slices"
	"sync/atomic"

	"github.com/huitong-bus/huitong/exchange/catalog"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Grant is a consumer's permission on a topic, ready for decisions.
type Grant struct {
	ID       string
	Version  uint32
	Topic    string
	Provider string
	// Consumer is a participant, one of its systems, or a group.
	Consumer           string
	State              accessv1.GrantState
	ServiceItems       []string
	StandingPurpose    string
	StandingLegalBasis string
	DailyLimit         uint64

	modes     []cataloguev1.DeliveryMode
	scope     accessv1.GrantScope
	validFrom int32 // days since 1970-01-01, Asia/Shanghai
	until     int32
	message   *accessv1.Grant
	mask      atomic.Pointer[mask]
}

// mask is the granted fields by the entry that was in force and the versions that
// its contract had.
type mask struct {
	topic    *catalog.Topic
	versions int
	fields   []uint32
}

// Message gives the grant as the API shows it; the caller does not change it.
func (g *Grant) Message() *accessv1.Grant { return g.message }

// Scope is about whom the granted records may be.
func (g *Grant) Scope() Scope {
	if g.scope == accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS {
		return ScopeEnrolled
	}
	return ScopeAll
}

// Fields gives the numbers of the granted fields in every version of the
// topic's contract.
func (g *Grant) Fields(t *catalog.Topic) []uint32 {
	n := t.Versions()
	if m := g.mask.Load(); m != nil && m.topic == t && m.versions == n {
		return m.fields
	}
	m := &mask{topic: t, versions: n, fields: t.Mask(g.message.Fields)}
	g.mask.Store(m)
	return m.fields
}

func newGrant(m *accessv1.Grant) *Grant {
	return &Grant{
		ID: m.Id, Version: uint32(m.Version), Topic: m.Topic, Provider: m.Provider, Consumer: m.Consumer,
		State: m.State, ServiceItems: m.ServiceItems, StandingPurpose: m.StandingPurpose,
		StandingLegalBasis: m.StandingLegalBasis, DailyLimit: m.DailyLimit,
		modes: m.DeliveryModes, scope: m.Scope,
		validFrom: dayOr(m.ValidFrom, minDay), until: dayOr(m.ValidUntil, maxDay), message: m,
	}
}

// Check gives the grant's check of a name; nil if it has none.
func (g *Grant) Check(name string) *accessv1.GrantCheck {
	for _, c := range g.message.Checks {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// hasThreshold says whether a check can be asked by a threshold of this name;
// one without any is asked by "".
func (g *Grant) hasThreshold(check, name string) bool {
	thresholds := g.Check(check).GetThresholds()
	if len(thresholds) == 0 {
		return name == ""
	}
	return slices.ContainsFunc(thresholds, func(t *accessv1.Threshold) bool { return t.Name == name })
}

// over says whether the grant has ended, or is not agreed: it is not in force and
// not suspended, or its last day has passed.
func (g *Grant) over(day int32) bool {
	return day > g.until || g.State != accessv1.GrantState_GRANT_STATE_ACTIVE && g.State != accessv1.GrantState_GRANT_STATE_SUSPENDED
}

// Ends gives when the grant's last day is over, µs UTC; 0 if it has none.
func (g *Grant) Ends() int64 {
	if g.until == maxDay {
		return 0
	}
	return (int64(g.until+1)*24 - 8) * 60 * 60 * 1e6
}

func (g *Grant) delivers(mode cataloguev1.DeliveryMode) bool { return slices.Contains(g.modes, mode) }
