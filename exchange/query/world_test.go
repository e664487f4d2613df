package query_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/intake/intaketest"
	"github.com/huitong-bus/huitong/exchange/query"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

const (
	papers     = "papers"
	item       = "000115004000"
	caseNumber = "SF-2026-000042"

	unconditional = cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL
)

// applicant is who the case is of.
var applicant = &ledgerv1.Subject{Type: "999", Number: "K1"}

// world is an exchange on which a department keeps what applicants submitted, and
// another asks for it.
type world struct {
	*catalogtest.Exchange
	intake  *intaketest.Intake
	queries *query.Queries
	issuer  *catalogtest.System
	asker   *catalogtest.System
}

func newWorld(t *testing.T) *world {
	w := &world{Exchange: catalogtest.New(t)}
	w.intake = intaketest.Open(t, w.Exchange)
	index, err := inspect.OpenIndex(t.Context(), inspect.IndexConfig{DB: w.DB, Journal: w.Journal, Keyring: w.Identity.Keyring})
	must(t, err)
	t.Cleanup(index.Close)
	w.queries = &query.Queries{
		DB: w.DB, Journal: w.Journal, Topics: w.Catalogue, Policy: w.intake.Policy, Refusals: w.intake.Refused,
		Keyring: w.Identity.Keyring, Index: index, Clock: w.Catalogue.Clock,
		Cases: cases.New(cases.Config{DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Keyring: w.Identity.Keyring}),
	}
	w.issuer, w.asker = w.Enrol(catalogtest.Security, "counter"), w.Enrol(catalogtest.Civil, "subsidies")
	_, _, err = w.Catalogue.CreateTopic(t.Context(), w.ByOperator(), &cataloguev1.Topic{
		Name: papers, Title: papers, Provider: catalogtest.Security, Contract: query.Submitted,
		SharingClass:  unconditional,
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	})
	must(t, err)
	for _, by := range []*catalogtest.System{w.issuer, w.asker} {
		_, _, err = w.queries.Cases.Open(t.Context(), by.Caller, &accessv1.OpenCaseRequest{
			Number: caseNumber, Item: item, Person: "clerk-7", Subjects: []*ledgerv1.Subject{applicant},
		})
		must(t, err)
	}
	return w
}

// paper is a material that the applicant submitted for the case's item.
func paper(id string) *recordsv1.SubmittedMaterial {
	return &recordsv1.SubmittedMaterial{
		MaterialId: id, MaterialCode: "statement", MaterialName: "收入声明", ItemCode: item, CaseNumber: caseNumber,
		ApplicantType: applicant.Type, ApplicantNumber: applicant.Number, ApplicantName: "王小明",
		TrustGrade: recordsv1.TrustGrade_TRUST_GRADE_C, SubmittedDate: "2026-11-01",
		ReceiverCode: catalogtest.Security, ReceiverName: "示范市公安局",
	}
}

// publish publishes materials in one call and gives their entries.
func (w *world) publish(t *testing.T, all ...*recordsv1.SubmittedMaterial) (at []uint64) {
	t.Helper()
	r := &exchangev1.PublishRequest{}
	for _, m := range all {
		content := &exchangev1.Publication_Protobuf{Protobuf: payload(t, m)}
		r.Records = append(r.Records, &exchangev1.Publication{Topic: papers, Content: content})
	}
	resp, err := w.intake.Publish(t.Context(), w.issuer.Caller, r)
	must(t, err)
	for i, result := range resp.Results {
		if result.GetReceipt() == nil {
			t.Fatalf("publication %d: %v", i, result.GetProblem())
		}
		at = append(at, result.GetReceipt().Index)
	}
	return at
}

func payload(t *testing.T, m *recordsv1.SubmittedMaterial) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	must(t, err)
	return raw
}

func bySubject(s *ledgerv1.Subject) *exchangev1.QueryRequest {
	return &exchangev1.QueryRequest{By: &exchangev1.QueryRequest_Subject{Subject: s}}
}

func byKey(key string) *exchangev1.QueryRequest {
	return &exchangev1.QueryRequest{By: &exchangev1.QueryRequest_Key{Key: key}}
}

// ask asks for the case.
func (w *world) ask(t *testing.T, by *catalogtest.System, r *exchangev1.QueryRequest) (*exchangev1.QueryResponse, error) {
	t.Helper()
	r.Topic, r.Acting = papers, &exchangev1.Acting{Person: "clerk-7", Purpose: item, CaseNumber: caseNumber}
	return w.queries.Answer(t.Context(), by.Caller, r)
}

// answered asks and fails the test unless there is an answer.
func (w *world) answered(t *testing.T, r *exchangev1.QueryRequest) *exchangev1.QueryResponse {
	t.Helper()
	a, err := w.ask(t, w.asker, r)
	must(t, err)
	return a
}

// keys are those of the records of an answer.
func keys(t *testing.T, a *exchangev1.QueryResponse) (all []string) {
	t.Helper()
	for _, r := range a.Records {
		all = append(all, r.Key)
	}
	return all
}

// wantRule fails the test unless a rule refused.
func wantRule(t *testing.T, what string, err error, rule string) {
	t.Helper()
	if fault.RuleOf(err) != rule {
		t.Errorf("%s: %v of rule %q, not %q", what, err, fault.RuleOf(err), rule)
	}
}

func materials(n int) (all []*recordsv1.SubmittedMaterial) {
	for i := range n {
		all = append(all, paper(fmt.Sprintf("M-%d", i)))
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
