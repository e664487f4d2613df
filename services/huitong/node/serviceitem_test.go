package node_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

func subsidyItem(evidence ...*recordsv1.Evidence) *recordsv1.ServiceItem {
	return sample.ServiceItem(sample.CivilAffairs.Code+"0007110040001", "困难残疾人生活补贴", sample.CivilAffairs,
		sample.IssuedMaterial("01", "结婚证", sample.CivilAffairs, evidence...))
}

// TestAServiceItemIsCheckedAgainstTheCatalogue: its contract alone cannot say
// which topics there are.
func TestAServiceItemIsCheckedAgainstTheCatalogue(t *testing.T) {
	x := nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "items")
	if err := x.CreateTopic(t.Context(), unconditional("service-items", "ServiceItem", sample.CivilAffairs)); err != nil {
		t.Fatal(err)
	}
	publisher := civil.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { _ = publisher.Close(t.Context()) })
	refused := func(evidence *recordsv1.Evidence, field, rule string) {
		t.Helper()
		_, err := publisher.Publish(t.Context(), "service-items", subsidyItem(evidence))
		wantRule(t, err, fault.Invalid, rule)
		var f *fault.Error
		if !asFault(err, &f) || len(f.Violations) != 1 || f.Violations[0].Field != field || f.Violations[0].Rule != rule {
			t.Errorf("%+v", err)
		}
	}
	before := x.Node.Journal.Head().Size
	good := &recordsv1.Evidence{Topic: "marriage", Condition: "r.state == 1"}
	refused(good, "materials[0].evidence[0].topic", "evidence.topic")
	marriageTopic(t, x)
	refused(&recordsv1.Evidence{Topic: "marriage", Condition: "r.states == 1"}, "materials[0].evidence[0].condition", "evidence.condition")
	want := []string{"publish service-items evidence.condition", "publish service-items evidence.topic"}
	if got := refusalsFrom(t, x, before); !slices.Equal(got, want) {
		t.Errorf("entered is %v", got)
	}
	if _, err := publisher.Publish(t.Context(), "service-items", subsidyItem(good)); err != nil {
		t.Error(err)
	}
}

// itemCode is one of many codes of a department.
func itemCode(d sample.Department, n int) string { return fmt.Sprintf("%s%012d1", d.Code, n) }

// portals is an exchange with service items of two departments on two topics, and a
// third topic of items that are not shared unconditionally.
func portals(t *testing.T, of map[string]int) (x *nodetest.Exchange, portal *sdk.Client, publisher *sdk.Publisher) {
	x = nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "items")
	portal = x.Join(t, sample.Housing, "portal")
	publisher = civil.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { _ = publisher.Close(t.Context()) })
	for name, n := range of {
		topic := unconditional(name, "ServiceItem", sample.CivilAffairs)
		if name == "kept" {
			topic.SharingClass, topic.Conditions = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, "按需"
		}
		ok(t, x.CreateTopic(t.Context(), topic))
		for i := range n {
			d := []sample.Department{sample.CivilAffairs, sample.Housing}[i%2]
			_, err := publisher.Publish(t.Context(), name, sample.ServiceItem(itemCode(d, len(name)*100+i), "事项"+name, d))
			ok(t, err)
		}
	}
	return x, portal, publisher
}

func codesOf(t *testing.T, c *sdk.Client, f sdk.ServiceItemFilter) (codes []string) {
	t.Helper()
	for item, err := range c.ServiceItems(t.Context(), f) {
		ok(t, err)
		codes = append(codes, item.Item.ImplementationCode)
	}
	slices.Sort(codes)
	return codes
}

// TestEveryPortalListsTheSameItems: page by page, whatever their size, each once;
// and only what is shared unconditionally.
func TestEveryPortalListsTheSameItems(t *testing.T) {
	x, portal, publisher := portals(t, map[string]int{"city": 7, "county": 4, "kept": 2, "none": 0})
	for _, size := range []int{1, 2, 4, 7, 11, 0, 256} {
		if got := codesOf(t, portal, sdk.ServiceItemFilter{PageSize: size}); len(got) != 11 {
			t.Errorf("pages of %d: %d items: %v", size, len(got), got)
		}
	}
	if got := codesOf(t, portal, sdk.ServiceItemFilter{Department: sample.Housing.Code, PageSize: 2}); len(got) != 5 {
		t.Errorf("of one department: %v", got)
	}
	one := itemCode(sample.CivilAffairs, 400)
	if got := codesOf(t, portal, sdk.ServiceItemFilter{BasicCode: one[18:30]}); !slices.Equal(got, []string{one}) {
		t.Errorf("by basic code: %v", got)
	}
	c := exchangev1.NewItemServiceClient(portal.Conn())
	page, err := c.ListServiceItems(t.Context(), &exchangev1.ListServiceItemsRequest{PageSize: 3, Json: true})
	ok(t, err)
	if len(page.Items) != 3 || page.NextPageToken == "" || page.Items[0].Json == "" {
		t.Errorf("%d items", len(page.Items))
	}
	_, err = c.ListServiceItems(t.Context(), &exchangev1.ListServiceItemsRequest{PageSize: 257})
	wantRule(t, fault.FromStatus(err), fault.Invalid, "page_size")
	for _, token := range []string{"!", "AAAA", page.NextPageToken + "AAAA"} {
		_, err = c.ListServiceItems(t.Context(), &exchangev1.ListServiceItemsRequest{PageToken: token})
		wantRule(t, fault.FromStatus(err), fault.Invalid, "page_token")
	}
	_, err = portal.ServiceItem(t.Context(), itemCode(sample.CivilAffairs, 400+1), nil)
	wantRule(t, err, fault.NotFound, "item.unknown")
	_, err = portal.ServiceItem(t.Context(), "", nil)
	wantRule(t, err, fault.Invalid, "item.code.required")
	_, err = publisher.Cancel(t.Context(), "city", one, "取消")
	ok(t, err)
	if got := codesOf(t, portal, sdk.ServiceItemFilter{}); len(got) != 10 {
		t.Errorf("with one cancelled: %v", got)
	}
	_, err = x.Catalogue.WithdrawTopic(t.Context(), &cataloguev1.WithdrawTopicRequest{Name: "county", Reason: "并入全市"})
	ok(t, err)
	if got := codesOf(t, portal, sdk.ServiceItemFilter{}); len(got) != 6 {
		t.Errorf("with a topic withdrawn: %v", got)
	}
}

// TestAnItemAsItWas: an answer that rested on a version is looked up by it.
func TestAnItemAsItWas(t *testing.T) {
	x, portal, publisher := portals(t, map[string]int{"city": 0})
	item := sample.ServiceItem(itemCode(sample.CivilAffairs, 1), "临时救助", sample.CivilAffairs)
	before := x.Node.Journal.Head().Size - 1
	first, err := publisher.Publish(t.Context(), "city", item)
	ok(t, err)
	item.PromisedLimit = 3
	_, err = publisher.Publish(t.Context(), "city", item)
	ok(t, err)
	for days, past := range map[uint32]sdk.QueryAsOf{3: nil, 5: sdk.AsOfIndex(first.Index)} {
		got, err := portal.ServiceItem(t.Context(), item.ImplementationCode, past)
		ok(t, err)
		if got.Item.PromisedLimit != days {
			t.Errorf("%d days, not %d", got.Item.PromisedLimit, days)
		}
	}
	got, err := portal.ServiceItem(t.Context(), item.ImplementationCode, sdk.AsOfTime(first.At))
	ok(t, err)
	if got.Item.PromisedLimit != 5 || got.Index != first.Index {
		t.Errorf("at its time: %v", got.Item)
	}
	_, err = portal.ServiceItem(t.Context(), item.ImplementationCode, sdk.AsOfIndex(before))
	wantRule(t, err, fault.NotFound, "item.unknown")
	_, err = portal.ServiceItem(t.Context(), item.ImplementationCode, sdk.AsOfIndex(1<<40))
	wantRule(t, err, fault.Invalid, "as_of.future")
}

// attached publishes an item with a form and gives it back as a portal has it.
func attached(t *testing.T, c *sdk.Client, portal *sdk.Client, topic, form string) (*sdk.ServiceItem, *sdk.Document) {
	t.Helper()
	files := fstest.MapFS{"申请表.txt": {Data: []byte(form)}}
	item := sample.ServiceItem(itemCode(sample.CivilAffairs, 7), "临时救助", sample.CivilAffairs, &recordsv1.ItemMaterial{
		Code: "01", Name: "临时救助申请表", Originals: 1, Medium: recordsv1.MaterialMedium_MATERIAL_MEDIUM_EITHER,
		Necessity: recordsv1.Necessity_NECESSITY_REQUIRED, Source: recordsv1.MaterialSource_MATERIAL_SOURCE_APPLICANT,
		Guide: "本人填写", BlankFormDocument: &recordsv1.Document{Name: "申请表.txt"},
	})
	ok(t, sdk.DescribeItemDocuments(item, files, func(string) string { return "text/plain" }))
	publisher := c.Publisher(sdk.PublisherConfig{CallUnary: true})
	defer func() { _ = publisher.Close(t.Context()) }()
	_, err := publisher.Publish(t.Context(), topic, item)
	wantRule(t, err, fault.Invalid, "item.document")
	documents, err := c.UploadItemDocuments(t.Context(), item, files)
	ok(t, err)
	_, err = publisher.Do(t.Context(), sdk.Publication{Topic: topic, Message: item, Documents: documents})
	ok(t, err)
	shown, err := portal.ServiceItem(t.Context(), item.ImplementationCode, nil)
	if err != nil {
		return nil, documents[0]
	}
	return shown, sdk.DocumentOf(shown.Documents, shown.Item.Materials[0].BlankFormDocument)
}

// TestWhoeverIsEnrolledReadsAnItemsDocuments: for no case, and each by an entry;
// those of the present version alone, and of what is public alone.
func TestWhoeverIsEnrolledReadsAnItemsDocuments(t *testing.T) {
	x := nodetest.Start(t)
	civil, portal := x.Join(t, sample.CivilAffairs, "items"), x.Join(t, sample.Housing, "portal")
	auditor := x.Join(t, sample.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR)
	witness := x.Join(t, sample.PublicSecurity, "witness", cataloguev1.Role_ROLE_WITNESS)
	ok(t, x.CreateTopic(t.Context(), unconditional("items", "ServiceItem", sample.CivilAffairs)))
	_, form := attached(t, civil, portal, "items", "申请表一")
	for _, c := range []*sdk.Client{civil, portal, auditor, witness, x.Client} {
		before := x.Node.Journal.Head().Size
		var got bytes.Buffer
		_, err := c.DownloadDocument(t.Context(), sdk.DocumentQuery{Document: form}, &got)
		ok(t, err)
		entries := entriesFrom(t, x, before)
		if got.String() != "申请表一" || len(entries) != 1 || entries[0].GetQueried().GetConsumer() != c.System() || entries[0].GetQueried().GetPurpose() != "" {
			t.Errorf("%s got %q by %v", c.System(), got.String(), entries)
		}
	}
	shown, next := attached(t, civil, portal, "items", "申请表二")
	var got bytes.Buffer
	_, err := portal.DownloadDocument(t.Context(), sdk.DocumentQuery{Document: form}, &got)
	wantRule(t, err, fault.NotFound, "document.superseded")
	_, err = portal.DownloadDocument(t.Context(), sdk.DocumentQuery{Document: next}, &got)
	ok(t, err)
	publisher := civil.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { _ = publisher.Close(t.Context()) })
	_, err = publisher.Erase(t.Context(), "items", shown.Item.ImplementationCode, "误发")
	ok(t, err)
	_, err = portal.DownloadDocument(t.Context(), sdk.DocumentQuery{Document: next}, &got)
	wantRule(t, err, fault.NotFound, "document.erased")
	kept := unconditional("kept", "ServiceItem", sample.CivilAffairs)
	kept.SharingClass, kept.Conditions = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, "按需"
	ok(t, x.CreateTopic(t.Context(), kept))
	_, secret := attached(t, civil, portal, "kept", "申请表三")
	_, err = portal.DownloadDocument(t.Context(), sdk.DocumentQuery{Document: secret}, &got)
	wantRule(t, err, fault.Denied, "acting.person.required")
	fsck(t, x)
}
