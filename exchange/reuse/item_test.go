package reuse_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/reuse"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// topics lists a catalogue with what an item may name, and what not.
func topics(t *testing.T) *catalog.Catalogue {
	t.Helper()
	x := catalogtest.New(t)
	civil := x.Enrol(catalogtest.Civil, "registry")
	list := func(name, contract string, class cataloguev1.SharingClass, changes ...func(*cataloguev1.Topic)) {
		topic := &cataloguev1.Topic{
			Name: name, Title: name, Provider: catalogtest.Civil, Contract: contract, SharingClass: class,
			Conditions: "按授权使用", LegalBasis: "《政务数据共享条例》第十四条",
		}
		for _, change := range changes {
			change(topic)
		}
		_, _, err := x.Catalogue.CreateTopic(t.Context(), x.ByOperator(), topic)
		must(t, err)
	}
	const conditional, never = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED
	list("disability", "huitong.records.v1.Disability", conditional)
	list("income", "huitong.records.v1.Income", conditional, func(topic *cataloguev1.Topic) {
		topic.Items = []*cataloguev1.TopicItem{{Name: "payer_name", SharingClass: never, Sensitivity: 4}}
	})
	list("balance", "huitong.records.v1.Income", conditional, func(topic *cataloguev1.Topic) {
		topic.DeliveryModes = []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK, cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE}
	})
	list("certificate", "huitong.records.v1.Certificate", conditional)
	list("adoption", "huitong.records.v1.Certificate", never)
	list("service-items", reuse.ItemContract, cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL)
	list("old", "huitong.records.v1.Disability", conditional)
	_, _, err := x.Catalogue.WithdrawTopic(t.Context(), x.ByOperator(), "old", "不再提供")
	must(t, err)
	_, _, err = x.Catalogue.CreateTopic(t.Context(), catalog.Change{Actor: civil.Caller}, &cataloguev1.Topic{
		Name: "draft", Title: "草稿", Provider: catalogtest.Civil, Contract: "huitong.records.v1.Disability", SharingClass: conditional, Conditions: "按授权使用",
	})
	must(t, err)
	return x.Catalogue
}

func asking(evidence ...*recordsv1.Evidence) *recordsv1.ServiceItem {
	return &recordsv1.ServiceItem{Materials: []*recordsv1.ItemMaterial{{}, {Evidence: evidence}}}
}

func TestEvidenceThatCouldNeverBeFoundIsRefused(t *testing.T) {
	in := topics(t)
	for _, c := range []struct {
		topic, condition string
		rule, says       string
	}{
		{"nothing", "", "evidence.topic", "no published topic"},
		{"draft", "", "evidence.topic", "no published topic"},
		{"old", "", "evidence.topic", "no published topic"},
		{"adoption", "", "evidence.topic", "not shared"},
		{"balance", "", "evidence.topic", "not delivered by query"},
		{"service-items", "", "evidence.topic", "about nobody"},
		{"disability", "r.levl == 1", "evidence.condition", "levl"},
		{"disability", "r.grade", "evidence.condition", "gives no bool"},
		{"disability", "grade == 1", "evidence.condition", "grade"},
		{"disability", "r == r", "evidence.condition", "compares whole records"},
		{"disability", "r.grade ==", "evidence.condition", "Syntax error"},
		{"disability", `r.certificate_number.matches("^9")`, "evidence.condition", "matches"},
		{"disability", strings.Repeat("(", 500), "evidence.condition", ""},
		{"disability", `r.certificate_number == "` + strings.Repeat("9", 1000) + `"`, "evidence.condition", "more than 1000 bytes"},
		{"certificate", "r.face_items.all(a, r.face_items.all(b, a.value.contains(b.value)))", "evidence.condition", "may cost"},
		{"income", `r.payer_name != ""`, "evidence.condition", "not shared"},
	} {
		got, err := reuse.CheckItem(asking(&recordsv1.Evidence{Topic: "disability"}, &recordsv1.Evidence{Topic: c.topic, Condition: c.condition}), in, &reuse.Conditions{})
		must(t, err)
		field := "materials[1].evidence[1]." + strings.TrimPrefix(c.rule, "evidence.")
		if len(got) != 1 || got[0].Field != field || got[0].Rule != c.rule || !strings.Contains(got[0].Message, c.says) {
			t.Errorf("%s %.40s: %+v", c.topic, c.condition, got)
		}
	}
}

func TestGoodEvidenceIsAccepted(t *testing.T) {
	in := topics(t)
	item := asking(&recordsv1.Evidence{Topic: "disability", Condition: "r.grade == 1u || r.grade == 2u"}, &recordsv1.Evidence{Topic: "income", Condition: "r.period_until >= today"})
	if got, err := reuse.CheckItem(item, in, &reuse.Conditions{}); err != nil || len(got) != 0 {
		t.Errorf("%+v %v", got, err)
	}
	gone := asking(&recordsv1.Evidence{Topic: "old"})
	gone.State = recordsv1.ItemState_ITEM_STATE_ABOLISHED
	if got, err := reuse.CheckItem(gone, in, &reuse.Conditions{}); err != nil || len(got) != 0 {
		t.Errorf("cannot be abolished: %+v %v", got, err)
	}
}

// TestAllIsSaidAtOnce: who mends an item is not sent back for each mistake.
func TestAllIsSaidAtOnce(t *testing.T) {
	in := topics(t)
	check := &reuse.ItemCheck{Topics: in, Conditions: &reuse.Conditions{}}
	item := asking(&recordsv1.Evidence{Topic: "nothing"}, &recordsv1.Evidence{Topic: "disability", Condition: "r.levl == 1"})
	payload, err := proto.Marshal(item)
	must(t, err)
	var f *fault.Error
	if err := check.Check(payload, nil); !errors.As(err, &f) || f.Kind != fault.Invalid || len(f.Violations) != 2 {
		t.Errorf("%+v", err)
	}
	for range 200 {
		item.Materials = append(item.Materials, item.Materials[1])
	}
	if got, err := reuse.CheckItem(item, in, &reuse.Conditions{}); err != nil || len(got) != 64 {
		t.Errorf("%d %v", len(got), err)
	}
}

// whole is an item of which everything is there to download, and its documents.
func whole() (*recordsv1.ServiceItem, []*ledgerv1.Document) {
	named := func(n byte) *recordsv1.Document {
		return &recordsv1.Document{Name: "表.txt", MediaType: "text/plain", Size: uint64(n), Sha256: bytes.Repeat([]byte{n}, 32)}
	}
	var attached []*ledgerv1.Document
	for n := byte(1); n <= 3; n++ {
		attached = append(attached, &ledgerv1.Document{MediaType: "text/plain", Size: uint64(n), Sha256: bytes.Repeat([]byte{n}, 32)})
	}
	return &recordsv1.ServiceItem{
		Materials: []*recordsv1.ItemMaterial{{}, {
			Source: recordsv1.MaterialSource_MATERIAL_SOURCE_APPLICANT, BlankForm: "https://zwfw.example/f/1",
			BlankFormDocument: named(1), SampleDocument: named(2), GuideDocument: named(3),
		}},
		Forms: []*recordsv1.ItemForm{{Address: "https://zwfw.example/f/1", Document: named(1)}},
	}, attached
}

func TestTextsThatNobodySeesAreRefused(t *testing.T) {
	item, _ := whole()
	item.Name, item.Conditions = "困难\x00补贴", []string{"甲\n乙", "丙\x1b[2J"}
	item.Materials[1].Guide, item.Materials[1].Name = "第一行\n第二行", "申请表\n（一）"
	item.Materials[1].SampleDocument.Name = "样\u202e表.txt"
	item.Questions = []*recordsv1.ItemQuestion{{Question: "多久？", Answer: "十日\r\n"}}
	var got []string
	for _, v := range reuse.CheckTexts(item) {
		got = append(got, v.Field+" "+v.Rule)
	}
	want := []string{
		"conditions[1] text.control", "materials[1].name text.control", "materials[1].sample_document.name text.control",
		"name text.control", "questions[0].answer text.control",
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	only := &recordsv1.ServiceItem{Name: "困难\x00补贴"}
	payload, err := proto.Marshal(only)
	must(t, err)
	check := &reuse.ItemCheck{Topics: topics(t), Conditions: &reuse.Conditions{}}
	if err := check.Check(payload, nil); fault.KindOf(err) != fault.Invalid || fault.RuleOf(err) != "text.control" {
		t.Errorf("published is refused by %v", err)
	}
	for range 200 {
		item.Conditions = append(item.Conditions, "\x00")
	}
	if n := len(reuse.CheckTexts(item)); n != 64 {
		t.Errorf("%d are told", n)
	}
}

func TestAnItemWithoutItsDocumentsIsRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(m *recordsv1.ServiceItem, attached []*ledgerv1.Document) []*ledgerv1.Document
		want []string
	}{
		{"whole", func(_ *recordsv1.ServiceItem, a []*ledgerv1.Document) []*ledgerv1.Document { return a }, nil},
		{"nothing attached", func(*recordsv1.ServiceItem, []*ledgerv1.Document) []*ledgerv1.Document { return nil }, []string{
			"materials[1].blank_form_document item.document", "materials[1].sample_document item.document",
			"materials[1].guide_document item.document", "forms[0].document item.document",
		}},
		{"no guide attached", func(_ *recordsv1.ServiceItem, a []*ledgerv1.Document) []*ledgerv1.Document { return a[:2] }, []string{"materials[1].guide_document item.document"}},
		{"another file", func(_ *recordsv1.ServiceItem, a []*ledgerv1.Document) []*ledgerv1.Document {
			a[1].Sha256[0]++
			return a
		}, []string{"materials[1].sample_document item.document"}},
		{"another size", func(_ *recordsv1.ServiceItem, a []*ledgerv1.Document) []*ledgerv1.Document {
			a[1].Size++
			return a
		}, []string{"materials[1].sample_document item.document"}},
		{"an address alone", func(m *recordsv1.ServiceItem, a []*ledgerv1.Document) []*ledgerv1.Document {
			m.Materials[1].BlankFormDocument, m.Materials[1].SampleDocument, m.Forms[0].Document = nil, nil, nil
			return a
		}, []string{"materials[1] material.document", "forms[0] form.document"}},
		{"a sample alone", func(m *recordsv1.ServiceItem, a []*ledgerv1.Document) []*ledgerv1.Document {
			m.Materials[1].BlankFormDocument = nil
			return a
		}, nil},
		{"abolished", func(m *recordsv1.ServiceItem, _ []*ledgerv1.Document) []*ledgerv1.Document {
			m.State = recordsv1.ItemState_ITEM_STATE_ABOLISHED
			return nil
		}, nil},
	} {
		item, attached := whole()
		var got []string
		for _, v := range reuse.CheckDocuments(item, c.edit(item, attached)) {
			got = append(got, v.Field+" "+v.Rule)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}
