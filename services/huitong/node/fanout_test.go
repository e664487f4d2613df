package node_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// meansTest is an exchange with a hall that asks, incomes that are on the
// exchange, and providers that answer live.
type meansTest struct {
	*nodetest.Exchange
	hall, tax, civil *sdk.Client
}

// newMeansTest has the topics "income" (held), "wages" and "benefits" (answered
// live), with a grant on each for the fields of a wage slip but the payer.
func newMeansTest(t *testing.T, configs ...node.Config) *meansTest {
	x := nodetest.Start(t, configs...)
	m := &meansTest{Exchange: x, hall: x.Join(t, sample.ServiceHall, "hall"), tax: x.Join(t, sample.HumanResources, "payroll"), civil: x.Join(t, sample.CivilAffairs, "registry")}
	m.topic(t, "income", sample.HumanResources, false)
	m.topic(t, "wages", sample.HumanResources, true)
	m.topic(t, "benefits", sample.CivilAffairs, true)
	x.OpenCase(t, m.hall, acting.Case, acting.Purpose, person(earner), person(nobody))
	return m
}

// topic lists a topic of incomes, and grants it to the hall.
func (m *meansTest) topic(t *testing.T, name string, provider sample.Department, live bool, changes ...func(*cataloguev1.Topic)) *accessv1.Grant {
	t.Helper()
	topic := unconditional(name, "Income", provider)
	topic.SharingClass, topic.Conditions = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, "社会救助家庭经济状况核对"
	topic.AnsweredLive = live
	for _, change := range changes {
		change(topic)
	}
	ok(t, m.CreateTopic(t.Context(), topic))
	g, err := m.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: name, Consumer: sample.ServiceHall.Code, Basis: "社会救助暂行办法第五十八条", Scenario: "补贴审核",
		Fields: []string{"record_number", "net_fen"}, ServiceItems: []string{acting.Purpose},
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	})
	ok(t, err)
	return g
}

// supply answers a topic with one record of whom it is asked about, except that
// nobody is not known.
func supply(t *testing.T, c *sdk.Client, topic string, asked *atomic.Int64) *sdk.Subscription {
	t.Helper()
	s, err := c.Supply(t.Context(), topic, func(_ context.Context, a *sdk.Asked) (*sdk.Supplied, error) {
		if asked != nil {
			asked.Add(1)
		}
		if a.Subject.Number == nobody {
			return sdk.NotFound(), nil
		}
		r := income(a.Subject.Number, 1)
		r.RecordNumber = topic + "-" + a.ID
		return sdk.Found(r), nil
	})
	ok(t, err)
	t.Cleanup(func() { s.Stop(); <-s.Closed() })
	return s
}

func source(topic, number string) sdk.Source {
	return sdk.Source{Topic: topic, Subject: person(number)}
}

func (m *meansTest) ask(t *testing.T, sources ...sdk.Source) *sdk.FanOut {
	t.Helper()
	f, err := m.hall.AskAll(t.Context(), sdk.FanOutQuestion{Acting: acting, Sources: sources})
	ok(t, err)
	return f
}

// wantStates checks how the sources of a fan-out stand, in its results and in its
// report.
func wantStates(t *testing.T, f *sdk.FanOut, want ...sdk.SourceState) {
	t.Helper()
	var results, report []sdk.SourceState
	for i := range f.Results {
		results, report = append(results, f.Results[i].State), append(report, f.Report.Results[i].State)
	}
	if !slices.Equal(results, want) || !slices.Equal(report, want) {
		t.Fatalf("%v, and reported %v; not %v (%v)", results, report, want, f.Report)
	}
}

func incomeOf(t *testing.T, r *sdk.SourceResult) *recordsv1.Income {
	t.Helper()
	if r.Answer == nil || len(r.Answer.Records) != 1 {
		t.Fatalf("%v has no answer of one record", r)
	}
	m := &recordsv1.Income{}
	ok(t, proto.Unmarshal(r.Answer.Records[0].Payload, m))
	return m
}

// reports receives the versions of reports that a system is told of.
func reports(t *testing.T, c *sdk.Client) <-chan *recordsv1.FanOutReport {
	t.Helper()
	_, err := c.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "reports", Topic: sdk.FanOutReportTopic, Start: sdk.FromAll()})
	ok(t, err)
	all := make(chan *recordsv1.FanOutReport, 100)
	s, err := c.Subscribe(t.Context(), "reports", sdk.Handle(func(_ context.Context, _ *sdk.Delivery, r *recordsv1.FanOutReport) error {
		if r != nil {
			all <- r
		}
		return nil
	}))
	ok(t, err)
	t.Cleanup(func() { s.Stop(); <-s.Closed() })
	return all
}

func TestAFanOutAsksSuppliersAndTheExchange(t *testing.T) {
	m := newMeansTest(t)
	publishOne(t, m.tax, "income", income(earner, 7))
	supply(t, m.tax, "wages", nil)
	supply(t, m.civil, "benefits", nil)

	var told []string
	f, err := m.hall.AskAll(t.Context(), sdk.FanOutQuestion{
		Acting:  acting,
		Sources: []sdk.Source{source("income", earner), source("wages", earner), source("benefits", earner), source("benefits", nobody), source("income", nobody)},
		Progress: func(r *sdk.SourceResult) {
			told = append(told, fmt.Sprint(r.Place, " ", r.State))
		},
	})
	ok(t, err)
	wantStates(t, f, sdk.SourceFound, sdk.SourceFound, sdk.SourceFound, sdk.SourceNotFound, sdk.SourceNotFound)
	for i, topic := range []string{"income", "wages", "benefits"} {
		got := incomeOf(t, &f.Results[i])
		// Fields that the grant does not name do not come from a supplier either.
		if got.IdNumber != "" || got.NetFen != income(earner, 1).NetFen || !f.Results[i].Answer.Release.Proven() {
			t.Errorf("%s: %v", topic, got)
		}
	}
	if !slices.Contains(told, "1 "+sdk.SourceWaiting.String()) || !slices.Contains(told, "1 "+sdk.SourceFound.String()) {
		t.Errorf("told %q", told)
	}
	if report := <-reports(t, m.hall); !proto.Equal(report, f.Report) {
		t.Errorf("the record %v is not the report %v", report, f.Report)
	}
	// What a supplier gave is not queried by others.
	_, err = m.hall.Query(t.Context(), sdk.Query{Topic: "wages", Acting: acting, By: sdk.BySubject(person(earner))})
	wantRule(t, err, fault.Denied, "topic.answered_live")
	fsck(t, m.Exchange)
}

// TestAFanOutGoesOn: under the same key nobody is asked twice, and what was found
// comes again.
func TestAFanOutGoesOn(t *testing.T) {
	m := newMeansTest(t)
	var asked atomic.Int64
	supply(t, m.tax, "wages", &asked)
	q := sdk.FanOutQuestion{Key: sdk.NewIdempotencyKey(), Acting: acting, Sources: []sdk.Source{source("wages", earner), {Topic: "benefits", Subject: person(earner), Wait: time.Millisecond}}}
	first, err := m.hall.AskAll(t.Context(), q)
	ok(t, err)
	wantStates(t, first, sdk.SourceFound, sdk.SourceTimedOut)
	again, err := m.hall.AskAll(t.Context(), q)
	ok(t, err)
	wantStates(t, again, sdk.SourceFound, sdk.SourceTimedOut)
	if again.ID != first.ID || again.ReportEntry != first.ReportEntry || asked.Load() != 1 {
		t.Errorf("%s and %s, entries %d and %d, asked %d times", first.ID, again.ID, first.ReportEntry, again.ReportEntry, asked.Load())
	}
	incomeOf(t, &again.Results[0])
	q.Sources = q.Sources[:1]
	_, err = m.hall.AskAll(t.Context(), q)
	wantRule(t, err, fault.Conflict, "fan_out.other")
}
