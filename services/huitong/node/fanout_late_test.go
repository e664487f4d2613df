package node_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/fanout"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/notice"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

// TestTenSourcesOfWhichOneIsDown: nine are answered, two of them refused, and
// none waits for the one that is down. When that is back it answers late: the
// report says so, and who asks again reads it.
func TestTenSourcesOfWhichOneIsDown(t *testing.T) {
	m := newMeansTest(t)
	heard := reports(t, m.hall)
	sources := []sdk.Source{source("income", earner), source("wages", earner), {Topic: "benefits", Subject: person(earner), Wait: 50 * time.Millisecond}}
	supply(t, m.tax, "wages", nil)
	for i := range 5 {
		name := fmt.Sprintf("source-%d", i)
		m.topic(t, name, sample.HumanResources, true)
		supply(t, m.tax, name, nil)
		sources = append(sources, source(name, earner))
	}
	ungranted := unconditional("ungranted", "Income", sample.HumanResources)
	ungranted.SharingClass, ungranted.Conditions, ungranted.AnsweredLive = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, "核对", true
	ok(t, m.CreateTopic(t.Context(), ungranted))
	m.topic(t, "consented", sample.HumanResources, true, func(topic *cataloguev1.Topic) { topic.Consent = cataloguev1.Consent_CONSENT_EVERY_ADULT })
	sources = append(sources, source("ungranted", earner), source("consented", earner))

	q := sdk.FanOutQuestion{Key: sdk.NewIdempotencyKey(), Acting: acting, Sources: sources}
	f, err := m.hall.AskAll(t.Context(), q)
	ok(t, err)
	want := []sdk.SourceState{
		sdk.SourceNotFound, sdk.SourceFound, sdk.SourceTimedOut, sdk.SourceFound, sdk.SourceFound, sdk.SourceFound, sdk.SourceFound, sdk.SourceFound,
		sdk.SourceRefused, sdk.SourceRefused,
	}
	wantStates(t, f, want...)
	if rules := f.Results[8].Rule + " " + f.Results[9].Rule; rules != "grant.required consent.required" {
		t.Errorf("refused by %s", rules)
	}
	<-heard

	var asked atomic.Int64
	supply(t, m.civil, "benefits", &asked)
	late := <-heard
	if r := late.Results[2]; r.State != sdk.SourceAnsweredLate || !r.Late || r.EntryPlusOne != 0 || late.Version != 2 {
		t.Errorf("the report of a late answer: version %d, %v", late.Version, r)
	}
	got, err := m.hall.GetFanOut(t.Context(), f.ID, "clerk-018")
	ok(t, err)
	want[2] = sdk.SourceFound
	wantStates(t, got, want...)
	if r := got.Results[2]; !r.Late || incomeOf(t, &r).NetFen == 0 || got.Report.Version != 3 {
		t.Errorf("what came late: %v, version %d", r, got.Report.Version)
	}
	again, err := m.hall.AskAll(t.Context(), q)
	ok(t, err)
	wantStates(t, again, want...)
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	fsck(t, m.Exchange)
}

// requestOf asks a live source that nobody answers yet, and gives the request's
// id.
func (m *meansTest) requestOf(t *testing.T, topic, number string) string {
	t.Helper()
	f := m.ask(t, sdk.Source{Topic: topic, Subject: person(number), Wait: time.Millisecond})
	wantStates(t, f, sdk.SourceTimedOut)
	return f.ID + "-0"
}

func answer(t *testing.T, c *sdk.Client, r *exchangev1.AnswerRequestRequest) error {
	t.Helper()
	_, err := exchangev1.NewFanOutServiceClient(c.Conn()).AnswerRequest(t.Context(), r)
	return fault.FromStatus(err)
}

const (
	saysFound    = recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_FOUND
	saysNotFound = recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_NOT_FOUND
	saysRefused  = recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_REFUSED
)

// TestAnswersThatAreNone: an answer by another, about another, of before, or a
// second one is refused, and the good one is taken after all of them. What does not
// answer its request is an entry.
func TestAnswersThatAreNone(t *testing.T) {
	m := newMeansTest(t)
	publisher := m.tax.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { _ = publisher.Close(t.Context()) })
	publish := func(topic, number string, n int) uint64 {
		receipt, err := publisher.Publish(t.Context(), topic, income(number, n))
		ok(t, err)
		return receipt.Index
	}
	before := publish("wages", earner, 1)
	id := m.requestOf(t, "wages", earner)
	good, other, elsewhere := publish("wages", earner, 2), publish("wages", nobody, 3), publish("income", earner, 4)
	first := m.Node.Journal.Head().Size
	for _, c := range []struct {
		name string
		by   *sdk.Client
		r    *exchangev1.AnswerRequestRequest
		kind fault.Kind
		rule string
	}{
		{"an unknown request", m.tax, &exchangev1.AnswerRequestRequest{RequestId: strings.Repeat("0", 32) + "-0", Outcome: saysNotFound}, fault.NotFound, "answer.request"},
		{"no request at all", m.tax, &exchangev1.AnswerRequestRequest{RequestId: "x", Outcome: saysNotFound}, fault.NotFound, "answer.request"},
		{"another place", m.tax, &exchangev1.AnswerRequestRequest{RequestId: strings.TrimSuffix(id, "0") + "1", Outcome: saysNotFound}, fault.NotFound, "answer.request"},
		{"another's request", m.civil, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysNotFound}, fault.NotFound, "answer.request"},
		{"who asked answers", m.hall, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysNotFound}, fault.NotFound, "answer.request"},
		{"no outcome", m.tax, &exchangev1.AnswerRequestRequest{RequestId: id}, fault.Invalid, "answer.outcome"},
		{"found nothing", m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysFound}, fault.Invalid, "answer.records"},
		{"not found with a record", m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysNotFound, Records: []uint64{good}}, fault.Invalid, "answer.records"},
		{"a record twice", m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysFound, Records: []uint64{good, good}}, fault.Invalid, "answer.records"},
		{"too many", m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysFound, Records: make([]uint64, fanout.MaxRecords+1)}, fault.Invalid, "answer.records"},
		{"about another", m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysFound, Records: []uint64{other}}, fault.Invalid, "answer.subject"},
		{"of another topic", m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysFound, Records: []uint64{elsewhere}}, fault.Invalid, "answer.subject"},
		{"no entry", m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysFound, Records: []uint64{1 << 40}}, fault.Invalid, "answer.subject"},
		{"of before", m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysFound, Records: []uint64{before}}, fault.Invalid, "answer.before"},
		{"refused without a rule", m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysRefused}, fault.Invalid, "answer.rule"},
		{"refused with a person's number", m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysRefused, Rule: "supplier." + earner}, fault.Invalid, "answer.rule"},
	} {
		t.Run(c.name, func(t *testing.T) { wantRule(t, answer(t, c.by, c.r), c.kind, c.rule) })
	}
	refused := []string{
		"manage answer.outcome", "manage answer.records", "manage answer.request", "manage answer.request", "manage answer.request", "manage answer.rule",
		"publish wages answer.before", "publish wages answer.records", "publish wages answer.subject",
	}
	if got := refusalsFrom(t, m.Exchange, first); !slices.Equal(got, refused) {
		t.Errorf("entered is %v", got)
	}
	found := &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysFound, Records: []uint64{good}}
	ok(t, answer(t, m.tax, found))
	ok(t, answer(t, m.tax, found)) // the same again
	wantRule(t, answer(t, m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysNotFound}), fault.Conflict, "answer.twice")
	if got := refusalsFrom(t, m.Exchange, first); !slices.Contains(got, "publish wages answer.twice") {
		t.Errorf("entered is %v", got)
	}
	fsck(t, m.Exchange)
}

// TestAnAnswerAfterTheLongerTime is taken no more.
func TestAnAnswerAfterTheLongerTime(t *testing.T) {
	clock := &movable{}
	clock.put(time.Now())
	m := newMeansTest(t, node.Config{Clock: clock.Now, Database: "sqlite:" + t.TempDir()})
	id := m.requestOf(t, "wages", earner)
	clock.put(clock.Now().Add(fanout.LateFor + time.Hour))
	before := m.Node.Journal.Head().Size
	wantRule(t, answer(t, m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: saysNotFound}), fault.Conflict, "answer.too_late")
	if got := refusalsFrom(t, m.Exchange, before); !slices.Equal(got, []string{"publish wages answer.too_late"}) {
		t.Errorf("entered is %v", got)
	}
}

// TestAnAnswerIsDecidedWhenItComes: what is suspended while the supplier looks is
// not told.
func TestAnAnswerIsDecidedWhenItComes(t *testing.T) {
	m := newMeansTest(t)
	grant := m.topic(t, "pensions", sample.HumanResources, true)
	s, err := m.tax.Supply(t.Context(), "pensions", func(ctx context.Context, a *sdk.Asked) (*sdk.Supplied, error) {
		_, err := m.Access.SuspendGrant(ctx, &accessv1.SuspendGrantRequest{Id: grant.Id, Reason: "核查"})
		return sdk.Found(income(a.Subject.Number, 1)), err
	})
	ok(t, err)
	t.Cleanup(func() { s.Stop(); <-s.Closed() })
	f := m.ask(t, source("pensions", earner))
	wantStates(t, f, sdk.SourceRefused)
	if r := f.Results[0]; r.Rule != "grant.suspended" || r.Answer != nil {
		t.Errorf("%v", r)
	}
}

// TestASupplierRefuses by a rule of its own, or because its record is refused.
func TestASupplierRefuses(t *testing.T) {
	m := newMeansTest(t)
	for topic, what := range map[string]func(a *sdk.Asked) *sdk.Supplied{
		"wages": func(*sdk.Asked) *sdk.Supplied { return sdk.Refused("supplier.frozen") },
		"other": func(a *sdk.Asked) *sdk.Supplied { return sdk.Found(&recordsv1.Income{IdNumber: "x"}) },
	} {
		if topic == "other" {
			m.topic(t, topic, sample.HumanResources, true)
		}
		s, err := m.tax.Supply(t.Context(), topic, func(_ context.Context, a *sdk.Asked) (*sdk.Supplied, error) { return what(a), nil })
		ok(t, err)
		t.Cleanup(func() { s.Stop(); <-s.Closed() })
	}
	f := m.ask(t, source("wages", earner), source("other", earner))
	wantStates(t, f, sdk.SourceRefused, sdk.SourceRefused)
	if rules := f.Results[0].Rule + " " + f.Results[1].Rule; rules != "supplier.frozen supplier.record" {
		t.Errorf("refused by %s", rules)
	}
	_, err := m.civil.Supply(t.Context(), "wages", nil)
	wantRule(t, err, fault.Denied, "topic.owner")
	_, err = m.tax.Supply(t.Context(), "income", nil)
	wantRule(t, err, fault.Conflict, "sdk.supply")
}

// TestFanOutsThatMakeNoSense are refused as a whole, and leave nothing but the
// entry of a denial.
func TestFanOutsThatMakeNoSense(t *testing.T) {
	m := newMeansTest(t)
	other := acting
	other.Case = "SF-2026-000099"
	m.OpenCase(t, m.hall, other.Case, acting.Purpose, person(earner))
	_, err := m.hall.CloseCase(t.Context(), other.Case, "clerk-017", "办结")
	ok(t, err)
	ask := func(kind fault.Kind, rule string, q sdk.FanOutQuestion) {
		t.Helper()
		_, err := m.hall.AskAll(t.Context(), q)
		wantRule(t, err, kind, rule)
	}
	one := []sdk.Source{source("wages", earner)}
	many := make([]sdk.Source, fanout.MaxSources+1)
	before := m.Node.Journal.Head().Size
	ask(fault.Invalid, "fan_out.sources", sdk.FanOutQuestion{Acting: acting})
	ask(fault.Invalid, "fan_out.sources", sdk.FanOutQuestion{Acting: acting, Sources: many})
	ask(fault.Invalid, "fan_out.twice", sdk.FanOutQuestion{Acting: acting, Sources: []sdk.Source{one[0], one[0]}})
	ask(fault.Invalid, "fan_out.wait", sdk.FanOutQuestion{Acting: acting, Sources: []sdk.Source{{Topic: "wages", Subject: person(earner), Wait: time.Hour}}})
	ask(fault.Invalid, "topic.required", sdk.FanOutQuestion{Acting: acting, Sources: []sdk.Source{source("", earner)}})
	ask(fault.Invalid, "identifier.resident_id", sdk.FanOutQuestion{Acting: acting, Sources: []sdk.Source{source("wages", "999999199001010017")}})
	ask(fault.Invalid, "fan_out.check_live", sdk.FanOutQuestion{Acting: acting, Sources: []sdk.Source{{Topic: "wages", Subject: person(earner), Check: "held"}}})
	if n := m.Node.Journal.Head().Size; n != before {
		t.Errorf("%d entries", n-before)
	}
	ask(fault.Denied, "case.subject", sdk.FanOutQuestion{Acting: acting, Sources: []sdk.Source{one[0], source("wages", "999999195003010038")}})
	ask(fault.Denied, "case.closed", sdk.FanOutQuestion{Acting: other, Sources: one})
	ask(fault.Denied, "case.unknown", sdk.FanOutQuestion{Acting: sdk.Acting{Person: "p", Purpose: acting.Purpose, Case: "none"}, Sources: one})
	ask(fault.Denied, "acting.person.required", sdk.FanOutQuestion{Acting: sdk.Acting{Purpose: acting.Purpose, Case: acting.Case}, Sources: one})
	for _, e := range entriesFrom(t, m.Exchange, before) {
		if e.GetRefused() == nil {
			t.Errorf("an entry of another kind: %v", e)
		}
	}
	_, err = m.civil.GetFanOut(t.Context(), "none", "p")
	wantRule(t, err, fault.NotFound, "fan_out.unknown")
}

// TestRequestsAreForTheirSupplier: neither who oversees the exchange nor another
// department reads whom was asked about.
func TestRequestsAreForTheirSupplier(t *testing.T) {
	m := newMeansTest(t)
	auditor := m.Join(t, sample.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR)
	for _, topic := range []string{notice.FanOutRequests, notice.FanOutAnswers, notice.FanOutReports} {
		for _, c := range []*sdk.Client{m.Client, auditor} {
			_, err := c.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "all", Topic: topic})
			wantRule(t, err, fault.Denied, "role.department")
		}
	}
	m.requestOf(t, "wages", earner)
	id := m.requestOf(t, "benefits", nobody)
	_, err := m.civil.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "requests", Topic: notice.FanOutRequests, Start: sdk.FromAll()})
	ok(t, err)
	caughtUp, seen := make(chan struct{}), make(chan string, 10)
	s, err := m.civil.Subscribe(t.Context(), "requests", sdk.Handle(func(_ context.Context, _ *sdk.Delivery, r *recordsv1.SupplierRequest) error {
		seen <- r.RequestId + " " + r.Consumer + " " + r.IdNumber
		return nil
	}), sdk.WithCaughtUp(sync.OnceFunc(func() { close(caughtUp) })))
	ok(t, err)
	t.Cleanup(func() { s.Stop(); <-s.Closed() })
	<-caughtUp
	if got := <-seen; got != id+" "+sample.ServiceHall.Code+" "+nobody || len(seen) > 0 {
		t.Errorf("civil affairs read %q, and %d more", got, len(seen))
	}
}
