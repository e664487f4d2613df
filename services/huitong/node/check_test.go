package node_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

const (
	earner = "999999199001010016"
	nobody = "999999198506150028"
)

// incomes is an exchange with the incomes of one person, and a hall that may ask
// about them.
type incomes struct {
	*nodetest.Exchange
	tax, hall *sdk.Client
	publisher *sdk.Publisher
	grant     *accessv1.Grant
}

// checkModes are what a topic offers that can be checked.
func checkModes(more ...cataloguev1.DeliveryMode) []cataloguev1.DeliveryMode {
	return append(more, cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK)
}

func incomeChecks() []*accessv1.GrantCheck {
	return []*accessv1.GrantCheck{
		{
			Name: "income-under", Title: "净收入合计低于标准", Fields: []string{"net_fen"},
			Predicate: `sum(records.map(r, r.net_fen)) < threshold`,
			Thresholds: []*accessv1.Threshold{
				{Name: "t1", Value: 100}, {Name: "t2", Value: 300_000}, {Name: "t3", Value: 500_000}, {Name: "t4", Value: 700_000},
			},
		},
		{Name: "has-wage", Fields: []string{"source"}, Predicate: `records.exists(r, r.source == IncomeSource.INCOME_SOURCE_WAGE)`},
		{Name: "fails", Fields: []string{"net_fen"}, Predicate: `records.all(r, 1 / (r.net_fen - r.net_fen) == 1)`},
	}
}

func newIncomes(t *testing.T, dailyLimit uint64, configs ...node.Config) *incomes {
	x := nodetest.Start(t, configs...)
	in := &incomes{Exchange: x, tax: x.Join(t, sample.HumanResources, "payroll"), hall: x.Join(t, sample.ServiceHall, "hall")}
	topic := unconditional("income", "Income", sample.HumanResources)
	topic.Conditions = "社会救助家庭经济状况核对"
	topic.SharingClass, topic.DeliveryModes = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, checkModes(cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY)
	if err := x.CreateTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	var err error
	in.grant, err = x.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: "income", Consumer: sample.ServiceHall.Code, Basis: "社会救助暂行办法第五十八条", Scenario: "补贴审核",
		ServiceItems: []string{acting.Purpose}, DeliveryModes: checkModes(), Checks: incomeChecks(), DailyLimit: dailyLimit,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []string{acting.Case, "SF-2026-000043"} {
		x.OpenCase(t, in.hall, number, acting.Purpose, sdk.Subject{Type: "111", Number: earner}, sdk.Subject{Type: "111", Number: nobody})
	}
	in.publisher = in.tax.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { _ = in.publisher.Close(t.Context()) })
	return in
}

func (in *incomes) earn(t *testing.T, month int, fen int64) {
	t.Helper()
	if _, err := in.publisher.Publish(t.Context(), "income", &recordsv1.Income{
		RecordNumber: fmt.Sprintf("SR-%02d", month), IdType: "111", IdNumber: earner, Name: "王小明", Source: recordsv1.IncomeSource_INCOME_SOURCE_WAGE,
		PeriodFrom: fmt.Sprintf("2026-%02d-01", month), PeriodUntil: fmt.Sprintf("2026-%02d-28", month), GrossFen: fen, NetFen: fen,
	}); err != nil {
		t.Fatal(err)
	}
}

func (in *incomes) check(t *testing.T, number, name, threshold string, more ...func(*sdk.Check)) (*sdk.Checked, error) {
	t.Helper()
	q := sdk.Check{Topic: "income", Acting: acting, Subject: sdk.Subject{Type: "111", Number: number}, Name: name, Threshold: threshold}
	for _, m := range more {
		m(&q)
	}
	return in.hall.Check(t.Context(), q)
}

func (in *incomes) want(t *testing.T, want sdk.CheckAnswer, number, name, threshold string, more ...func(*sdk.Check)) *sdk.Checked {
	t.Helper()
	a, err := in.check(t, number, name, threshold, more...)
	if err != nil {
		t.Fatal(err)
	}
	if a.Answer != want {
		t.Fatalf("%s, not %s", a.Answer, want)
	}
	return a
}

func inCase(number string) func(*sdk.Check) { return func(q *sdk.Check) { q.Acting.Case = number } }

func (in *incomes) fsck(t *testing.T) {
	t.Helper()
	fsck(t, in.Exchange)
}

func TestACheckTellsYesNoOrNotHeld(t *testing.T) {
	in := newIncomes(t, 0)
	in.earn(t, 1, 200_000)
	in.want(t, sdk.CheckYes, earner, "income-under", "t2")
	in.want(t, sdk.CheckYes, earner, "has-wage", "")
	in.earn(t, 2, 200_000)
	in.want(t, sdk.CheckNo, earner, "income-under", "t2")
	in.want(t, sdk.CheckNotHeld, nobody, "income-under", "t2")
	in.want(t, sdk.CheckNotHeld, earner, "has-wage", "", func(q *sdk.Check) { q.Subject.Role = "guardian" })

	// What is no longer held does not count.
	for _, key := range []string{"SR-01", "SR-02"} {
		if _, err := in.publisher.Revoke(t.Context(), "income", key, "登记有误"); err != nil {
			t.Fatal(err)
		}
	}
	in.want(t, sdk.CheckNotHeld, earner, "income-under", "t2")
	in.fsck(t)
}

// TestACheckLeavesNothingElse: neither the entry nor its opening tells the asker
// which records it rests on, or how many; the provider sees these, and not the
// question.
func TestACheckLeavesNothingElse(t *testing.T) {
	in := newIncomes(t, 0)
	for month := range 5 {
		in.earn(t, month+1, 100_000)
	}
	a := in.want(t, sdk.CheckNo, earner, "income-under", "t3")
	one := in.want(t, sdk.CheckNotHeld, nobody, "income-under", "t3")
	if !a.Receipt.Proven() {
		t.Error("the entry is not proven")
	}
	// Two entries of the same shape, of whatever they looked at.
	if d := proto.Size(in.entry(t, in.hall, a.Receipt.Index).Entry) - proto.Size(in.entry(t, in.hall, one.Receipt.Index).Entry); d > 2 || d < -2 {
		t.Errorf("the entries differ by %d bytes", d)
	}
	asker := in.entry(t, in.hall, a.Receipt.Index).ReadOpening
	if asker.GetAnswer() != "no" || asker.GetSubject().GetNumber() != earner || len(asker.GetDetails()) != 0 {
		t.Errorf("the asker sees %v", asker)
	}
	provider := in.entry(t, in.tax, a.Receipt.Index).ReadOpening
	if len(provider.GetDetails()) != 5 || provider.GetAnswer() != "" || provider.GetSubject() != nil || provider.GetPerson() != "" || len(provider.GetSecret()) != 0 {
		t.Errorf("the provider sees %v", provider)
	}
	if entry := fmt.Sprint(in.entry(t, in.hall, a.Receipt.Index).Entry); strings.Contains(entry, earner) || strings.Contains(entry, acting.Case) {
		t.Errorf("%s names the subject or the case", entry)
	}
}

func (in *incomes) entry(t *testing.T, c *sdk.Client, index uint64) *ledgerv1.Entry {
	t.Helper()
	resp, err := ledgerv1.NewLedgerServiceClient(c.Conn()).GetEntry(t.Context(), &ledgerv1.GetEntryRequest{Index: index, WithOpening: true})
	if err != nil {
		t.Fatal(err)
	}
	return resp.Entry
}

func TestThresholdsOfACaseAreLimited(t *testing.T) {
	in := newIncomes(t, 0)
	in.earn(t, 1, 400_000)
	in.want(t, sdk.CheckNo, earner, "income-under", "t1")
	in.want(t, sdk.CheckNo, earner, "income-under", "t2")
	in.want(t, sdk.CheckYes, earner, "income-under", "t3")
	before := in.Node.Journal.Head().Size
	_, err := in.check(t, earner, "income-under", "t4")
	wantRule(t, err, fault.Denied, "check.thresholds")
	if n := in.Node.Journal.Head().Size - before; n != 1 {
		t.Errorf("the refusal left %d entries", n)
	}
	// Asked before is free; another subject, case and check count on their own.
	in.want(t, sdk.CheckNo, earner, "income-under", "t2")
	in.want(t, sdk.CheckNotHeld, nobody, "income-under", "t4")
	in.want(t, sdk.CheckYes, earner, "income-under", "t4", inCase("SF-2026-000043"))
	in.want(t, sdk.CheckYes, earner, "has-wage", "")
	in.fsck(t)
}

// TestThresholdsAreCountedExactly: of many calls at once no more than the limit
// are answered.
func TestThresholdsAreCountedExactly(t *testing.T) {
	in := newIncomes(t, 0)
	in.earn(t, 1, 400_000)
	var wait sync.WaitGroup
	answers := make(chan error, 40)
	for i := range 40 {
		wait.Go(func() {
			_, err := in.check(t, earner, "income-under", fmt.Sprintf("t%d", i%4+1))
			answers <- err
		})
	}
	wait.Wait()
	close(answers)
	refused := 0
	for err := range answers {
		if err != nil {
			wantRule(t, err, fault.Denied, "check.thresholds")
			refused++
		}
	}
	if refused != 10 {
		t.Errorf("%d of 40 were refused, not the 10 of one threshold", refused)
	}
	in.fsck(t)
}

func TestChecksThatAreRefused(t *testing.T) {
	in := newIncomes(t, 0)
	in.earn(t, 1, 400_000)
	for _, c := range []struct {
		rule            string
		kind            fault.Kind
		name, threshold string
		more            func(*sdk.Check)
	}{
		{"grant.check", fault.Denied, "another", "", nil},
		{"grant.threshold", fault.Denied, "income-under", "", nil},
		{"grant.threshold", fault.Denied, "income-under", "t9", nil},
		{"grant.threshold", fault.Denied, "has-wage", "t1", nil},
		{"grant.purpose", fault.Denied, "has-wage", "", func(q *sdk.Check) { q.Acting.Purpose = "OTHER-01" }},
		{"acting.case.required", fault.Denied, "has-wage", "", func(q *sdk.Check) { q.Acting.Case = "" }},
		{"acting.person.required", fault.Denied, "has-wage", "", func(q *sdk.Check) { q.Acting.Person = "" }},
		{"topic.unknown", fault.NotFound, "has-wage", "", func(q *sdk.Check) { q.Topic = "nothing" }},
		{"topic.required", fault.Invalid, "has-wage", "", func(q *sdk.Check) { q.Topic = "" }},
		{"check.name", fault.Invalid, "", "", nil},
		{"check.name", fault.Invalid, "records.all(r, true)", "", nil},
		{"check.threshold", fault.Invalid, "has-wage", "2 > 1", nil},
		{"identifier.resident_id", fault.Invalid, "has-wage", "", func(q *sdk.Check) { q.Subject.Number = "999999199001010017" }},
		{"subject.type", fault.Invalid, "has-wage", "", func(q *sdk.Check) { q.Subject = sdk.Subject{} }},
		{"check.failed", fault.Denied, "fails", "", nil},
	} {
		more := c.more
		if more == nil {
			more = func(*sdk.Check) {}
		}
		_, err := in.check(t, earner, c.name, c.threshold, more)
		wantRule(t, err, c.kind, c.rule)
		if err != nil && (strings.Contains(err.Error(), "400000") || strings.Contains(err.Error(), earner)) {
			t.Errorf("%v holds a value", err)
		}
	}
	// One's own topic is queried: no grant agrees a check on it.
	_, err := in.tax.Check(t.Context(), sdk.Check{Topic: "income", Acting: acting, Subject: sdk.Subject{Type: "111", Number: earner}, Name: "has-wage"})
	wantRule(t, err, fault.Denied, "check.unknown")
	// A grant to check is none to query.
	_, err = in.hall.Query(t.Context(), sdk.Query{Topic: "income", Acting: acting, By: sdk.ByKey("SR-01")})
	wantRule(t, err, fault.Denied, "grant.delivery_mode")
	if _, err := in.Access.SuspendGrant(t.Context(), &accessv1.SuspendGrantRequest{Id: in.grant.Id, Reason: "核查"}); err != nil {
		t.Fatal(err)
	}
	_, err = in.check(t, earner, "has-wage", "")
	wantRule(t, err, fault.Denied, "grant.suspended")
	in.fsck(t)
}

// TestASubjectWithTooManyRecords gets no answer, and which is refused is an
// entry.
func TestASubjectWithTooManyRecords(t *testing.T) {
	in := newIncomes(t, 0)
	var batch []sdk.Publication
	for i := range 257 {
		batch = append(batch, sdk.Publication{Topic: "income", Message: &recordsv1.Income{
			RecordNumber: fmt.Sprintf("SR-%d", i), IdType: "111", IdNumber: earner, Name: "王小明", Source: recordsv1.IncomeSource_INCOME_SOURCE_WAGE,
			PeriodFrom: "2026-01-01", PeriodUntil: "2026-01-31", NetFen: 1,
		}})
	}
	in.publishAll(t, batch[:256])
	in.want(t, sdk.CheckYes, earner, "income-under", "t2")
	in.publishAll(t, batch[256:])
	before := in.Node.Journal.Head().Size
	_, err := in.check(t, earner, "income-under", "t2")
	wantRule(t, err, fault.Denied, "check.records")
	if n := in.Node.Journal.Head().Size - before; n != 1 {
		t.Errorf("the refusal left %d entries", n)
	}
}

func (in *incomes) publishAll(t *testing.T, batch []sdk.Publication) {
	t.Helper()
	results, err := in.publisher.PublishBatch(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

func TestChecksCountForTheDailyLimit(t *testing.T) {
	in := newIncomes(t, 2)
	in.earn(t, 1, 400_000)
	in.want(t, sdk.CheckNo, earner, "income-under", "t1")
	in.want(t, sdk.CheckYes, earner, "has-wage", "")
	_, err := in.check(t, earner, "has-wage", "")
	wantRule(t, err, fault.Denied, "grant.daily_limit")
}

// TestADryCheckIsNoEntry: it tells whether it would be answered, and no answer.
func TestADryCheckIsNoEntry(t *testing.T) {
	in := newIncomes(t, 0)
	in.earn(t, 1, 400_000)
	dry := func(q *sdk.Check) { q.ValidateOnly = true }
	before := in.Node.Journal.Head().Size
	in.want(t, sdk.CheckUnanswered, earner, "income-under", "t1", dry)
	if in.Node.Journal.Head().Size != before {
		t.Error("it left an entry")
	}
	_, err := in.check(t, earner, "another", "t1", dry)
	wantRule(t, err, fault.Denied, "grant.check")
}

// TestAnExpiredRecordIsNotHeld: a check looks at what holds today.
func TestAnExpiredRecordIsNotHeld(t *testing.T) {
	x := nodetest.Start(t)
	disabled, hall := x.Join(t, sample.DisabledPersons, "cards"), x.Join(t, sample.ServiceHall, "hall")
	topic := unconditional("disability", "Disability", sample.DisabledPersons)
	topic.DeliveryModes = checkModes()
	if err := x.CreateTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	if _, err := x.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: "disability", Consumer: sample.ServiceHall.Code, Basis: "办法第五条", ServiceItems: []string{acting.Purpose}, DeliveryModes: checkModes(),
		Checks: []*accessv1.GrantCheck{{Name: "severe", Fields: []string{"grade"}, Predicate: "records.exists(r, r.grade <= 2)"}},
	}); err != nil {
		t.Fatal(err)
	}
	x.OpenCase(t, hall, acting.Case, acting.Purpose, sdk.Subject{Type: "111", Number: earner})
	publisher := disabled.Publisher(sdk.PublisherConfig{})
	defer publisher.Close(t.Context())
	for until, want := range map[string]sdk.CheckAnswer{
		time.Now().AddDate(0, 0, -2).Format(time.DateOnly): sdk.CheckNotHeld, time.Now().AddDate(1, 0, 0).Format(time.DateOnly): sdk.CheckYes,
	} {
		if _, err := publisher.Publish(t.Context(), "disability", &recordsv1.Disability{
			CertificateNumber: "99999919900101001643", IdType: "111", IdNumber: earner, Name: "王小明", Grade: 1,
			Kinds:     []recordsv1.DisabilityKind{recordsv1.DisabilityKind_DISABILITY_KIND_PHYSICAL},
			ValidFrom: "2020-01-02", ValidUntil: until, IssuerCode: sample.DisabledPersons.Code,
		}); err != nil {
			t.Fatal(err)
		}
		a, err := hall.Check(t.Context(), sdk.Check{Topic: "disability", Acting: acting, Subject: sdk.Subject{Type: "111", Number: earner}, Name: "severe"})
		if err != nil || a.Answer != want {
			t.Errorf("until %s: %v, %v; want %s", until, a, err, want)
		}
	}
}

// TestChecksOfAGrantAreChecked when it is made.
func TestChecksOfAGrantAreChecked(t *testing.T) {
	in := newIncomes(t, 0)
	for rule, change := range map[string]func(*accessv1.Grant){
		"check.fields":          func(g *accessv1.Grant) { g.Checks[0].Fields = []string{"gross_fen"} },
		"check.predicate":       func(g *accessv1.Grant) { g.Checks[1].Predicate = "1" },
		"check.name":            func(g *accessv1.Grant) { g.Checks[1].Name = g.Checks[0].Name },
		"grant.checks.required": func(g *accessv1.Grant) { g.Checks = nil },
		"grant.checks.mode": func(g *accessv1.Grant) {
			g.DeliveryModes = []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY}
		},
		"grant.service_items.required": func(g *accessv1.Grant) { g.ServiceItems = nil },
	} {
		g := &accessv1.Grant{
			Topic: "income", Consumer: sample.ServiceHall.Code, Basis: "办法", Fields: []string{"source"},
			ServiceItems: []string{acting.Purpose}, DeliveryModes: checkModes(), Checks: incomeChecks(),
		}
		change(g)
		_, err := in.Access.CreateGrant(t.Context(), &accessv1.CreateGrantRequest{Grant: g})
		wantRule(t, fault.FromStatus(err), fault.Invalid, rule)
	}
	if got := slices.Collect(checkNames(in.grant)); !slices.Equal(got, []string{"income-under", "has-wage", "fails"}) {
		t.Errorf("the grant has the checks %v", got)
	}
}

func checkNames(g *accessv1.Grant) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, c := range g.Checks {
			if !yield(c.Name) {
				return
			}
		}
	}
}
