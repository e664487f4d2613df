package access_test

import (
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

const check = cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK

// listed lists a topic of the police with these delivery modes, and puts an active
// grant on it into memory, for all modes.
func (w *world) listed(t *testing.T, by catalog.Change, name string, modes []cataloguev1.DeliveryMode, change ...func(*accessv1.Grant)) {
	t.Helper()
	_, _, err := w.Catalogue.CreateTopic(t.Context(), by, &cataloguev1.Topic{
		Name: name, Title: "题", Provider: catalogtest.Security, Contract: "huitong.records.v1.Person", SharingClass: conditional,
		Conditions: "按授权使用", LegalBasis: "《政务数据共享条例》第十四条", DeliveryModes: modes,
	})
	if err != nil {
		t.Fatal(err)
	}
	g := grant(change...)
	g.Id, g.Version, g.Topic, g.Provider, g.State = "g-"+name, 1, name, catalogtest.Security, accessv1.GrantState_GRANT_STATE_ACTIVE
	g.DeliveryModes = []cataloguev1.DeliveryMode{subscribe, query, check}
	g.Checks = []*accessv1.GrantCheck{
		{Name: "held", Predicate: "true", Fields: []string{"name"}},
		{
			Name: "short", Predicate: "records.all(r, size(r.name) < threshold)", Fields: []string{"name"},
			Thresholds: []*accessv1.Threshold{{Name: "two", Value: 2}},
		},
	}
	w.policy.PutForTest(g)
}

// TestRulesThatNothingElseStandsBehind has a case for each rule that no other
// would refuse in its place, so that one that is lost is missed.
func TestRulesThatNothingElseStandsBehind(t *testing.T) {
	w := newWorld(t)
	every := []cataloguev1.DeliveryMode{subscribe, query, check}
	w.listed(t, w.ByOperator(), "whole", every)
	w.listed(t, w.ByOperator(), "asked", []cataloguev1.DeliveryMode{query})
	w.listed(t, w.ByOperator(), "told", []cataloguev1.DeliveryMode{subscribe})
	w.listed(t, w.ByOperator(), "enrolled", every, func(g *accessv1.Grant) { g.Scope = accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS })
	w.listed(t, catalog.Change{Actor: w.security.Caller}, "draft", every)
	const own = "huitong-board"
	if err := w.Catalogue.FoundOwn(t.Context(), &cataloguev1.Topic{
		Name: own, Title: "告知", Contract: "huitong.records.v1.Notice", SharingClass: unconditional, Conditions: "自动发布",
		LegalBasis: "政务数据共享条例", UpdateCycle: cataloguev1.UpdateCycle_UPDATE_CYCLE_REAL_TIME, DeliveryModes: []cataloguev1.DeliveryMode{subscribe},
	}); err != nil {
		t.Fatal(err)
	}
	listed, err := w.Catalogue.Topic(own)
	if err != nil {
		t.Fatal(err)
	}
	founder := w.Enrol(listed.Provider, "office")
	witness := w.Enrol(catalogtest.Audit, "witness", cataloguev1.Role_ROLE_WITNESS)
	if err := w.policy.Refresh(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	checking := func(name, threshold string) func(*access.Request) {
		return func(r *access.Request) { r.Check, r.Threshold = name, threshold }
	}
	long := strings.Repeat("号", 43) // 129 bytes
	for _, c := range []struct {
		name string
		r    access.Request
		rule string // empty is allow
	}{
		{"a department reads the ledger", ask(w.housing, access.ReadLedger, ""), ""},
		{"a witness reads the ledger", ask(witness, access.ReadLedger, ""), "role.ledger"},
		{"a draft is read by its provider", ask(w.security, access.Query, "draft"), "topic.unpublished"},
		{"a draft is published on", ask(w.security, access.Publish, "draft"), "topic.unpublished"},
		{"the founder publishes on the exchange's own topic", ask(founder, access.Publish, own), "topic.reserved"},
		{"a long person", ask(w.civil, access.Query, "whole", func(r *access.Request) { r.Person = long }), "acting.size"},
		{"a person of two lines", ask(w.civil, access.Query, "whole", func(r *access.Request) { r.Person = "clerk\n017" }), "acting.size"},
		{"a case that moves the cursor", ask(w.civil, access.Query, "whole", func(r *access.Request) { r.Case = "SF\x1b[2J" }), "acting.size"},
		{"a long case", ask(w.civil, access.Query, "whole", func(r *access.Request) { r.Case = long }), "acting.size"},
		{"references of full length", ask(w.civil, access.Query, "whole", func(r *access.Request) { r.Person, r.Case = long[:126]+"ab", "ab"+long[3:] }), ""},
		{"subscribing to what is only asked for", ask(w.civil, access.Subscribe, "asked"), "topic.delivery_mode"},
		{"delivery of what is only asked for", ask(w.civil, access.Deliver, "asked"), "topic.delivery_mode"},
		{"a look at what is only asked for", ask(w.civil, access.Peek, "asked"), "topic.delivery_mode"},
		{"a query of what is only told", ask(w.civil, access.Query, "told"), "topic.delivery_mode"},
		{"a check of what is only asked for", ask(w.civil, access.Check, "asked", checking("held", "")), "topic.delivery_mode"},
		{"a query by a grant for enrolled subjects", ask(w.civil, access.Query, "enrolled"), "grant.scope"},
		{"a check by a grant for enrolled subjects", ask(w.civil, access.Check, "enrolled", checking("held", "")), "grant.scope"},
		{"a subscription by a grant for enrolled subjects", ask(w.civil, access.Subscribe, "enrolled"), ""},
		{"an agreed check", ask(w.civil, access.Check, "whole", checking("held", "")), ""},
		{"a check that was not agreed", ask(w.civil, access.Check, "whole", checking("other", "")), "grant.check"},
		{"an agreed threshold", ask(w.civil, access.Check, "whole", checking("short", "two")), ""},
		{"a threshold that was not agreed", ask(w.civil, access.Check, "whole", checking("short", "three")), "grant.threshold"},
		{"no threshold", ask(w.civil, access.Check, "whole", checking("short", "")), "grant.threshold"},
		{"a threshold of a check that has none", ask(w.civil, access.Check, "whole", checking("held", "two")), "grant.threshold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := w.policy.Decide(c.r); d.Allow != (c.rule == "") || d.Rule != c.rule {
				t.Errorf("allow %v by rule %q, not %q: %s", d.Allow, d.Rule, c.rule, d.Message)
			}
		})
	}
}

// TestOfSeveralGrantsTheOneThatCoversIsNamed holds that whoever has a grant for this
// very question is told why that one does not serve, and is not sent to have
// agreed what is agreed already, whatever other grants it has.
func TestOfSeveralGrantsTheOneThatCoversIsNamed(t *testing.T) {
	elsewhere := map[string]func(*accessv1.Grant){
		"another purpose": func(g *accessv1.Grant) { g.ServiceItems = []string{"other-item"} },
		"another mode":    func(g *accessv1.Grant) { g.DeliveryModes = []cataloguev1.DeliveryMode{subscribe} },
		"enrolled subjects": func(g *accessv1.Grant) {
			g.Scope = accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS
		},
	}
	for rule, change := range map[string]func(*accessv1.Grant){
		"grant.suspended":     func(g *accessv1.Grant) { g.State = accessv1.GrantState_GRANT_STATE_SUSPENDED },
		"grant.inactive":      func(g *accessv1.Grant) { g.State = accessv1.GrantState_GRANT_STATE_TERMINATED },
		"grant.expired":       func(g *accessv1.Grant) { g.ValidUntil = "2020-12-31" },
		"grant.not_yet_valid": func(g *accessv1.Grant) { g.ValidFrom = "2099-01-01" },
	} {
		for name, other := range elsewhere {
			t.Run(rule+" beside "+name, func(t *testing.T) {
				w := newWorld(t)
				for id, change := range map[string]func(*accessv1.Grant){"g-covers": change, "g-other": other} {
					g := grant(func(g *accessv1.Grant) {
						g.Id, g.Version, g.Topic, g.Provider, g.State = id, 1, "person", catalogtest.Security, accessv1.GrantState_GRANT_STATE_ACTIVE
						change(g)
					})
					w.policy.PutForTest(g)
				}
				if d := w.policy.Decide(ask(w.civil, access.Query, "person")); d.Allow || d.Rule != rule {
					t.Errorf("allow %v by rule %q: %s", d.Allow, d.Rule, d.Message)
				}
			})
		}
	}
}
