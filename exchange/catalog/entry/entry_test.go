package entry_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/entry"
	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

const (
	unconditional = cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL
	conditional   = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL
	notShared     = cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED
	basis         = "《中华人民共和国税收征收管理法》第八条"
)

var person = &cataloguev1.Contract{Name: "x.Person", Key: "number", Items: []*cataloguev1.DataItem{
	{Number: 1, Name: "number", Title: "号码", Type: "string", Sensitivity: 3},
	{Number: 2, Name: "name", Title: "姓名", Type: "string", Sensitivity: 2},
	{Number: 3, Name: "income", Title: "收入", Type: "int64", Sensitivity: 3},
}}

func whole(change func(*cataloguev1.Topic)) *cataloguev1.Topic {
	t := &cataloguev1.Topic{
		Name: "person", Title: "人口", Contract: "x.Person", SharingClass: conditional, Conditions: "按授权使用",
		UpdateCycle: cataloguev1.UpdateCycle_UPDATE_CYCLE_DAY, Abstract: "常住人口", Format: "数据库",
		Category: &cataloguev1.Category{Code: "101001", Path: []string{"基础", "人口"}},
	}
	change(t)
	return entry.Content(t)
}

func item(name string, class cataloguev1.SharingClass, level uint32) *cataloguev1.TopicItem {
	return &cataloguev1.TopicItem{Name: name, SharingClass: class, Sensitivity: level}
}

// TestCitations: what an entry may be not shared by is cited, and nothing else
// passes for it.
func TestCitations(t *testing.T) {
	for text, want := range map[string]bool{
		"《中华人民共和国税收征收管理法》第八条":                true,
		"《社会救助暂行办法》":                         true,
		"《中华人民共和国个人信息保护法（2021）》第十三条":         true,
		"依据《国务院关于在线政务服务的若干规定》":               true,
		"统计法第二十五条":                           true,
		"中华人民共和国档案法 第 28 条":                  true,
		"国务院令第649号":                          true,
		"":                                   false,
		"《》":                                 false,
		"《内部数据》":                             false,
		"我局领导同意":                             false,
		"按照本局办法不予共享":                         false,
		"第八条":                                false,
		"secret law":                         false,
		"《" + strings.Repeat("长", 81) + "法》": false,
	} {
		if entry.Cites(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// TestSecretsAreRefused at every bar: every value of the classification but
// none, and those that the exchange does not know.
func TestSecretsAreRefused(t *testing.T) {
	for s := int32(-1); s < 100; s++ {
		err := entry.CheckSecrecy(&cataloguev1.Topic{Secrecy: cataloguev1.Secrecy(s)})
		if allowed := s == 0 || s == 1; allowed != (err == nil) {
			t.Errorf("secrecy %d: %v", s, err)
		}
		if err != nil && (fault.RuleOf(err) != entry.Secret || fault.KindOf(err) != fault.Denied) {
			t.Errorf("secrecy %d: %v", s, err)
		}
	}
}

func rulesOf(err error) []string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return nil
	}
	var all []string
	for _, v := range f.Violations {
		all = append(all, v.Rule)
	}
	slices.Sort(all)
	return all
}

func TestWhatIsFound(t *testing.T) {
	draft := func(t, _ any) error { return entry.CheckDraft(t.(*cataloguev1.Topic)) }
	publish := func(t, k any) error { return entry.CheckPublished(t.(*cataloguev1.Topic), k.(*cataloguev1.Contract)) }
	submit := func(t, k any) error { return entry.CheckSubmitted(t.(*cataloguev1.Topic), k.(*cataloguev1.Contract)) }
	for name, c := range map[string]struct {
		check  func(t, k any) error
		change func(*cataloguev1.Topic)
		want   []string
	}{
		"nothing":  {submit, func(*cataloguev1.Topic) {}, nil},
		"empty":    {draft, func(t *cataloguev1.Topic) { proto.Reset(t) }, []string{"topic.contract.required", "topic.name", "topic.sharing_class.required", "topic.title.required"}},
		"a person": {draft, func(t *cataloguev1.Topic) { t.Abstract = "11010519491231002X" }, []string{"topic.abstract.personal"}},
		"long":     {draft, func(t *cataloguev1.Topic) { t.Conditions = strings.Repeat("长", 700) }, []string{"topic.conditions.size"}},
		"enums":    {draft, func(t *cataloguev1.Topic) { t.UpdateCycle, t.OpenData, t.Consent = 99, 99, 99 }, []string{"topic.consent.unknown", "topic.open_data.unknown", "topic.update_cycle.unknown"}},
		"submitted by subscription": {draft, func(t *cataloguev1.Topic) {
			t.Contract, t.DeliveryModes = "huitong.records.v1.SubmittedMaterial", []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE}
		}, []string{"topic.delivery_modes.submitted"}},
		"mode twice": {draft, func(t *cataloguev1.Topic) { t.DeliveryModes = []cataloguev1.DeliveryMode{2, 2} }, []string{"topic.delivery_modes.unknown"}},
		"category":   {draft, func(t *cataloguev1.Topic) { t.Category = &cataloguev1.Category{Code: "x"} }, []string{"topic.category.code", "topic.category.path"}},
		"linked": {draft, func(t *cataloguev1.Topic) {
			t.ServiceItems = []*cataloguev1.LinkedItem{{Code: "A-1"}, {Code: "A-1"}, {Code: "11010519491231002X"}}
		}, []string{"topic.service_items.code", "topic.service_items.twice"}},
		"many items": {draft, func(t *cataloguev1.Topic) { t.Items = make([]*cataloguev1.TopicItem, 1001) }, []string{"topic.items.size"}},
		"item level": {draft, func(t *cataloguev1.Topic) { t.Items = []*cataloguev1.TopicItem{item("name", 9, 5)} }, []string{"item.class", "item.sensitivity"}},

		"conditions":    {publish, func(t *cataloguev1.Topic) { t.Conditions = "" }, []string{"topic.conditions.required"}},
		"basis":         {publish, func(t *cataloguev1.Topic) { t.SharingClass = notShared }, []string{"topic.legal_basis.required"}},
		"no citation":   {publish, func(t *cataloguev1.Topic) { t.SharingClass, t.LegalBasis = notShared, "领导同意" }, []string{"topic.legal_basis.citation"}},
		"cited":         {publish, func(t *cataloguev1.Topic) { t.SharingClass, t.LegalBasis = notShared, basis }, nil},
		"lowered":       {publish, func(t *cataloguev1.Topic) { t.Items = []*cataloguev1.TopicItem{item("income", 0, 2)} }, []string{"item.sensitivity"}},
		"raised":        {publish, func(t *cataloguev1.Topic) { t.Items = []*cataloguev1.TopicItem{item("income", 0, 4)} }, nil},
		"freer":         {publish, func(t *cataloguev1.Topic) { t.Items = []*cataloguev1.TopicItem{item("income", unconditional, 0)} }, []string{"item.class"}},
		"unknown item":  {publish, func(t *cataloguev1.Topic) { t.Items = []*cataloguev1.TopicItem{item("x", 0, 0)} }, []string{"item.unknown"}},
		"item twice":    {publish, func(t *cataloguev1.Topic) { t.Items = []*cataloguev1.TopicItem{item("name", 0, 3), item("name", 0, 4)} }, []string{"item.twice"}},
		"key kept back": {publish, func(t *cataloguev1.Topic) { t.Items = []*cataloguev1.TopicItem{item("number", notShared, 0)} }, []string{"item.key"}},
		"item basis":    {publish, func(t *cataloguev1.Topic) { t.Items = []*cataloguev1.TopicItem{item("income", notShared, 0)} }, []string{"item.legal_basis"}},
		"item cites": {publish, func(t *cataloguev1.Topic) {
			t.Items = []*cataloguev1.TopicItem{{Name: "income", SharingClass: notShared, LegalBasis: basis}}
		}, nil},
		"the entry's cite": {publish, func(t *cataloguev1.Topic) {
			t.LegalBasis, t.Items = basis, []*cataloguev1.TopicItem{item("income", notShared, 0)}
		}, nil},

		"all at once": {submit, func(t *cataloguev1.Topic) {
			t.Conditions, t.Category, t.UpdateCycle, t.Abstract, t.Format = "", nil, 0, "", ""
		}, []string{
			"topic.abstract.required", "topic.category.required", "topic.conditions.required", "topic.format.required", "topic.update_cycle.required",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rulesOf(c.check(whole(c.change), person)); !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %v", got, c.want)
			}
		})
	}
}

// TestItemsWrittenOutSayTheSame: an entry as the exchange shows it, with all its
// items, trims to what was stated.
func TestItemsWrittenOutSayTheSame(t *testing.T) {
	short := whole(func(t *cataloguev1.Topic) {
		t.Items = []*cataloguev1.TopicItem{{Name: "income", Title: "全部收入", SharingClass: notShared, Sensitivity: 4, LegalBasis: basis}, {Name: "name", Title: "姓名"}}
	})
	entry.Trim(short, person)
	if len(short.Items) != 1 {
		t.Fatalf("trimmed to %v", short.Items)
	}
	long := proto.CloneOf(short)
	long.Items = entry.Items(short, person)
	if len(long.Items) != 3 || long.Items[1].SharingClass != conditional || long.Items[1].Sensitivity != 2 || long.Items[2].Title != "全部收入" {
		t.Fatalf("written out: %v", long.Items)
	}
	entry.Trim(long, person)
	if !proto.Equal(short, long) {
		t.Errorf("%v\n%v", short, long)
	}
	// A newer version of the contract brings an item and raises a level.
	newer := proto.CloneOf(person)
	newer.Items[1].Sensitivity = 4
	newer.Items = append(newer.Items, &cataloguev1.DataItem{Number: 4, Name: "phone", Sensitivity: 1})
	if all := entry.Items(short, newer); len(all) != 4 || all[1].Sensitivity != 4 || all[3].SharingClass != conditional {
		t.Errorf("under the newer contract: %v", all)
	}
}
