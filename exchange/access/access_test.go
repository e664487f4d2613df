package access_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	item          = "11999900MB00000353000123456789A"
	conditional   = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL
	unconditional = cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL
	notShared     = cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED
	subscribe     = cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE
	query         = cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY
)

func TestDecisions(t *testing.T) {
	w := newWorld(t)
	all := w.create(grant())
	w.create(grant(func(g *accessv1.Grant) {
		g.Consumer, g.DeliveryModes = w.housing.Caller.System, []cataloguev1.DeliveryMode{query}
		g.StandingPurpose, g.StandingLegalBasis = "", ""
	}))
	bare := func(r *access.Request) { r.Person, r.Purpose, r.Case = "", "", "" }
	for _, c := range []struct {
		name  string
		r     access.Request
		rule  string // empty is allow
		grant bool
	}{
		{"provider publishes", ask(w.security, access.Publish, "person", bare), "", false},
		{"consumer publishes", ask(w.civil, access.Publish, "person", bare), "topic.owner", false},
		{"auditor publishes", ask(w.auditing, access.Publish, "person", bare), "role.department", false},
		{"unknown topic", ask(w.security, access.Publish, "nowhere"), "topic.unknown", false},
		{"no topic", ask(w.security, access.Query, ""), "topic.unknown", false},
		{"consumer queries", ask(w.civil, access.Query, "person"), "", true},
		{"no person", ask(w.civil, access.Query, "person", func(r *access.Request) { r.Person = "" }), "acting.person.required", false},
		{"no purpose", ask(w.civil, access.Query, "person", func(r *access.Request) { r.Purpose = "" }), "acting.purpose.required", false},
		{"no case", ask(w.civil, access.Query, "person", func(r *access.Request) { r.Case = "" }), "acting.case.required", false},
		{"a person for a purpose", ask(w.civil, access.Query, "person", func(r *access.Request) { r.Purpose = "11010519491231002X" }), "acting.purpose.format", false},
		{"a disguised person for a purpose", ask(w.civil, access.Query, "person", func(r *access.Request) { r.Purpose = "item:110105-19491231-002x" }), "acting.purpose.format", false},
		{"other purpose", ask(w.civil, access.Query, "person", func(r *access.Request) { r.Purpose = "other" }), "grant.purpose", false},
		{"owner queries its own", ask(w.security, access.Query, "person"), "", false},
		{"owner names nobody", ask(w.security, access.Query, "person", bare), "acting.person.required", false},
		{"owner subscribes", ask(w.security, access.Subscribe, "person", bare), "", false},
		{"consumer subscribes", ask(w.civil, access.Subscribe, "person", bare), "", true},
		{"delivery", ask(w.civil, access.Deliver, "person", bare), "", true},
		{"delivery by its grant", ask(w.civil, access.Deliver, "person", bare, func(r *access.Request) { r.Grant = all.Id }), "", true},
		{"delivery by another grant", ask(w.civil, access.Deliver, "person", bare, func(r *access.Request) { r.Grant = "x" }), "grant.required", false},
		{"peek", ask(w.civil, access.Peek, "person"), "", true},
		{"peek by nobody", ask(w.civil, access.Peek, "person", bare), "acting.person.required", false},
		{"one system's grant", ask(w.housing, access.Query, "person"), "", true},
		{"query grant to subscribe", ask(w.housing, access.Subscribe, "person", bare), "grant.delivery_mode", false},
		{"unconditional query", ask(w.housing, access.Query, "open"), "", false},
		{"unconditional without case", ask(w.housing, access.Query, "open", func(r *access.Request) { r.Case = "" }), "acting.case.required", false},
		{"unconditional subscription", ask(w.housing, access.Subscribe, "open", bare), "grant.required", false},
		{"not shared", ask(w.civil, access.Query, "closed"), "topic.not_shared", false},
		{"not shared, to its owner", ask(w.security, access.Query, "closed"), "", false},
		{"operator queries", ask(&catalogtest.System{Caller: w.Operator}, access.Query, "open"), "role.department", false},
		{"auditor reads the ledger", ask(w.auditing, access.ReadLedger, ""), "", false},
		{"department reads the ledger", ask(w.civil, access.ReadLedger, ""), "", false},
		{"department exports the ledger", ask(w.civil, access.ExportLedger, ""), "role.auditor", false},
		{"unknown action", ask(w.civil, "dance", "person"), "action.unknown", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := w.policy.Decide(c.r)
			if d.Allow != (c.rule == "") || d.Rule != c.rule || (d.Grant != nil) != c.grant {
				t.Fatalf("%+v, want rule %q", d, c.rule)
			}
			if (d.Err() == nil) != d.Allow || !d.Allow && (d.Message == "" || fault.RuleOf(d.Err()) != c.rule) {
				t.Errorf("fault %v", d.Err())
			}
			if d.Policy != w.Journal.Policy() {
				t.Errorf("decided at %d of %d", d.Policy, w.Journal.Policy())
			}
			if c.grant && (len(d.Fields) != 2 || !slices.IsSorted(d.Fields)) || !c.grant && d.Fields != nil {
				t.Errorf("fields %v", d.Fields)
			}
		})
	}
	if d := w.policy.Decide(ask(w.auditing, access.ReadLedger, "")); !d.All {
		t.Error("an auditor does not see all")
	}
	if d := w.policy.Decide(ask(w.civil, access.ReadLedger, "")); d.All {
		t.Error("a department sees all")
	}
}

func TestGrantsEndAndStartByDate(t *testing.T) {
	w := newWorld(t)
	today := w.clock.Now()
	day := func(n int) string { return access.Today(today.Add(time.Duration(n) * 24 * time.Hour)) }
	w.create(grant(func(g *accessv1.Grant) { g.Id, g.ValidUntil = "short", day(1) }))
	w.create(grant(func(g *accessv1.Grant) { g.Id, g.Consumer, g.ValidFrom = "later", catalogtest.Housing, day(2) }))
	for _, c := range []struct {
		days           int
		civil, housing string
	}{{0, "", "grant.not_yet_valid"}, {1, "", "grant.not_yet_valid"}, {2, "grant.expired", ""}} {
		w.clock.Ahead = time.Duration(c.days) * 24 * time.Hour
		for s, rule := range map[*catalogtest.System]string{w.civil: c.civil, w.housing: c.housing} {
			if d := w.policy.Decide(ask(s, access.Query, "person")); d.Rule != rule {
				t.Errorf("day %d: %q, want %q", c.days, d.Rule, rule)
			}
		}
	}
	g, err := w.policy.Get(w.civil.Caller, "short")
	if err != nil || g.State != accessv1.GrantState_GRANT_STATE_EXPIRED {
		t.Errorf("shown as %v, %v", g.GetState(), err)
	}
}

func TestSuspensionIsExact(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	g := w.create(grant())
	r := ask(w.civil, access.Query, "person")
	before := w.policy.Decide(r)
	if !before.Allow {
		t.Fatal(before.Rule)
	}
	suspended, commit, err := w.policy.Suspend(ctx, w.ByOperator(), g.Id, "复核")
	if err != nil {
		t.Fatal(err)
	}
	if suspended.Version != 1 || len(suspended.Steps) != 2 || suspended.Steps[1].Step != "suspend" || suspended.Reason != "复核" {
		t.Errorf("suspended %v", suspended)
	}
	e := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(commit.Leaves[0], e); err != nil {
		t.Fatal(err)
	}
	if o := e.GetChanged(); o.Object != "grant" || o.Change != "suspend" || !slices.Equal(o.Parties, []string{catalogtest.Security, catalogtest.Civil}) || o.Reason != "复核" {
		t.Errorf("entry %v", o)
	}
	// What was decided before the suspension no longer commits.
	entry := []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Queried{Queried: &ledgerv1.RecordsQueried{}}}}}
	if _, err := w.Journal.Submit(ctx, before.Call(w.policy, r, entry)); !errors.Is(err, journal.ErrPolicyMoved) {
		t.Errorf("a decision of before commits: %v", err)
	}
	if d := w.policy.Decide(r); d.Rule != "grant.suspended" {
		t.Errorf("decided %+v", d)
	}
	if _, commit, err := w.policy.Suspend(ctx, w.ByOperator(), g.Id, "again"); err != nil || commit != nil {
		t.Errorf("the repeat gave %v, %v", commit, err)
	}
	if _, _, err := w.policy.Resume(ctx, w.ByOperator(), g.Id); err != nil {
		t.Fatal(err)
	}
	after := w.policy.Decide(r)
	if _, err := w.Journal.Submit(ctx, after.Call(w.policy, r, entry)); err != nil {
		t.Error(err)
	}
}

func TestEveryChangeReachesOtherProcessesWithinASecond(t *testing.T) {
	w := newWorld(t)
	other := catalogtest.Join(t, w.DB, w.Identity)
	policy, err := access.Open(t.Context(), access.Config{DB: w.DB, Journal: other.Journal, Catalogue: other.Catalogue})
	if err != nil {
		t.Fatal(err)
	}
	defer policy.Close()
	r := ask(w.civil, access.Query, "person")
	want := func(rule string) {
		t.Helper()
		catalogtest.Within(t, time.Second, rule, func() bool { return policy.Decide(r).Rule == rule })
	}
	want("grant.required")
	g := w.create(grant())
	want("")
	if _, _, err := w.policy.Suspend(t.Context(), w.ByOperator(), g.Id, "x"); err != nil {
		t.Fatal(err)
	}
	want("grant.suspended")
	if _, _, err := w.Catalogue.RevokeCertificate(t.Context(), w.ByOperator(), w.civil.Caller.Fingerprint[:], "x"); err != nil {
		t.Fatal(err)
	}
	want("certificate.revoked")
}

func TestDailyLimitIsExact(t *testing.T) {
	w := newWorld(t)
	w.create(grant(func(g *accessv1.Grant) { g.DailyLimit = 5 }))
	r := ask(w.civil, access.Query, "person")
	try := func() error {
		d := w.policy.Decide(r)
		_, err := w.Journal.Submit(t.Context(), d.Call(w.policy, r, []journal.Entry{{
			Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Queried{Queried: &ledgerv1.RecordsQueried{}}},
		}}))
		return err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	good := 0
	for range 12 {
		wg.Go(func() {
			err := try()
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				good++
			} else if fault.RuleOf(err) != "grant.daily_limit" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if good != 5 {
		t.Errorf("%d queries passed a limit of 5", good)
	}
	w.clock.Ahead = 24 * time.Hour
	if err := try(); err != nil {
		t.Errorf("the next day: %v", err)
	}
}

func TestWhatMakesNoGrant(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.Catalogue.WithdrawTopic(t.Context(), w.ByOperator(), w.Topic("gone", catalogtest.Security, conditional).Name, "x"); err != nil {
		t.Fatal(err)
	}
	day := func(n int) string { return access.Today(time.Now().Add(time.Duration(n) * 24 * time.Hour)) }
	w.create(grant(func(g *accessv1.Grant) { g.Id = "taken" }))
	for name, c := range map[string]struct {
		change func(*accessv1.Grant)
		rule   string
	}{
		"topic":            {func(g *accessv1.Grant) { g.Topic = "nowhere" }, "topic.unknown"},
		"withdrawn":        {func(g *accessv1.Grant) { g.Topic = "gone" }, "topic.withdrawn"},
		"not shared":       {func(g *accessv1.Grant) { g.Topic = "closed" }, "topic.not_shared"},
		"provider":         {func(g *accessv1.Grant) { g.Provider = catalogtest.Civil }, "grant.provider"},
		"self":             {func(g *accessv1.Grant) { g.Consumer = catalogtest.Security + "/x" }, "grant.self"},
		"participant":      {func(g *accessv1.Grant) { g.Consumer = "91110000600037341L" }, "participant.unknown"},
		"system":           {func(g *accessv1.Grant) { g.Consumer = catalogtest.Civil + "/x" }, "system.unknown"},
		"auditor":          {func(g *accessv1.Grant) { g.Consumer = w.auditing.Caller.System }, "system.unknown"},
		"no consumer":      {func(g *accessv1.Grant) { g.Consumer = "" }, "grant.consumer.required"},
		"no fields":        {func(g *accessv1.Grant) { g.Fields = nil }, "grant.fields.required"},
		"unknown field":    {func(g *accessv1.Grant) { g.Fields = append(g.Fields, "x") }, "field.unknown"},
		"field twice":      {func(g *accessv1.Grant) { g.Fields = []string{"name", "name"} }, "field.unknown"},
		"no basis":         {func(g *accessv1.Grant) { g.Basis = "" }, "grant.basis.required"},
		"no mode":          {func(g *accessv1.Grant) { g.DeliveryModes = nil }, "grant.delivery_modes.required"},
		"unknown mode":     {func(g *accessv1.Grant) { g.DeliveryModes = []cataloguev1.DeliveryMode{4} }, "grant.delivery_modes.unknown"},
		"no checks":        {func(g *accessv1.Grant) { g.DeliveryModes = []cataloguev1.DeliveryMode{3} }, "grant.checks.required"},
		"standing purpose": {func(g *accessv1.Grant) { g.StandingPurpose = "" }, "grant.standing_purpose.required"},
		"standing basis":   {func(g *accessv1.Grant) { g.StandingLegalBasis = "" }, "grant.standing_legal_basis.required"},
		"no items":         {func(g *accessv1.Grant) { g.ServiceItems = nil }, "grant.service_items.required"},
		"item a person":    {func(g *accessv1.Grant) { g.ServiceItems = []string{"11010519491231002X"} }, "grant.service_items.format"},
		"no date":          {func(g *accessv1.Grant) { g.ValidUntil = "2026-02-30" }, "date"},
		"dates crossed":    {func(g *accessv1.Grant) { g.ValidFrom, g.ValidUntil = day(3), day(2) }, "grant.period"},
		"past":             {func(g *accessv1.Grant) { g.ValidFrom, g.ValidUntil = day(-3), day(-1) }, "grant.past"},
		"scope":            {func(g *accessv1.Grant) { g.Scope = 9 }, "grant.scope.unknown"},
		"id":               {func(g *accessv1.Grant) { g.Id = "A B" }, "grant.id"},
		"taken":            {func(g *accessv1.Grant) { g.Id, g.Basis = "taken", "other" }, "grant.exists"},
	} {
		t.Run(name, func(t *testing.T) {
			size := w.Journal.Head().Size
			_, _, err := w.policy.Create(t.Context(), w.ByOperator(), grant(c.change))
			if fault.RuleOf(err) != c.rule {
				t.Errorf("got %v, want %q", err, c.rule)
			}
			if w.Journal.Head().Size != size {
				t.Error("something was written")
			}
		})
	}
	if _, commit, err := w.policy.Create(t.Context(), w.ByOperator(), grant(func(g *accessv1.Grant) { g.Id = "taken" })); err != nil || commit != nil {
		t.Errorf("the repeat gave %v, %v", commit, err)
	}
	_, _, err := w.policy.Create(t.Context(), catalog.Change{Actor: w.civil.Caller}, grant())
	if fault.RuleOf(err) != "role.operator" {
		t.Errorf("a department made a grant: %v", err)
	}
	enrolled := w.create(grant(func(g *accessv1.Grant) {
		g.Consumer, g.Scope = catalogtest.Housing, accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS
	}))
	if d := w.policy.Decide(ask(w.housing, access.Query, "person")); d.Rule != "grant.scope" {
		t.Errorf("%s decided %+v", enrolled.Id, d)
	}
}

func TestEachSideListsItsOwn(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.create(grant(func(g *accessv1.Grant) { g.Id = fmt.Sprintf("g%d", i) }))
	}
	w.create(grant(func(g *accessv1.Grant) { g.Id, g.Consumer = "h", w.housing.Caller.System }))
	for s, want := range map[*identity.Caller]int{w.Operator: 6, w.auditing.Caller: 6, w.security.Caller: 6, w.civil.Caller: 5, w.housing.Caller: 1} {
		seen, page := 0, catalog.Page{Limit: 2}
		for {
			list, err := w.policy.List(s, "", "", page)
			if err != nil {
				t.Fatal(err)
			}
			seen += len(list)
			if len(list) < 2 {
				break
			}
			page.After = list[1].Id
		}
		if seen != want {
			t.Errorf("%s sees %d, want %d", s.System, seen, want)
		}
	}
	if list, err := w.policy.List(w.Operator, "person", catalogtest.Housing, catalog.Page{}); err != nil || len(list) != 1 {
		t.Errorf("filtered: %v, %v", list, err)
	}
	if _, err := w.policy.Get(w.housing.Caller, "g1"); fault.RuleOf(err) != "grant.unknown" {
		t.Errorf("another's grant: %v", err)
	}
}

func BenchmarkDecide(b *testing.B) {
	w := newWorld(b)
	work := make(chan int)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := range work {
				w.create(grant(func(g *accessv1.Grant) {
					g.Id, g.ServiceItems = fmt.Sprintf("g%d", i), []string{fmt.Sprintf("item%d", i)}
				}))
			}
		})
	}
	// 50 grants of this topic to this consumer, none of which but the last fits,
	// among ten thousand.
	for i := range 50 {
		work <- i
	}
	close(work)
	wg.Wait()
	for i := range 10_000 {
		w.policy.PutForTest(&accessv1.Grant{Id: fmt.Sprintf("x%d", i), Topic: fmt.Sprintf("t%d", i%500), Consumer: fmt.Sprintf("c%d", i%97)})
	}
	r := ask(w.civil, access.Query, "person", func(r *access.Request) { r.Purpose, r.Facts.Case.Item = "item49", "item49" })
	if d := w.policy.Decide(r); !d.Allow {
		b.Fatal(d.Rule)
	}
	b.ReportAllocs()
	for b.Loop() {
		w.policy.Decide(r)
	}
}
