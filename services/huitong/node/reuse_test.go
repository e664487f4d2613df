package node_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// counter is an exchange on which a hall handles a service item, and other
// departments hold some of its materials.
type counter struct {
	*nodetest.Exchange
	hall, other *sdk.Client
	issuers     map[string]*sdk.Client // by topic
	acting      sdk.Acting
	applicant   sdk.Subject
}

var subsidy = sample.ServiceHall.Code + "4000711004000"

// evidence is what stands in for each material of the item.
var evidence = map[string]*recordsv1.Evidence{
	"identity":  {Topic: "identity"},
	"residence": {Topic: "residence"},
	"insured":   {Topic: "insured"},
	"disabled":  {Topic: "disabled"},
	"income":    {Topic: "income"},
	"property":  {Topic: "property"},
	"kind":      {Topic: "identity", Condition: `r.type_name == "不是它"`},
	"statement": {Topic: "papers", MinGrade: recordsv1.TrustGrade_TRUST_GRADE_C},
	"birth":     {Topic: "birth"},
	"live":      {Topic: "live"},
}

// newCounter opens a case of the item for an applicant of whom identity is held
// once, residence held and disputed, insured expired, disabled held of two persons; income
// needs a consent and property a grant.
func newCounter(t *testing.T) *counter {
	x := nodetest.Start(t)
	c := &counter{
		Exchange: x, hall: x.Join(t, sample.ServiceHall, "hall"), other: x.Join(t, sample.Housing, "estate"), issuers: map[string]*sdk.Client{},
		acting: sdk.Acting{Person: "clerk-017", Purpose: subsidy, Case: "SF-2026-000077"}, applicant: person(earner),
	}
	for i, topic := range []string{"identity", "residence", "insured", "disabled", "birth"} {
		d := []sample.Department{sample.PublicSecurity, sample.CivilAffairs, sample.HumanResources, sample.DisabledPersons, sample.MarketRegulation}[i]
		c.issuers[topic] = x.Join(t, d, topic)
		ok(t, x.CreateTopic(t.Context(), unconditional(topic, "Certificate", d)))
	}
	income := unconditional("income", "Income", sample.HumanResources)
	income.Consent = cataloguev1.Consent_CONSENT_SUBJECT
	ok(t, x.CreateTopic(t.Context(), income))
	property := unconditional("property", "Property", sample.Housing)
	property.SharingClass, property.Conditions = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, "按需"
	ok(t, x.CreateTopic(t.Context(), property))
	live := unconditional("live", "Income", sample.HumanResources)
	live.AnsweredLive = true
	ok(t, x.CreateTopic(t.Context(), live))
	ok(t, x.CreateTopic(t.Context(), unconditional("papers", "SubmittedMaterial", sample.ServiceHall)))
	ok(t, x.CreateTopic(t.Context(), unconditional("items", "ServiceItem", sample.ServiceHall)))
	c.publish(t, c.hall, "items", counterItem())
	c.publish(t, c.issuers["identity"], "identity", permitOf("identity", sample.PublicSecurity, 1, ""))
	c.publish(t, c.issuers["residence"], "residence", permitOf("residence", sample.CivilAffairs, 1, ""))
	c.publish(t, c.issuers["insured"], "insured", permitOf("insured", sample.HumanResources, 1, "2021-12-31"))
	for n := range 2 {
		m := permitOf("disabled", sample.DisabledPersons, n, "")
		m.HolderName = []string{"王小明", "王晓明"}[n]
		c.publish(t, c.issuers["disabled"], "disabled", m)
	}
	x.OpenCase(t, c.hall, c.acting.Case, subsidy, c.applicant)
	x.OpenCase(t, c.other, c.acting.Case, subsidy, c.applicant)
	disputed, err := c.hall.Query(t.Context(), sdk.Query{Topic: "residence", Acting: c.acting, By: sdk.BySubject(c.applicant)})
	ok(t, err)
	_, err = c.hall.DisputeRecord(t.Context(), sdk.NewDispute{
		Topic: "residence", Index: disputed.Records[0].Index, Acting: c.acting, Reason: "住址已变更",
	})
	ok(t, err)
	return c
}

func counterItem() *recordsv1.ServiceItem {
	item := sample.ServiceItem(subsidy, "困难残疾人生活补贴", sample.ServiceHall)
	for _, code := range slices.Sorted(maps.Keys(evidence)) {
		item.Materials = append(item.Materials, sample.IssuedMaterial(code, "材料甲"+code, sample.Department{Name: "示范市某局"}, evidence[code]))
	}
	return item
}

func permitOf(kind string, d sample.Department, n int, until string) *recordsv1.Certificate {
	code := d.Code + "001"
	from := "2020-01-01"
	if until == "" {
		until = "2099-12-31"
	}
	return &recordsv1.Certificate{
		Identifier: sample.CertificateID(code, d.Code, fmt.Sprintf("2020%06d", n), 1), TypeCode: code, TypeName: kind, Name: kind,
		Number: fmt.Sprintf("%s-%d", kind, n), IssuerCode: d.Code, IssuerName: d.Name, IssueDate: from,
		HolderType: "111", HolderNumber: earner, HolderName: "王小明", ValidFrom: from, ValidUntil: until, Region: sample.Region,
	}
}

func (c *counter) publish(t *testing.T, as *sdk.Client, topic string, m proto.Message) *sdk.Receipt {
	t.Helper()
	p := as.Publisher(sdk.PublisherConfig{CallUnary: true})
	r, err := p.Publish(t.Context(), topic, m)
	ok(t, err)
	ok(t, p.Close(t.Context()))
	return r
}

// states are those of a preparation, by material.
func (c *counter) states(t *testing.T) map[string]*sdk.Material {
	t.Helper()
	p, err := c.hall.Prepare(t.Context(), c.acting, c.applicant)
	ok(t, err)
	states := map[string]*sdk.Material{}
	for _, m := range p.Materials {
		states[m.Code] = m
	}
	return states
}

// entered counts a system's entries from an index on.
func (c *counter) entered(t *testing.T, by *sdk.Client, from uint64) (n int) {
	t.Helper()
	for at := from; at < c.Node.Journal.Head().Size; at++ {
		var leaf []byte
		ok(t, c.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT leaf FROM ledger WHERE idx = $1", int64(at)).Scan(&leaf))
		entry := &ledgerv1.LedgerEntry{}
		ok(t, proto.Unmarshal(leaf, entry))
		if entry.Actor == by.System() {
			n++
		}
	}
	return n
}

func TestPrepareSaysHowEachMaterialStands(t *testing.T) {
	c := newCounter(t)
	states := c.states(t)
	for code, want := range map[string]sdk.MaterialState{
		"identity": sdk.MaterialHeld, "residence": sdk.MaterialDisputed, "insured": sdk.MaterialExpired, "disabled": sdk.MaterialAmbiguous,
		"income": sdk.MaterialNeedsConsent, "property": sdk.MaterialNeedsGrant, "kind": sdk.MaterialToSubmit,
		"live": sdk.MaterialToSubmit, "statement": sdk.MaterialToSubmit, "birth": sdk.MaterialToSubmit,
	} {
		m := states[code]
		if m.GetState() != want {
			t.Errorf("%s is %v, not %v: %s", code, m.GetState(), want, m.GetReason())
		}
		if m.GetNextStep() == "" || want != sdk.MaterialHeld && m.GetReason() == "" {
			t.Errorf("%s says neither why nor what to do: %v", code, m)
		}
	}
	if m := states["identity"]; m.Grade != "A" || m.ValidUntil != "2099-12-31" || m.Provider != sample.PublicSecurity.Code || len(m.Shows) == 0 {
		t.Errorf("identity is shown as %v", m)
	}
	if m := states["birth"]; m.Issuer == "" || !strings.Contains(m.NextStep, m.Issuer) {
		t.Errorf("nobody is told who issues what is missing: %v", m)
	}
	fsck(t, c.Exchange)
}

// TestTheItemInForceIsPrepared: what is published of an item counts from the next
// preparation on.
func TestTheItemInForceIsPrepared(t *testing.T) {
	c := newCounter(t)
	first := len(c.states(t))
	next := counterItem()
	next.Materials = next.Materials[:3]
	c.publish(t, c.hall, "items", next)
	if n := len(c.states(t)); first != len(evidence) || n != 3 {
		t.Errorf("%d materials of %d, and of the next version %d of 3", first, len(evidence), n)
	}
	next.State = recordsv1.ItemState_ITEM_STATE_SUSPENDED
	c.publish(t, c.hall, "items", next)
	_, err := c.hall.Prepare(t.Context(), c.acting, c.applicant)
	wantRule(t, err, fault.Denied, "item.not_in_use")
}

// TestConsentIsAskedForWhetherHeldOrNot: what needs consent says the same of
// somebody of whom nothing is held.
func TestConsentIsAskedForWhetherHeldOrNot(t *testing.T) {
	c := newCounter(t)
	before := c.states(t)["income"]
	c.publish(t, c.Join(t, sample.HumanResources, "payroll"), "income", income(earner, 1))
	if after := c.states(t)["income"]; !proto.Equal(before, after) || after.State != sdk.MaterialNeedsConsent {
		t.Errorf("%v of nothing, %v of something", before, after)
	}
}

func TestCollectReleasesWhatIsHeldOnce(t *testing.T) {
	c := newCounter(t)
	ask := sdk.Collect{Acting: c.acting, Applicant: c.applicant, Declined: []string{"residence"}}
	first, err := c.hall.Collect(t.Context(), ask)
	ok(t, err)
	if len(first.Copies) != 1 || first.Copies[0].Material != "identity" || first.Repeat || len(first.Others) != len(evidence)-1 {
		t.Fatalf("%+v", first)
	}
	copied := first.Copies[0]
	m := &recordsv1.Certificate{}
	ok(t, proto.Unmarshal(copied.Record.Payload, m))
	if m.HolderName != "王小明" || !strings.Contains(copied.Annotation, c.acting.Case) || !strings.Contains(copied.Annotation, "困难残疾人生活补贴") {
		t.Errorf("the copy is %v, %q", m, copied.Annotation)
	}
	size := c.Node.Journal.Head().Size
	again, err := c.hall.Collect(t.Context(), ask)
	ok(t, err)
	if !again.Repeat || len(again.Copies) != 1 || again.Copies[0].Receipt.Index != copied.Receipt.Index ||
		string(again.Copies[0].Record.Payload) != string(copied.Record.Payload) || again.Receipt.Index != first.Receipt.Index ||
		again.Copies[0].Annotation != copied.Annotation {
		t.Errorf("the repeat gives %+v", again)
	}
	if n := c.entered(t, c.hall, size); n != 0 {
		t.Errorf("a repeat made %d entries", n)
	}
	for _, other := range [][]string{nil, {"identity", "residence"}} {
		ask.Declined = other
		_, err = c.hall.Collect(t.Context(), ask)
		wantRule(t, err, fault.Denied, "collect.choices")
	}
	// What has come to be held since comes with the rest.
	c.publish(t, c.issuers["birth"], "birth", permitOf("birth", sample.MarketRegulation, 1, ""))
	ask.Declined = []string{"residence"}
	more, err := c.hall.Collect(t.Context(), ask)
	ok(t, err)
	if len(more.Copies) != 2 || more.Repeat || more.Receipt.Index <= first.Receipt.Index {
		t.Errorf("later it gives %+v", more)
	}
	fsck(t, c.Exchange)
}

// TestWhatIsSubmittedOnceIsHeldNext: and for another item only if the applicant
// agreed to its reuse.
func TestWhatIsSubmittedOnceIsHeldNext(t *testing.T) {
	c := newCounter(t)
	m := paper(c.acting.Case)
	receipt, err := c.hall.Submit(t.Context(), sdk.Submission{Acting: c.acting, Material: &sdk.Publication{Topic: "papers", Message: m}})
	ok(t, err)
	ok(t, receipt.Verify(c.Node.LedgerKey()))
	if s := c.states(t)["statement"]; s.State != sdk.MaterialHeld || s.Grade != "C" {
		t.Errorf("what was submitted is %v", s)
	}
	other, err := c.other.Prepare(t.Context(), c.acting, c.applicant)
	ok(t, err)
	for _, s := range other.Materials {
		if s.Code == "statement" && s.State != sdk.MaterialHeld {
			t.Errorf("the next department finds it %v", s)
		}
	}
	item := counterItem()
	item.ImplementationCode, item.DepartmentCode = sample.Housing.Code+"4000799001000", sample.Housing.Code
	c.publish(t, c.hall, "items", item)
	acting := c.acting
	acting.Case, acting.Purpose = "GZ-1", item.ImplementationCode
	c.OpenCase(t, c.other, acting.Case, acting.Purpose, c.applicant)
	for _, agreed := range []bool{false, true} {
		if agreed {
			m.ReuseConsented = true
			_, err := c.hall.Submit(t.Context(), sdk.Submission{Acting: c.acting, Material: &sdk.Publication{Topic: "papers", Message: m}})
			ok(t, err)
		}
		p, err := c.other.Prepare(t.Context(), acting, c.applicant)
		ok(t, err)
		a, err := c.other.Query(t.Context(), sdk.Query{Topic: "papers", Acting: acting, By: sdk.BySubject(c.applicant)})
		ok(t, err)
		if (len(a.Records) == 1) != agreed {
			t.Errorf("agreed %v: a query for another item gives %d records", agreed, len(a.Records))
		}
		_, err = c.other.Query(t.Context(), sdk.Query{Topic: "papers", Acting: acting, By: sdk.ByKey(m.MaterialId)})
		if (err == nil) != agreed {
			t.Errorf("agreed %v: by its key: %v", agreed, err)
		}
		for _, s := range p.Materials {
			if s.Code == "statement" && (s.State == sdk.MaterialHeld) != agreed {
				t.Errorf("agreed %v: %v", agreed, s)
			}
		}
	}
	fsck(t, c.Exchange)
}

func paper(number string) *recordsv1.SubmittedMaterial {
	return &recordsv1.SubmittedMaterial{
		MaterialId: "M-1", MaterialCode: "statement", MaterialName: "收入声明", ItemCode: subsidy, CaseNumber: number,
		ApplicantType: "111", ApplicantNumber: earner, ApplicantName: "王小明", TrustGrade: recordsv1.TrustGrade_TRUST_GRADE_C,
		SubmittedDate: "2026-11-01", ReceiverCode: sample.ServiceHall.Code, ReceiverName: sample.ServiceHall.Name,
	}
}

func TestSubmissionsThatDoNotFitTheCase(t *testing.T) {
	c := newCounter(t)
	for rule, change := range map[string]func(*recordsv1.SubmittedMaterial, *sdk.Submission){
		"submit.item":      func(m *recordsv1.SubmittedMaterial, _ *sdk.Submission) { m.ItemCode = "X" },
		"submit.case":      func(m *recordsv1.SubmittedMaterial, _ *sdk.Submission) { m.CaseNumber = "X" },
		"submit.receiver":  func(m *recordsv1.SubmittedMaterial, _ *sdk.Submission) { m.ReceiverCode = sample.Housing.Code },
		"material.unknown": func(m *recordsv1.SubmittedMaterial, _ *sdk.Submission) { m.MaterialCode = "X" },
		"case.subject":     func(m *recordsv1.SubmittedMaterial, _ *sdk.Submission) { m.ApplicantNumber = spouse },
		"case.unknown":     func(_ *recordsv1.SubmittedMaterial, s *sdk.Submission) { s.Acting.Case = "X" },
	} {
		m := paper(c.acting.Case)
		s := sdk.Submission{Acting: c.acting, Material: &sdk.Publication{Topic: "papers", Message: m}}
		change(m, &s)
		if _, err := c.hall.Submit(t.Context(), s); fault.RuleOf(err) != rule {
			t.Errorf("%s: %v", rule, err)
		}
	}
	if s := c.states(t)["statement"]; s.State != sdk.MaterialToSubmit {
		t.Errorf("something was taken: %v", s)
	}
}

// asked is one system's request about a case's materials.
type asked struct {
	by      *sdk.Client
	acting  sdk.Acting
	subject sdk.Subject
}

// refusedMaterials closes the hall's case and gives, by rule, requests that all of
// prepare, preview and collect refuse.
func (c *counter) refusedMaterials(t *testing.T) map[string]asked {
	t.Helper()
	_, err := c.hall.CloseCase(t.Context(), c.acting.Case, "clerk-017", "办结")
	ok(t, err)
	stranger := c.Join(t, sample.MarketRegulation, "stranger")
	return map[string]asked{
		"case.closed":             {c.hall, c.acting, c.applicant},
		"case.unknown":            {stranger, c.acting, c.applicant},
		"case.subject":            {c.other, c.acting, person(spouse)},
		"case.item":               {c.other, sdk.Acting{Person: "a", Purpose: "OTHER", Case: c.acting.Case}, c.applicant},
		"acting.case.required":    {c.other, sdk.Acting{Person: "a", Purpose: subsidy}, c.applicant},
		"acting.person.required":  {c.other, sdk.Acting{Purpose: subsidy, Case: c.acting.Case}, c.applicant},
		"acting.purpose.required": {c.other, sdk.Acting{Person: "a", Case: c.acting.Case}, c.applicant},
	}
}

func TestMaterialsOfOthersCases(t *testing.T) {
	c := newCounter(t)
	for rule, ask := range c.refusedMaterials(t) {
		_, err := ask.by.Prepare(t.Context(), ask.acting, ask.subject)
		wantRule(t, err, fault.Denied, rule)
		_, err = ask.by.Collect(t.Context(), sdk.Collect{Acting: ask.acting, Applicant: ask.subject})
		wantRule(t, err, fault.Denied, rule)
	}
	_, err := c.other.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant, Declined: []string{"nothing"}})
	wantRule(t, err, fault.Invalid, "material.unknown")
	fsck(t, c.Exchange)
}

func TestPapersAreReportedOnce(t *testing.T) {
	c := newCounter(t)
	size := c.Node.Journal.Head().Size
	for range 2 {
		avoidable, err := c.hall.ReportPapers(t.Context(), c.acting, c.applicant, "identity", "birth")
		ok(t, err)
		if len(avoidable) != 1 || avoidable[0] != "identity" {
			t.Errorf("%v", avoidable)
		}
	}
	if n := c.entered(t, c.hall, size); n != 1 {
		t.Errorf("%d entries", n)
	}
	fsck(t, c.Exchange)
}
