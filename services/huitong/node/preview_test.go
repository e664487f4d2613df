package node_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

func home(number string) *recordsv1.Property {
	return &recordsv1.Property{
		CertificateNumber: "示（2020）不动产权第0000001号", HolderType: "111", HolderNumber: number, HolderName: "王小明",
		Ownership: recordsv1.OwnershipKind_OWNERSHIP_KIND_SOLE, Region: sample.Region, Location: "示范市一号",
	}
}

func shownOf(p *sdk.Preview) string {
	var codes []string
	for i := range p.Shown {
		codes = append(codes, p.Shown[i].Material)
	}
	return strings.Join(codes, " ")
}

// TestPreviewShowsWhatCopiesWouldSay: of what is held and of nothing else, each by an
// entry, and nobody relies on it.
func TestPreviewShowsWhatCopiesWouldSay(t *testing.T) {
	c := newCounter(t)
	size := c.Node.Journal.Head().Size
	p, err := c.hall.Preview(t.Context(), c.acting, c.applicant)
	ok(t, err)
	if got := shownOf(p); got != "identity residence" {
		t.Fatalf("shown is %s", got)
	}
	m := &recordsv1.Certificate{}
	ok(t, proto.Unmarshal(p.Shown[0].Record.Payload, m))
	if m.HolderName != "王小明" || p.Shown[0].Grade != "A" || p.Receipt.Index != p.Shown[1].Receipt.Index+1 {
		t.Errorf("shown is %v, %+v", m, p.Shown[0])
	}
	ok(t, p.Shown[0].Receipt.Verify(c.Node.LedgerKey()))
	if n := c.entered(t, c.hall, size); n != 3 {
		t.Errorf("two records shown made %d entries", n)
	}
	var read int
	ok(t, c.Node.Index.Wait(t.Context(), c.Node.Journal.Head().Size))
	ok(t, c.Node.DB.Index.Read().QueryRowContext(t.Context(), "SELECT count(*) FROM index_reads WHERE idx >= $1", int64(size)).Scan(&read))
	if read != 0 {
		t.Errorf("%d records are relied on by a preview", read)
	}
	fsck(t, c.Exchange)

	// What the applicant declined is shown no more.
	_, err = c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant, Declined: []string{"residence"}})
	ok(t, err)
	p, err = c.hall.Preview(t.Context(), c.acting, c.applicant)
	ok(t, err)
	if got := shownOf(p); got != "identity" {
		t.Errorf("after residence was declined, shown is %s", got)
	}
	fsck(t, c.Exchange)
}

// TestPreviewShowsGrantedFieldsOnly, and with the grant it ends.
func TestPreviewShowsGrantedFieldsOnly(t *testing.T) {
	c := newCounter(t)
	c.publish(t, c.Join(t, sample.Housing, "registry"), "property", home(earner))
	g, err := c.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: "property", Consumer: sample.ServiceHall.Code, ServiceItems: []string{subsidy},
		Basis: "《社会救助暂行办法》第五十八条", Scenario: "低保经济状况核对", DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
		Fields: []string{"certificate_number", "location"},
	})
	ok(t, err)
	p, err := c.hall.Preview(t.Context(), c.acting, c.applicant)
	ok(t, err)
	if got := shownOf(p); got != "identity property residence" {
		t.Fatalf("shown is %s", got)
	}
	m := &recordsv1.Property{}
	ok(t, proto.Unmarshal(p.Shown[1].Record.Payload, m))
	if m.Location == "" || m.HolderName != "" || len(p.Shown[1].Record.Withheld) == 0 {
		t.Errorf("shown is %v, withheld %v", m, p.Shown[1].Record.Withheld)
	}
	_, err = c.Access.SuspendGrant(t.Context(), &accessv1.SuspendGrantRequest{Id: g.Id, Reason: "核查"})
	ok(t, err)
	p, err = c.hall.Preview(t.Context(), c.acting, c.applicant)
	ok(t, err)
	if got := shownOf(p); got != "identity residence" {
		t.Errorf("with the grant suspended, shown is %s", got)
	}
}

// TestPreviewShowsNothingThatNeedsAConsent, whether held or not.
func TestPreviewShowsNothingThatNeedsAConsent(t *testing.T) {
	c := newCounter(t)
	c.publish(t, c.Join(t, sample.HumanResources, "payroll"), "income", income(earner, 1))
	p, err := c.hall.Preview(t.Context(), c.acting, c.applicant)
	ok(t, err)
	for _, m := range p.Materials {
		if m.Code == "income" && m.State != sdk.MaterialNeedsConsent {
			t.Errorf("income is %v", m)
		}
	}
	if got := shownOf(p); got != "identity residence" {
		t.Errorf("shown is %s", got)
	}
}

// TestPreviewsAreRefusedAsCollectionsAre, by the same rules; nothing is shown.
func TestPreviewsAreRefusedAsCollectionsAre(t *testing.T) {
	c := newCounter(t)
	for rule, ask := range c.refusedMaterials(t) {
		size := c.Node.Journal.Head().Size
		p, err := ask.by.Preview(t.Context(), ask.acting, ask.subject)
		wantRule(t, err, fault.Denied, rule)
		if p != nil {
			t.Errorf("%s: shown is %v", rule, shownOf(p))
		}
		entered := slices.DeleteFunc(entriesFrom(t, c.Exchange, size), func(e *ledgerv1.LedgerEntry) bool { return e.Actor != ask.by.System() })
		if len(entered) != 1 || entered[0].GetRefused().GetAction() != "preview" || entered[0].GetRefused().GetRule() != rule {
			t.Errorf("%s: entered is %v", rule, entered)
		}
	}
	fsck(t, c.Exchange)
}
