package demo

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// Topics of the once-only step.
const (
	items       = "service-items"
	submissions = "submitted-material"
	allowances  = "allowance-certificate"
)

// housing is the service item that the applicant's next case is for.
var housing = sample.Housing.Code + "0007260010001"

// evidenced are the materials of the subsidy, and what stands in for each.
func evidenced() []*recordsv1.ItemMaterial {
	return []*recordsv1.ItemMaterial{
		fromDepartment("01", "居民身份证", sample.PublicSecurity, departments.Persons, "r.death_date == ''"),
		fromDepartment("02", "居民户口簿", sample.PublicSecurity, departments.Households, ""),
		fromDepartment("03", "结婚证", sample.CivilAffairs, departments.Marriages, ""),
		fromDepartment("04", "残疾人证", sample.DisabledPersons, departments.Certificates, ""),
		fromDepartment("05", "工资收入证明", sample.HumanResources, departments.Incomes, ""),
		fromDepartment("06", "最低生活保障证", sample.CivilAffairs, allowances, ""),
		declaration("07"),
	}
}

func fromDepartment(code, name string, d sample.Department, topic, condition string) *recordsv1.ItemMaterial {
	return sample.IssuedMaterial(code, name, d, &recordsv1.Evidence{Topic: topic, Condition: condition})
}

// declaration is what the applicant makes.
func declaration(code string) *recordsv1.ItemMaterial {
	return &recordsv1.ItemMaterial{
		Code: code, Name: "家庭经济状况声明书", Originals: 1, Medium: recordsv1.MaterialMedium_MATERIAL_MEDIUM_EITHER,
		Necessity: recordsv1.Necessity_NECESSITY_REQUIRED, Source: recordsv1.MaterialSource_MATERIAL_SOURCE_APPLICANT,
		Guide: "由申请人填写并签字", BlankFormDocument: &recordsv1.Document{Name: "家庭经济状况声明书.txt"},
		Evidence: []*recordsv1.Evidence{{
			Topic: submissions, Condition: `r.material_name == '家庭经济状况声明书'`, MinGrade: recordsv1.TrustGrade_TRUST_GRADE_C,
		}},
	}
}

// onceOnly plays the case's materials: what is held, what has expired, what is
// disputed, what the applicant submits once, and what is then released.
func onceOnly(ctx context.Context, s *story) error {
	if err := s.offer(ctx); err != nil {
		return err
	}
	if err := s.doubtHousehold(ctx); err != nil {
		return err
	}
	began := time.Now()
	prepared, err := s.prepare(ctx, "02 MATERIAL_STATE_DISPUTED", "06 MATERIAL_STATE_EXPIRED", "07 MATERIAL_STATE_TO_SUBMIT")
	if err != nil {
		return err
	}
	s.tell("the hall asks once what the item needs, %d materials, answered in %s:", len(prepared.Materials), short(time.Since(began)))
	for _, m := range prepared.Materials {
		s.tell("%s %s %s", column(m.Name, 20), column(spoken(m), 34), why(m))
	}
	if err := s.fetchForm(ctx); err != nil {
		return err
	}
	if err := s.submit(ctx); err != nil {
		return err
	}
	if _, err := s.prepare(ctx, "07 MATERIAL_STATE_HELD"); err != nil {
		return err
	}
	return s.collect(ctx)
}

// offer lists what the step needs, and publishes the items and an allowance that
// has expired.
func (s *story) offer(ctx context.Context) error {
	for name, of := range map[string]struct {
		contract string
		provider sample.Department
	}{items: {"ServiceItem", sample.CivilAffairs}, submissions: {"SubmittedMaterial", sample.ServiceHall}, allowances: {"Certificate", sample.CivilAffairs}} {
		err := s.exchange.CreateTopic(ctx, &cataloguev1.Topic{
			Name: name, Title: name, Provider: of.provider.Code, Contract: "huitong.records.v1." + of.contract, SignatureRequired: true,
			SharingClass:  cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL,
			DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
		})
		if err != nil {
			return err
		}
	}
	for _, item := range []*recordsv1.ServiceItem{
		sample.ServiceItem(departments.HardshipSubsidy, "困难残疾人生活补贴", sample.CivilAffairs, evidenced()...),
		sample.ServiceItem(housing, "公共租赁住房申请", sample.Housing, declaration("01")),
	} {
		if err := s.offerItem(ctx, item); err != nil {
			return err
		}
	}
	applicant, kind := s.applicant(), sample.CivilAffairs.Code+"002"
	_, err := s.publishers[sample.CivilAffairs.Code].Publish(ctx, allowances, &recordsv1.Certificate{
		Identifier: sample.CertificateID(kind, sample.CivilAffairs.Code, "2023000001", 1), TypeCode: kind, TypeName: "最低生活保障证", Name: "最低生活保障证",
		Number: "DB-2023-0001", IssuerCode: sample.CivilAffairs.Code, IssuerName: sample.CivilAffairs.Name, IssueDate: "2023-01-01",
		HolderType: "111", HolderNumber: applicant.Number, HolderName: applicant.Name, ValidFrom: "2023-01-01", ValidUntil: "2023-12-31", Region: sample.Region,
	})
	return err
}

//go:embed documents
var documents embed.FS

// offerItem publishes a service item with the forms that it names.
func (s *story) offerItem(ctx context.Context, item *recordsv1.ServiceItem) error {
	forms, err := fs.Sub(documents, "documents")
	if err != nil {
		return err
	}
	if err := sdk.DescribeItemDocuments(item, forms, func(string) string { return "text/plain" }); err != nil {
		return err
	}
	attached, err := s.systems.sources[sample.CivilAffairs.Code].UploadItemDocuments(ctx, item, forms)
	if err != nil {
		return err
	}
	_, err = s.publishers[sample.CivilAffairs.Code].Do(ctx, sdk.Publication{Topic: items, Message: item, Documents: attached})
	return err
}

// fetchForm downloads the form that the applicant has to fill in, as whoever is
// enrolled may.
func (s *story) fetchForm(ctx context.Context) error {
	hall := s.systems.hall
	item, err := hall.ServiceItem(ctx, departments.HardshipSubsidy, nil)
	if err != nil {
		return err
	}
	form := item.Item.Materials[len(item.Item.Materials)-1].BlankFormDocument
	got, err := hall.DownloadDocument(ctx, sdk.DocumentQuery{Document: sdk.DocumentOf(item.Documents, form)}, io.Discard)
	if err != nil {
		return err
	}
	s.tell("the form of what is missing is a document of the item, which every portal downloads: %s, %d bytes", got.Title, got.Size)
	return nil
}

// doubtHousehold disputes the family's household.
func (s *story) doubtHousehold(ctx context.Context) error {
	household, err := s.hall.Ask(ctx, departments.Households, s.applicant().Number, clerk, caseNumber)
	if err != nil || len(household.Records) != 1 {
		return fmt.Errorf("the family has %d households: %w", len(household.Records), err)
	}
	_, err = s.systems.hall.DisputeRecord(ctx, sdk.NewDispute{
		Topic: departments.Households, Index: household.Records[0].Index, Acting: s.acting(), Reason: "住址与实际不符",
	})
	return err
}

func (s *story) acting() sdk.Acting {
	return sdk.Acting{Person: clerk, Purpose: departments.HardshipSubsidy, Case: caseNumber}
}

func residentOf(p *sample.Person) sdk.Subject { return sdk.Subject{Type: "111", Number: p.Number} }

// prepare asks how the materials stand, and sees that some stand as they should.
func (s *story) prepare(ctx context.Context, want ...string) (*sdk.Prepared, error) {
	prepared, err := s.systems.hall.Prepare(ctx, s.acting(), residentOf(s.applicant()))
	if err != nil {
		return nil, err
	}
	for _, one := range want {
		found := false
		for _, m := range prepared.Materials {
			found = found || one == m.Code+" "+m.State.String()
		}
		if !found {
			return nil, fmt.Errorf("no material stands as %s: %v", one, prepared.Materials)
		}
	}
	return prepared, nil
}

// spoken says how a material stands, as a clerk would.
func spoken(m *sdk.Material) string {
	switch m.State {
	case sdk.MaterialHeld:
		return "held, grade " + m.Grade
	case sdk.MaterialDisputed:
		return "held, disputed, may be used"
	case sdk.MaterialExpired:
		return "expired"
	case sdk.MaterialToSubmit:
		return "to be submitted"
	}
	return m.State.String()
}

func why(m *sdk.Material) string {
	if m.State == sdk.MaterialHeld {
		return "from " + m.Topic + " since " + m.Since.AsTime().Format(time.DateOnly)
	}
	return m.NextStep
}

// submit enters the declaration that the applicant signed, with its scan.
func (s *story) submit(ctx context.Context) error {
	hall, applicant := s.systems.hall, s.applicant()
	scan := bytes.Repeat([]byte("家庭经济状况声明书扫描件"), 20_000)
	document, err := hall.UploadDocument(ctx, bytes.NewReader(scan), sdk.DocumentInfo{MediaType: "application/pdf", Title: "家庭经济状况声明书.pdf"})
	if err != nil {
		return err
	}
	receipt, err := hall.Submit(ctx, sdk.Submission{Acting: s.acting(), Material: &sdk.Publication{
		Topic: submissions, Documents: []*sdk.Document{document.Document},
		Message: &recordsv1.SubmittedMaterial{
			MaterialId: "CL-2026-000042-07", MaterialCode: "07", MaterialName: "家庭经济状况声明书", ItemCode: departments.HardshipSubsidy, CaseNumber: caseNumber,
			ApplicantType: "111", ApplicantNumber: applicant.Number, ApplicantName: applicant.Name, TrustGrade: recordsv1.TrustGrade_TRUST_GRADE_C,
			SubmittedDate: s.now().Format(time.DateOnly), ReceiverCode: sample.ServiceHall.Code, ReceiverName: sample.ServiceHall.Name, ReuseConsented: true,
			Documents: []*recordsv1.Document{{Name: "家庭经济状况声明书.pdf", MediaType: "application/pdf", Size: document.Size, Sha256: document.Sha256}},
		},
	}})
	if err != nil {
		return err
	}
	s.tell("%s submits what nobody holds, once: a scan of %d KiB, sealed, committed and entered in %s", applicant.Name, len(scan)>>10, count(receipt.Index))
	return nil
}

// collect releases what is held, but for what the applicant declined.
func (s *story) collect(ctx context.Context) error {
	ask := sdk.Collect{Acting: s.acting(), Applicant: residentOf(s.applicant()), Declined: []string{"03"}}
	first, err := s.systems.hall.Collect(ctx, ask)
	if err != nil {
		return err
	}
	if len(first.Copies) != 5 || len(first.Others) != 2 {
		return fmt.Errorf("%d copies came, %d did not", len(first.Copies), len(first.Others))
	}
	s.tell("shown all of it, the applicant declines the marriage certificate; %d copies come, each under its own entry", len(first.Copies))
	s.tell("on the copy of the disability certificate: %s", annotationOf(first, "04"))
	again, err := s.systems.hall.Collect(ctx, ask)
	if err != nil {
		return err
	}
	if !again.Repeat || again.Receipt.Index != first.Receipt.Index || len(again.Copies) != len(first.Copies) {
		return errors.New("collecting again made other copies")
	}
	s.tell("collected again after a lost answer: the same copies under the same entries, nothing new")
	return nil
}

func annotationOf(c *sdk.Collected, material string) string {
	for _, one := range c.Copies {
		if one.Material == material {
			return one.Annotation
		}
	}
	return ""
}

// relied waits for the notice of the revocation: it names the case that relied on
// the certificate.
func relied(ctx context.Context, s *story) error {
	heard := make(chan *sdk.Notice, 64)
	subscription, err := s.systems.hall.SubscribeNotices(ctx, func(_ context.Context, n *sdk.Notice) error {
		heard <- n
		return nil
	})
	if err != nil {
		return err
	}
	defer func() { subscription.Stop(); <-subscription.Closed() }()
	for {
		select {
		case n := <-heard:
			if n.Cause != "revoked" || n.Topic != departments.Certificates {
				continue
			}
			if len(n.CaseNumbers) != 1 || n.CaseNumbers[0] != caseNumber {
				return fmt.Errorf("the notice names the cases %v", n.CaseNumbers)
			}
			s.tell("a notice tells the hall that case %s relied on it: %s", n.CaseNumbers[0], n.ToDo)
			return nil
		case <-ctx.Done():
			return errors.New("nobody told the hall which case relied on the certificate")
		}
	}
}

// nextCase is the applicant's at another department, which finds the declaration
// held; and then what all of it came to.
func nextCase(ctx context.Context, s *story) error {
	estate, applicant := s.systems.sources[sample.Housing.Code], s.applicant()
	acting := sdk.Acting{Person: "住建-005", Purpose: housing, Case: "GZ-2026-0117"}
	_, err := estate.OpenCase(ctx, sdk.NewCase{
		Number: acting.Case, Item: housing, Person: acting.Person, Subjects: []sdk.Subject{{Type: "111", Number: applicant.Number, Role: "applicant"}},
	})
	if err != nil {
		return err
	}
	collected, err := estate.Collect(ctx, sdk.Collect{Acting: acting, Applicant: residentOf(applicant)})
	if err != nil {
		return err
	}
	if len(collected.Copies) != 1 || collected.Copies[0].Grade != "C" {
		return fmt.Errorf("%s found %d papers", sample.Housing.Name, len(collected.Copies))
	}
	s.tell("%s applies for housing at %s: the declaration is held, grade %s, and may be used, for the applicant agreed to that", applicant.Name, sample.Housing.Name, collected.Copies[0].Grade)
	counts, err := s.systems.auditor.ReuseStatistics(ctx, sdk.ReuseQuery{From: s.now(), Until: s.now()})
	if err != nil {
		return err
	}
	var sum sdk.ReuseCount
	for _, c := range counts {
		sum.Asked, sum.Reused, sum.Declined, sum.Submitted = sum.Asked+c.Asked, sum.Reused+c.Reused, sum.Declined+c.Declined, sum.Submitted+c.Submitted
	}
	if sum.Reused != 6 || sum.Declined != 1 || sum.Submitted != 1 {
		return fmt.Errorf("the ledger counts %d reused, %d declined, %d submitted", sum.Reused, sum.Declined, sum.Submitted)
	}
	s.tell("counted from the ledger: %d papers that %s did not have to bring, %d declined, %d submitted", sum.Reused, applicant.Name, sum.Declined, sum.Submitted)
	return nil
}
