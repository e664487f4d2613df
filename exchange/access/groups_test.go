package access_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// A grant to a group holds for its members, as long as they are.
func TestGrantsToGroups(t *testing.T) {
	w := newWorld(t)
	housing := w.Enrol(catalogtest.Housing, "homes")
	put := func(members ...string) {
		t.Helper()
		_, _, err := w.Catalogue.PutGroup(t.Context(), w.ByOperator(), &cataloguev1.Group{Id: "city", Title: "市级部门", Members: members, Lead: members[0]})
		if err != nil {
			t.Fatal(err)
		}
	}
	rule := func(s *catalogtest.System) string {
		d := w.policy.Decide(ask(s, access.Query, "person"))
		return d.Rule
	}
	to := grant(func(g *accessv1.Grant) { g.Consumer = "group:city" })
	if _, _, err := w.policy.Create(t.Context(), w.ByOperator(), to); fault.RuleOf(err) != "group.unknown" {
		t.Fatalf("a grant to no group: %v", err)
	}
	put(catalogtest.Civil, catalogtest.Housing)
	g := w.create(to)
	for _, s := range []*catalogtest.System{w.civil, housing} {
		if got := rule(s); got != "" {
			t.Errorf("%s is refused by %s", s.Caller.System, got)
		}
		if list, err := w.policy.List(s.Caller, "", "", catalog.Page{}); err != nil || len(list) != 1 {
			t.Errorf("%s lists %v, %v", s.Caller.System, list, err)
		}
	}
	put(catalogtest.Civil)
	if got := rule(housing); got != "grant.required" {
		t.Errorf("who left the group gets %q", got)
	}
	if _, err := w.policy.Get(housing.Caller, g.Id); fault.RuleOf(err) != "grant.unknown" {
		t.Errorf("who left the group reads the grant: %v", err)
	}
	if _, _, err := w.Catalogue.RemoveGroup(t.Context(), w.ByOperator(), "city", "演练"); err != nil {
		t.Fatal(err)
	}
	if got := rule(w.civil); got != "grant.required" {
		t.Errorf("after the group's end: %q", got)
	}
	if _, _, err := w.Catalogue.PutGroup(t.Context(), w.ByOperator(), &cataloguev1.Group{Id: "city", Title: "x", Members: []string{catalogtest.Civil}, Lead: catalogtest.Civil}); fault.RuleOf(err) != "group.removed" {
		t.Errorf("a removed group came back: %v", err)
	}
}

func TestGroupsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for rule, change := range map[string]func(g *cataloguev1.Group){
		"group.id":             func(g *cataloguev1.Group) { g.Id = "City" },
		"group.title.required": func(g *cataloguev1.Group) { g.Title = "" },
		"group.members.size":   func(g *cataloguev1.Group) { g.Members = nil },
		"group.members.twice":  func(g *cataloguev1.Group) { g.Members = append(g.Members, g.Members[0]) },
		"group.lead":           func(g *cataloguev1.Group) { g.Lead = catalogtest.Security },
		"participant.unknown":  func(g *cataloguev1.Group) { g.Members = append(g.Members, "91999900MA0000015N") },
	} {
		g := &cataloguev1.Group{Id: "city", Title: "市级部门", Members: []string{catalogtest.Civil}, Lead: catalogtest.Civil}
		change(g)
		if _, _, err := w.Catalogue.PutGroup(t.Context(), w.ByOperator(), g); fault.RuleOf(err) != rule {
			t.Errorf("got %v, not rule %s", err, rule)
		}
	}
	g := &cataloguev1.Group{Id: "city", Title: "市级部门", Members: []string{catalogtest.Civil}, Lead: catalogtest.Civil}
	if _, _, err := w.Catalogue.PutGroup(t.Context(), catalog.Change{Actor: w.civil.Caller}, g); fault.RuleOf(err) != "role.operator" {
		t.Errorf("a department made a group: %v", err)
	}
}
