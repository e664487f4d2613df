package catalog_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// life is an exchange with a department that keeps entries, another, and an
// auditor.
type life struct {
	*catalogtest.Exchange
	owner, other, auditor *identity.Caller
}

func newLife(t *testing.T) *life {
	x := catalogtest.New(t)
	return &life{
		Exchange: x, owner: x.Enrol(catalogtest.Civil, "relief").Caller, other: x.Enrol(catalogtest.Housing, "fund").Caller,
		auditor: x.Enrol(catalogtest.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR).Caller,
	}
}

// whole is an entry that a department may submit.
func whole(name string) *cataloguev1.Topic {
	return &cataloguev1.Topic{
		Name: name, Title: "低保对象", Provider: catalogtest.Civil, Contract: "huitong.records.v1.Person", SharingClass: conditional,
		Conditions: "社会救助家庭经济状况核对", UpdateCycle: cataloguev1.UpdateCycle_UPDATE_CYCLE_DAY, Abstract: "在册低保对象", Format: "数据库",
		Category: &cataloguev1.Category{Code: "306001", Path: []string{"主题信息资源", "社会救助"}},
	}
}

func edited(name string) *cataloguev1.Topic {
	t := whole(name)
	t.Abstract = "在册低保对象及其家庭成员"
	return t
}

// bring brings a topic of this name into the state that it is named for.
func (l *life) bring(t *testing.T, state string) {
	t.Helper()
	own := catalog.Change{Actor: l.owner}
	do := func(_ *cataloguev1.Topic, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", state, err)
		}
	}
	create := func() { do(first(l.Catalogue.CreateTopic(t.Context(), own, whole(state)))) }
	submit := func() { do(first(l.Catalogue.SubmitTopic(t.Context(), own, state))) }
	review := func(publish bool) {
		r := catalog.Review{Topic: state, Publish: publish}
		if !publish {
			r.Findings = []*cataloguev1.Finding{{Field: "conditions", Message: "条件不明确"}, {Field: "abstract", Message: "过短"}}
		}
		_, _, _, err := l.Catalogue.ReviewTopic(t.Context(), l.ByOperator(), r)
		do(nil, err)
	}
	edit := func() { do(first(l.Catalogue.UpdateTopic(t.Context(), own, edited(state)))) }
	withdraw := func() { do(first(l.Catalogue.WithdrawTopic(t.Context(), own, state, "职责调整"))) }
	for _, step := range map[string][]func(){
		"draft": {create}, "submitted": {create, submit}, "returned": {create, submit, func() { review(false) }},
		"published": {create, submit, func() { review(true) }}, "revised": {create, submit, func() { review(true) }, edit},
		"resubmitted": {create, submit, func() { review(true) }, edit, submit}, "returned-again": {create, submit, func() { review(true) }, edit, submit, func() { review(false) }},
		"withdrawn": {create, submit, func() { review(true) }, withdraw}, "given-up": {create, withdraw},
	}[state] {
		step()
	}
}

func first[T, C any](v T, _ C, err error) (T, error) { return v, err }

var states = []string{"draft", "submitted", "returned", "published", "revised", "resubmitted", "returned-again", "withdrawn", "given-up"}

// stateOf writes the state of an entry and of its revision.
func stateOf(t *cataloguev1.Topic) string {
	s := strings.ToLower(strings.TrimPrefix(t.GetState().String(), "TOPIC_STATE_"))
	if t.GetRevision() != nil {
		s += "+" + strings.ToLower(strings.TrimPrefix(t.Revision.State.String(), "TOPIC_STATE_"))
	}
	return s
}

// TestEachActInEachStateByEachRole tries every act in every state in every role,
// and says what comes of it: the state afterwards, or the rule that refuses.
func TestEachActInEachStateByEachRole(t *testing.T) {
	l := newLife(t)
	for _, state := range states {
		l.bring(t, state)
	}
	review := func(ctx context.Context, ch catalog.Change, r catalog.Review) (*cataloguev1.Topic, error) {
		got, _, _, err := l.Catalogue.ReviewTopic(ctx, ch, r)
		return got, err
	}
	acts := map[string]func(ctx context.Context, ch catalog.Change, name string) (*cataloguev1.Topic, error){
		"edit": func(ctx context.Context, ch catalog.Change, name string) (*cataloguev1.Topic, error) {
			n := whole(name)
			n.Title = "另名"
			return first(l.Catalogue.UpdateTopic(ctx, ch, n))
		},
		"submit": func(ctx context.Context, ch catalog.Change, name string) (*cataloguev1.Topic, error) {
			return first(l.Catalogue.SubmitTopic(ctx, ch, name))
		},
		"publish": func(ctx context.Context, ch catalog.Change, name string) (*cataloguev1.Topic, error) {
			return review(ctx, ch, catalog.Review{Topic: name, Publish: true})
		},
		"return": func(ctx context.Context, ch catalog.Change, name string) (*cataloguev1.Topic, error) {
			return review(ctx, ch, catalog.Review{Topic: name, Findings: []*cataloguev1.Finding{{Message: "不全"}}})
		},
		"withdraw": func(ctx context.Context, ch catalog.Change, name string) (*cataloguev1.Topic, error) {
			return first(l.Catalogue.WithdrawTopic(ctx, ch, name, "职责调整"))
		},
	}
	// By role and act: what comes of it in each of the states, in their order.
	want := map[string]map[string]string{
		"owner": {
			"edit":     "draft topic.submitted returned published+draft published+draft topic.submitted published+returned topic.withdrawn topic.withdrawn",
			"submit":   "submitted submitted submitted topic.published published+submitted published+submitted published+submitted topic.withdrawn topic.withdrawn",
			"publish":  "role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator",
			"return":   "role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator",
			"withdraw": "withdrawn withdrawn withdrawn withdrawn withdrawn withdrawn withdrawn withdrawn withdrawn",
		},
		"other": {
			"edit":     "topic.unknown topic.unknown topic.unknown topic.owner topic.owner topic.owner topic.owner topic.owner topic.unknown",
			"submit":   "topic.unknown topic.unknown topic.unknown topic.owner topic.owner topic.owner topic.owner topic.owner topic.unknown",
			"publish":  "role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator",
			"return":   "role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator",
			"withdraw": "topic.unknown topic.unknown topic.unknown topic.owner topic.owner topic.owner topic.owner topic.owner topic.unknown",
		},
		"operator": {
			"edit":     "topic.draft topic.submitted topic.draft published published+draft topic.submitted published+returned topic.withdrawn topic.withdrawn",
			"submit":   "topic.draft submitted topic.draft topic.published topic.draft published+submitted topic.draft topic.withdrawn topic.withdrawn",
			"publish":  "topic.not_submitted published topic.not_submitted topic.not_submitted topic.not_submitted published topic.not_submitted topic.not_submitted topic.not_submitted",
			"return":   "topic.not_submitted returned topic.not_submitted topic.not_submitted topic.not_submitted published+returned topic.not_submitted topic.not_submitted topic.not_submitted",
			"withdraw": "withdrawn withdrawn withdrawn withdrawn withdrawn withdrawn withdrawn withdrawn withdrawn",
		},
		"auditor": {
			"edit":     "role.department role.department role.department role.department role.department role.department role.department role.department role.department",
			"submit":   "role.department role.department role.department role.department role.department role.department role.department role.department role.department",
			"publish":  "role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator",
			"return":   "role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator role.operator",
			"withdraw": "role.department role.department role.department role.department role.department role.department role.department role.department role.department",
		},
	}
	size := l.Journal.Head().Size
	for role, actor := range map[string]*identity.Caller{"owner": l.owner, "other": l.other, "operator": l.Operator, "auditor": l.auditor} {
		for act, try := range acts {
			for i, outcome := range strings.Fields(want[role][act]) {
				got, err := try(t.Context(), catalog.Change{Actor: actor, ValidateOnly: true}, states[i])
				said := stateOf(got)
				if err != nil {
					said = fault.RuleOf(err)
				}
				if said != outcome {
					t.Errorf("%s, %s by %s: %s (%v), want %s", states[i], act, role, said, err, outcome)
				}
			}
		}
	}
	if l.Journal.Head().Size != size {
		t.Error("a dry run wrote")
	}
	// Who sees them.
	for i, outcome := range strings.Fields("topic.unknown topic.unknown topic.unknown published published published published withdrawn topic.unknown") {
		got, err := l.Catalogue.TopicFor(l.other, states[i])
		said := stateOf(got)
		if err != nil {
			said = fault.RuleOf(err)
		}
		if said != outcome || len(got.GetFindings()) > 0 {
			t.Errorf("another department sees %s as %s, want %s", states[i], said, outcome)
		}
	}
}

// TestAnEntryFromDraftToRevision follows one entry with its clocks, its code and
// what is in force at each step.
func TestAnEntryFromDraftToRevision(t *testing.T) {
	l := newLife(t)
	ctx, own := t.Context(), catalog.Change{Actor: l.owner}
	running := func() string {
		t.Helper()
		var owner string
		rows, err := l.DB.Reader().QueryContext(ctx, "SELECT owner FROM deadlines WHERE kind = $1 AND object = 'e' AND stopped_at = 0", string(deadline.CatalogueReview))
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			if err := rows.Scan(&owner); err != nil {
				t.Fatal(err)
			}
		}
		return owner
	}
	short := whole("e")
	short.Conditions, short.Category, short.UpdateCycle = "", nil, 0
	got, commit, err := l.Catalogue.CreateTopic(ctx, own, short)
	if err != nil || stateOf(got) != "draft" || got.Code != "" || entries(t, commit)[0].GetChanged().Change != "create" {
		t.Fatal(got, err)
	}
	if again, commit, err := l.Catalogue.CreateTopic(ctx, own, short); err != nil || commit != nil || again.Name != "e" {
		t.Error("the repeat gave", commit, err)
	}
	_, _, err = l.Catalogue.SubmitTopic(ctx, own, "e")
	if fault.RuleOf(err) != "topic.conditions.required" || !strings.Contains(err.Error(), "category") || !strings.Contains(err.Error(), "update_cycle") {
		t.Errorf("what is missing is not told at once: %v", err)
	}
	if _, _, err := l.Catalogue.UpdateTopic(ctx, own, whole("e")); err != nil {
		t.Fatal(err)
	}
	submit := func() {
		t.Helper()
		if got, err = first(l.Catalogue.SubmitTopic(ctx, own, "e")); err != nil || running() != catalogtest.Authority {
			t.Fatal(got, err, running())
		}
	}
	submit()
	findings := []*cataloguev1.Finding{{Field: "abstract", Message: "未说明范围"}, {Message: "请核对类目"}}
	got, late, _, err := l.Catalogue.ReviewTopic(ctx, l.ByOperator(), catalog.Review{Topic: "e", Findings: findings})
	if err != nil || late || stateOf(got) != "returned" || len(got.Findings) != 2 || running() != "" {
		t.Fatal(got, err)
	}
	submit()
	got, _, commit, err = l.Catalogue.ReviewTopic(ctx, l.ByOperator(), catalog.Review{Topic: "e", Publish: true})
	if err != nil || stateOf(got) != "published" || got.Code != "306001/000001" || got.Edition != 1 || len(got.Findings) > 0 || running() != "" {
		t.Fatal(got, err)
	}
	if e := entries(t, commit)[0].GetChanged(); e.Change != "publish" || e.Id != "e" {
		t.Errorf("entry %v", e)
	}

	// A revision waits beside what is in force, and never touches it.
	if _, _, err := l.Catalogue.UpdateTopic(ctx, own, edited("e")); err != nil {
		t.Fatal(err)
	}
	if seen, err := l.Catalogue.TopicFor(l.other, "e"); err != nil || seen.Revision != nil || seen.Abstract != whole("e").Abstract || len(seen.Items) == 0 {
		t.Errorf("another department sees %v, %v", seen, err)
	}
	if seen, err := l.Catalogue.TopicFor(l.owner, "e"); err != nil || seen.Revision.GetAbstract() != edited("e").Abstract {
		t.Errorf("the owner sees %v, %v", seen, err)
	}
	if got, err := first(l.Catalogue.UpdateTopic(ctx, own, whole("e"))); err != nil || got.Revision != nil {
		t.Errorf("saying what is in force did not drop the revision: %v, %v", got, err)
	}
	if _, _, err := l.Catalogue.UpdateTopic(ctx, own, edited("e")); err != nil {
		t.Fatal(err)
	}
	submit()
	got, _, _, err = l.Catalogue.ReviewTopic(ctx, l.ByOperator(), catalog.Review{Topic: "e", Publish: true})
	if err != nil || stateOf(got) != "published" || got.Edition != 2 || got.Abstract != edited("e").Abstract || got.Code != "306001/000001" {
		t.Fatal(got, err)
	}

	// The next entry of the category has the next number.
	l.bring(t, "published")
	if next, err := l.Catalogue.TopicFor(l.owner, "published"); err != nil || next.Code != "306001/000002" {
		t.Error(next.GetCode(), err)
	}
	for rule, change := range map[string]func(*cataloguev1.Topic){
		"topic.provider.fixed": func(t *cataloguev1.Topic) { t.Provider = catalogtest.Housing },
		"topic.contract.fixed": func(t *cataloguev1.Topic) { t.Contract = "huitong.records.v1.Marriage" },
		"topic.category.fixed": func(t *cataloguev1.Topic) { t.Category.Code = "306002" },
		"topic.secret":         func(t *cataloguev1.Topic) { t.Secrecy = cataloguev1.Secrecy_SECRECY_STATE_SECRET },
	} {
		n := whole("e")
		change(n)
		if _, _, err := l.Catalogue.UpdateTopic(ctx, own, n); fault.RuleOf(err) != rule {
			t.Errorf("%v, want %s", err, rule)
		}
	}
}

func TestReviewsThatSayNothing(t *testing.T) {
	l := newLife(t)
	l.bring(t, "submitted")
	for rule, r := range map[string]catalog.Review{
		"findings.required":            {Topic: "submitted"},
		"findings.publish":             {Topic: "submitted", Publish: true, Findings: []*cataloguev1.Finding{{Message: "x"}}},
		"findings.size":                {Topic: "submitted", Findings: make([]*cataloguev1.Finding, 201)},
		"findings[0].message.required": {Topic: "submitted", Findings: []*cataloguev1.Finding{{Field: "x"}}},
		"topic.unknown":                {Topic: "nowhere", Publish: true},
	} {
		if _, _, _, err := l.Catalogue.ReviewTopic(t.Context(), l.ByOperator(), r); fault.RuleOf(err) != rule {
			t.Errorf("%v, want %s", err, rule)
		}
	}
}

func TestTheCatalogueIsSearched(t *testing.T) {
	l := newLife(t)
	for _, state := range []string{"draft", "published", "revised"} {
		l.bring(t, state)
	}
	other := whole("estate")
	other.Title, other.Provider, other.Category, other.Contract = "不动产登记", catalogtest.Housing, &cataloguev1.Category{Code: "402", Path: []string{"部门"}}, "huitong.records.v1.Property"
	other.SharingClass, other.ServiceItems = cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL, []*cataloguev1.LinkedItem{{Code: "000711004000", Title: "救助"}}
	if _, _, err := l.Catalogue.CreateTopic(t.Context(), l.ByOperator(), other); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		by     *identity.Caller
		filter catalog.TopicFilter
		want   string
	}{
		"all":          {l.owner, catalog.TopicFilter{}, "draft estate published revised"},
		"no drafts":    {l.other, catalog.TopicFilter{}, "estate published revised"},
		"auditor":      {l.auditor, catalog.TopicFilter{}, "draft estate published revised"},
		"provider":     {l.owner, catalog.TopicFilter{Provider: catalogtest.Housing}, "estate"},
		"category":     {l.owner, catalog.TopicFilter{Category: "306"}, "draft published revised"},
		"text":         {l.other, catalog.TopicFilter{Text: "不动产"}, "estate"},
		"words":        {l.owner, catalog.TopicFilter{Text: "低保 PUBLISHED"}, "published"},
		"item's title": {l.other, catalog.TopicFilter{Text: "权利人"}, "estate"},
		"class":        {l.other, catalog.TopicFilter{Class: conditional}, "published revised"},
		"state":        {l.owner, catalog.TopicFilter{State: cataloguev1.TopicState_TOPIC_STATE_DRAFT}, "draft revised"},
		"not theirs":   {l.other, catalog.TopicFilter{State: cataloguev1.TopicState_TOPIC_STATE_DRAFT}, ""},
		"service item": {l.other, catalog.TopicFilter{ServiceItem: "000711004000"}, "estate"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := l.Catalogue.Topics(t.Context(), c.by, c.filter, catalog.Page{})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, topic := range list {
				names = append(names, topic.Name)
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
	if list, err := l.Catalogue.Topics(t.Context(), l.owner, catalog.TopicFilter{}, catalog.Page{After: "draft", Limit: 2}); err != nil || len(list) != 2 || list[0].Name != "estate" {
		t.Error(list, err)
	}
	if !proto.Equal(whole("x"), whole("x")) {
		t.Fatal("the entries of this test differ from call to call")
	}
}
