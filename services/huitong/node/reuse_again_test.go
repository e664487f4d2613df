package node_test

import (
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

func copyOf(got *sdk.Collected, material string) *sdk.Copy {
	i := slices.IndexFunc(got.Copies, func(c sdk.Copy) bool { return c.Material == material })
	if i < 0 {
		return nil
	}
	return &got.Copies[i]
}

// granting lets the hall read fields of the estates.
func (c *counter) granting(t *testing.T, fields ...string) *accessv1.Grant {
	t.Helper()
	g, err := c.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: "property", Consumer: sample.ServiceHall.Code, ServiceItems: []string{subsidy}, Fields: fields,
		Basis: "《社会救助暂行办法》第五十八条", Scenario: "低保经济状况核对", DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	})
	ok(t, err)
	return g
}

// TestACopyComesAgainOnlyAsItMayBeSeenNow: one that shows what the grant in force
// does not cover any more does not come, and it is said why.
func TestACopyComesAgainOnlyAsItMayBeSeenNow(t *testing.T) {
	c := newCounter(t)
	c.publish(t, c.Join(t, sample.Housing, "registry"), "property", home(earner))
	wide := c.granting(t, "certificate_number", "location")
	collect := func() *sdk.Collected {
		t.Helper()
		got, err := c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant})
		ok(t, err)
		return got
	}
	first := copyOf(collect(), "property")
	if first == nil {
		t.Fatal("the estate was not collected")
	}
	suspend := func(g *accessv1.Grant) {
		t.Helper()
		_, err := c.Access.SuspendGrant(t.Context(), &accessv1.SuspendGrantRequest{Id: g.Id, Reason: "缩小范围"})
		ok(t, err)
	}
	suspend(wide)
	narrow := c.granting(t, "certificate_number")
	again := collect()
	if came := copyOf(again, "property"); came != nil {
		t.Errorf("under a grant of its number alone it comes with %d fields withheld: %s", len(came.Record.Withheld), came.Record.Payload)
	}
	at := slices.IndexFunc(again.Others, func(m *sdk.Material) bool { return m.Code == "property" })
	if at < 0 || again.Others[at].Rule != "grant.fields" || again.Others[at].State != sdk.MaterialNeedsGrant {
		t.Errorf("of what did not come it is said: %v", again.Others)
	}
	suspend(narrow)
	c.granting(t, "certificate_number", "location", "holder_name")
	if came := copyOf(collect(), "property"); came == nil || came.Receipt.Index != first.Receipt.Index || string(came.Record.Payload) != string(first.Record.Payload) {
		t.Errorf("under a wider grant comes %+v", came)
	}
	fsck(t, c.Exchange)
}

// TestAPaperComesAgainOnlyWhileItsReuseIsAgreedTo: once the consent is revoked that
// another item's paper was collected under, no copy of it leaves.
func TestAPaperComesAgainOnlyWhileItsReuseIsAgreedTo(t *testing.T) {
	c := newCounter(t)
	_, err := c.hall.Submit(t.Context(), sdk.Submission{Acting: c.acting, Material: &sdk.Publication{Topic: "papers", Message: paper(c.acting.Case)}})
	ok(t, err)
	item := sample.ServiceItem(sample.Housing.Code+"4000799001000", "公共租赁住房保障资格申请", sample.Housing)
	item.Materials = []*recordsv1.ItemMaterial{sample.IssuedMaterial("income", "收入声明", sample.ServiceHall,
		&recordsv1.Evidence{Topic: "papers", Condition: `r.material_name == "收入声明"`})}
	c.publish(t, c.hall, "items", item)
	acting := sdk.Acting{Person: "clerk-005", Purpose: item.ImplementationCode, Case: "GZ-1"}
	c.OpenCase(t, c.other, acting.Case, acting.Purpose, c.applicant)
	clerk, head := official(t, c.other, "CK-17", sdk.AsClerk), official(t, c.other, "CK-18", sdk.AsHead)
	form := sdk.AtCounter(sha256.Sum256([]byte("扫描件")), clerk, head)
	asked, err := c.other.PrepareConsent(sdk.NewConsent{
		Subject: c.applicant, Topics: []sdk.ConsentedTopic{{Topic: "papers"}}, ServiceItems: []string{acting.Purpose}, Until: time.Now().AddDate(0, 1, 0),
	})
	ok(t, err)
	given, err := c.other.GiveConsent(t.Context(), asked, form)
	ok(t, err)
	got, err := c.other.Collect(t.Context(), sdk.Collect{Acting: acting, Applicant: c.applicant})
	ok(t, err)
	if copyOf(got, "income") == nil {
		t.Fatalf("with the consent comes %+v", got)
	}
	revoked, err := c.other.PrepareRevocation(given.Digest)
	ok(t, err)
	_, err = c.other.RevokeConsent(t.Context(), revoked, form)
	ok(t, err)
	got, err = c.other.Collect(t.Context(), sdk.Collect{Acting: acting, Applicant: c.applicant})
	ok(t, err)
	if len(got.Copies) != 0 || len(got.Others) != 1 || got.Others[0].Rule != "material.purpose" || got.Others[0].State != sdk.MaterialNeedsConsent {
		t.Errorf("after its revocation comes %+v", got)
	}
	fsck(t, c.Exchange)
}

// TestAllCopiesAreGoodUntilThen: the end that an answer names is that of the copy that
// ends first, the first time and again.
func TestAllCopiesAreGoodUntilThen(t *testing.T) {
	c := newCounter(t)
	last := time.Now().AddDate(0, 0, 3).In(time.FixedZone("Asia/Shanghai", 8*60*60))
	c.publish(t, c.issuers["birth"], "birth", permitOf("birth", sample.MarketRegulation, 1, last.Format(time.DateOnly)))
	y, m, d := last.Date()
	want := time.Date(y, m, d+1, 0, 0, 0, 0, last.Location())
	for range 2 {
		got, err := exchangev1.NewReuseServiceClient(c.hall.Conn()).Collect(t.Context(), &exchangev1.CollectRequest{
			Acting:  &exchangev1.Acting{Person: c.acting.Person, Purpose: c.acting.Purpose, CaseNumber: c.acting.Case},
			Subject: &ledgerv1.Subject{Type: c.applicant.Type, Number: c.applicant.Number},
		})
		ok(t, err)
		if len(got.Copies) != 3 || !got.UsableUntil.AsTime().Equal(want) {
			t.Errorf("repeat %v: %d copies are good until %v, not %v", got.Repeat, len(got.Copies), got.UsableUntil.AsTime(), want)
		}
	}
}
