package main_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

// crashSubsidy is the service item of the once-only step.
var crashSubsidy = sample.ServiceHall.Code + "4000711004000"

// onceOnly is a city in which a hall handles a case of an item with two
// materials: one is held, the other submitted.
type onceOnly struct {
	*city
	operator, police, hall *sdk.Config
	acting                 sdk.Acting
	applicant              sdk.Subject
}

// TestKilledAtEachStepOfACase kills a real exchange right before and right after
// the commit of each step of the once-only step and of a catalogue entry's review:
// it happened wholly or not at all, and a repeat gives the first answer.
func TestKilledAtEachStepOfACase(t *testing.T) {
	o := newOnceOnly(t)
	for _, d := range slices.Concat(o.steps(), o.reviews()) {
		o.killedAt(d)
	}
	for what, made := range map[string]func(e *ledgerv1.LedgerEntry) bool{
		"copies":      func(e *ledgerv1.LedgerEntry) bool { return e.GetQueried().GetMaterial() != "" },
		"submissions": func(e *ledgerv1.LedgerEntry) bool { return e.GetSubmitted() != nil },
	} {
		if n, want := len(o.entries(made)), map[string]int{"copies": 1, "submissions": 2}[what]; n != want {
			t.Errorf("%d entries of %s, not %d", n, what, want)
		}
	}
	o.toldOnceOfAnExpiry()
	o.fsck()
}

func newOnceOnly(t *testing.T) *onceOnly {
	ctx := t.Context()
	o := &onceOnly{city: newCity(t, storetest.URL(t)), applicant: sdk.Subject{Type: "111", Number: "999999199001010016"}}
	o.acting = sdk.Acting{Person: crashBy, Purpose: crashSubsidy, Case: crashCase}
	o.operator = &sdk.Config{
		CertFile: filepath.Join(o.dir, identity.OperatorFile), KeyFile: filepath.Join(o.dir, identity.OperatorKey),
		CAFile: filepath.Join(o.dir, identity.CAFile),
	}
	a, err := authority.Connect(ctx, o.dir, o.processes[0].address, "")
	must(t, err)
	defer a.Close()
	o.police, err = join(ctx, a, sample.PublicSecurity)
	must(t, err)
	o.hall, err = join(ctx, a, sample.ServiceHall)
	must(t, err)
	for _, topic := range []*cataloguev1.Topic{
		{Name: "identity", Provider: sample.PublicSecurity.Code, Contract: "huitong.records.v1.Certificate"},
		{Name: "permits", Provider: sample.PublicSecurity.Code, Contract: "huitong.records.v1.Certificate"},
		{Name: "papers", Provider: sample.ServiceHall.Code, Contract: "huitong.records.v1.SubmittedMaterial"},
		{Name: "items", Provider: sample.ServiceHall.Code, Contract: "huitong.records.v1.ServiceItem"},
	} {
		topic.Title, topic.SharingClass = topic.Name, cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL
		topic.DeliveryModes = []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY}
		must(t, a.CreateTopic(ctx, topic))
	}
	hall := o.connect(o.hall, 0)
	o.publish(o.police, "identity", o.certificate("居民身份证", "2099-12-31"))
	o.publish(o.police, "permits", o.certificate("居住证", time.Now().AddDate(0, 0, -3).Format(time.DateOnly)))
	o.publish(o.hall, "items", subsidyItem())
	_, err = hall.OpenCase(ctx, sdk.NewCase{Number: crashCase, Item: crashSubsidy, Person: crashBy, Subjects: []sdk.Subject{o.applicant}})
	must(t, err)
	expired, err := hall.Query(ctx, sdk.Query{Topic: "permits", Acting: o.acting, By: sdk.BySubject(o.applicant)})
	must(t, err)
	if len(expired.Records) != 1 {
		t.Fatalf("%d permits", len(expired.Records))
	}
	return o
}

func (o *onceOnly) publish(as *sdk.Config, topic string, m proto.Message, more ...sdk.PublishOption) *sdk.Receipt {
	o.t.Helper()
	p := o.connect(as, 0).Publisher(sdk.PublisherConfig{CallUnary: true})
	defer p.Close(o.t.Context())
	r, err := p.Publish(o.t.Context(), topic, m, more...)
	must(o.t, err)
	return r
}

func (o *onceOnly) certificate(name, until string) *recordsv1.Certificate {
	code := sample.PublicSecurity.Code + "001"
	return &recordsv1.Certificate{
		Identifier: sample.CertificateID(code, sample.PublicSecurity.Code, "2020000001", 1), TypeCode: code, TypeName: name, Name: name,
		Number: "2020-1", IssuerCode: sample.PublicSecurity.Code, IssuerName: sample.PublicSecurity.Name, IssueDate: "2020-01-01",
		HolderType: o.applicant.Type, HolderNumber: o.applicant.Number, HolderName: "王小明",
		ValidFrom: "2020-01-01", ValidUntil: until, Region: sample.Region,
	}
}

func subsidyItem() *recordsv1.ServiceItem {
	item := &recordsv1.ServiceItem{
		ImplementationCode: crashSubsidy, BasicCode: "000711004000", Name: "困难残疾人生活补贴", TypeScheme: "GB", TypeCode: "05",
		DepartmentCode: sample.ServiceHall.Code, DepartmentName: sample.ServiceHall.Name,
		ServiceObjects: []recordsv1.ServiceObject{recordsv1.ServiceObject_SERVICE_OBJECT_PERSON},
		LegalBases:     []string{"《社会救助暂行办法》第五十八条"}, Conditions: []string{"家庭人均收入低于当地标准"},
		Steps:      []*recordsv1.ServiceStep{{Name: "受理", Requirement: "核对材料齐全", Department: sample.ServiceHall.Name, Limit: 1}},
		LegalLimit: 20, PromisedLimit: 5, LimitUnit: recordsv1.LimitUnit_LIMIT_UNIT_WORKING_DAYS, Fee: recordsv1.Fee_FEE_FREE,
		Contact: "0999-12345", ComplaintChannel: "12345", Place: "示范市政务服务中心", Hours: "工作日9:00-17:00", Result: "补贴决定书",
		ItemVersion: "1", State: recordsv1.ItemState_ITEM_STATE_IN_USE,
	}
	for code, evidence := range map[string]*recordsv1.Evidence{
		"identity": {Topic: "identity"}, "statement": {Topic: "papers", MinGrade: recordsv1.TrustGrade_TRUST_GRADE_C},
	} {
		item.Materials = append(item.Materials, &recordsv1.ItemMaterial{
			Code: code, Name: "材料" + code, Copies: 1, Medium: recordsv1.MaterialMedium_MATERIAL_MEDIUM_EITHER,
			Necessity: recordsv1.Necessity_NECESSITY_REQUIRED, Source: recordsv1.MaterialSource_MATERIAL_SOURCE_DEPARTMENT,
			SourceName: sample.PublicSecurity.Name, Evidence: []*recordsv1.Evidence{evidence},
		})
	}
	return item
}

// steps are the deeds of the once-only step.
func (o *onceOnly) steps() []*deed {
	paper := &recordsv1.SubmittedMaterial{
		MaterialId: "M-1", MaterialCode: "statement", MaterialName: "收入声明", ItemCode: crashSubsidy, CaseNumber: crashCase,
		ApplicantType: o.applicant.Type, ApplicantNumber: o.applicant.Number, ApplicantName: "王小明",
		TrustGrade: recordsv1.TrustGrade_TRUST_GRADE_C, SubmittedDate: "2026-11-01",
		ReceiverCode: sample.ServiceHall.Code, ReceiverName: sample.ServiceHall.Name,
	}
	submission := sdk.Submission{Acting: o.acting, Material: &sdk.Publication{Topic: "papers", Message: paper, IdempotencyKey: sdk.NewIdempotencyKey()}}
	// Another is on its topic already, so that its submission is a commit by itself.
	other, key := proto.CloneOf(paper), sdk.NewIdempotencyKey()
	other.MaterialId = "M-2"
	before := o.publish(o.hall, "papers", other, sdk.WithIdempotencyKey(key))
	entered := sdk.Submission{Acting: o.acting, Material: &sdk.Publication{Topic: "papers", Message: other, IdempotencyKey: key}}
	var prepared, counted uint64
	return []*deed{
		{"a case is prepared", o.hall, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			p, err := c.Prepare(ctx, o.acting, o.applicant)
			switch {
			case err != nil:
				return 0, err
			case p.Unknown:
				return 0, fault.New(fault.Unavailable, "", "the exchange could not be reached")
			case !slices.ContainsFunc(p.Held(), func(m *sdk.Material) bool { return m.Code == "identity" }):
				return 0, fmt.Errorf("held are %v", p.Held())
			case !entryOf(o.city, p.Receipt.Leaf).GetPrepared().Again:
				return p.Receipt.Index, nil
			}
			return prepared, nil // each preparation is an entry; the first alone counts
		}, func(e *ledgerv1.LedgerEntry) bool {
			first := e.GetPrepared() != nil && !e.GetPrepared().Again
			if first {
				prepared = e.Index
			}
			return first
		}, ""},
		{"materials are collected", o.hall, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			got, err := c.Collect(ctx, sdk.Collect{Acting: o.acting, Applicant: o.applicant, Declined: []string{"statement"}})
			if err == nil && (len(got.Copies) != 1 || got.Copies[0].Receipt.Index+1 != got.Receipt.Index || len(got.Copies[0].Record.Payload) == 0) {
				err = fmt.Errorf("collected is %+v", got)
			}
			if err != nil {
				return 0, err
			}
			return got.Receipt.Index, nil
		}, func(e *ledgerv1.LedgerEntry) bool { return e.GetCollected() != nil }, ""},
		{"a material is published", o.hall, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			r, err := c.Submit(ctx, submission)
			if err != nil {
				return 0, err
			}
			return r.Index, nil
		}, func(e *ledgerv1.LedgerEntry) bool {
			return e.GetPublished().GetTopic() == "papers" && e.Index != before.Index
		}, ""},
		{"a material is counted as submitted", o.hall, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			r, err := c.Submit(ctx, entered)
			if err == nil && r.Index != before.Index {
				err = fmt.Errorf("entry %d is published once more", r.Index)
			}
			return counted, err
		}, func(e *ledgerv1.LedgerEntry) bool {
			this := e.GetSubmitted() != nil && e.GetSubmitted().Publication == before.Index
			if this {
				counted = e.Index
			}
			return this
		}, ""},
	}
}

// reviews are the deeds of a catalogue entry's review.
func (o *onceOnly) reviews() []*deed {
	t, ctx := o.t, o.t.Context()
	t.Helper()
	police := cataloguev1.NewCatalogueServiceClient(o.connect(o.police, 0).Conn())
	for _, name := range []string{"returned", "published"} {
		_, err := police.CreateTopic(ctx, &cataloguev1.CreateTopicRequest{Topic: &cataloguev1.Topic{
			Name: name, Title: "常住人口", Provider: sample.PublicSecurity.Code, Contract: "huitong.records.v1.Person",
			SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "社会救助核对", Abstract: "常住人口登记信息",
			UpdateCycle: cataloguev1.UpdateCycle_UPDATE_CYCLE_DAY, Format: "数据库",
			Category: &cataloguev1.Category{Code: "306001", Path: []string{"主题信息资源", "社会救助"}},
		}})
		must(t, fault.FromStatus(err))
	}
	_, err := police.SubmitTopic(ctx, &cataloguev1.SubmitTopicRequest{Name: "published"})
	must(t, fault.FromStatus(err))
	changed := func(name, change string, index *uint64) func(e *ledgerv1.LedgerEntry) bool {
		return func(e *ledgerv1.LedgerEntry) bool {
			c := e.GetChanged()
			this := c.GetObject() == "topic" && c.GetId() == name && c.GetChange() == change
			if this && index != nil {
				*index = e.Index
			}
			return this
		}
	}
	review := func(r *cataloguev1.ReviewTopicRequest) func(context.Context, *sdk.Client) (uint64, error) {
		return func(ctx context.Context, c *sdk.Client) (uint64, error) {
			resp, err := cataloguev1.NewCatalogueServiceClient(c.Conn()).ReviewTopic(ctx, r)
			return resp.GetReceipt().GetIndex(), fault.FromStatus(err)
		}
	}
	var submitted uint64
	return []*deed{
		{"a catalogue entry is submitted", o.police, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			resp, err := cataloguev1.NewCatalogueServiceClient(c.Conn()).SubmitTopic(ctx, &cataloguev1.SubmitTopicRequest{Name: "returned"})
			if err == nil && resp.Topic.State != cataloguev1.TopicState_TOPIC_STATE_SUBMITTED {
				err = fmt.Errorf("the entry is %v", resp.Topic.State)
			}
			if resp.GetReceipt() == nil {
				return submitted, fault.FromStatus(err) // a repeat changes nothing
			}
			return resp.Receipt.Index, err
		}, changed("returned", "submit", &submitted), ""},
		{"a catalogue entry is returned", o.operator, review(&cataloguev1.ReviewTopicRequest{
			Name: "returned", Findings: []*cataloguev1.Finding{{Field: "conditions", Message: "条件不明确"}},
		}), changed("returned", "return", nil), "topic.not_submitted"},
		{"a catalogue entry is published", o.operator, review(&cataloguev1.ReviewTopicRequest{Name: "published", Publish: true}),
			changed("published", "publish", nil), "topic.not_submitted"},
	}
}

// toldOnceOfAnExpiry kills the exchange behind the notice of an expired record and
// before the sweep's place is written down, twice: the second makes no notice.
func (o *onceOnly) toldOnceOfAnExpiry() {
	o.t.Helper()
	for _, p := range o.processes {
		p.kill()
		p.armed = ""
	}
	// The sweep begins with what expires from today on; here it begins earlier.
	o.offline(func(ctx context.Context, _ *identity.Directory, db *store.DB) error {
		return db.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE expiry_sweep SET until = 0, topic = 0")
			return err
		})
	})
	for n := range 2 {
		if told, swept := o.killedBehindANotice(); told != 1 || swept {
			o.t.Fatalf("after kill %d: %d told, swept %v", n+1, told, swept)
		}
	}
}

func (o *onceOnly) killedBehindANotice() (told int, swept bool) {
	o.t.Helper()
	moment := everyMoment(o.t)
	for _, p := range o.processes {
		p.start("hearing.expired:1")
	}
	for !slices.ContainsFunc(o.processes, (*process).isDead) {
		moment()
	}
	for _, p := range o.processes {
		p.kill()
	}
	o.offline(func(ctx context.Context, _ *identity.Directory, db *store.DB) error {
		return db.Reader().QueryRowContext(ctx, "SELECT until > 0 FROM expiry_sweep").Scan(&swept)
	})
	return o.notices(), swept
}
