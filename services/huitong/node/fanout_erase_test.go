package node_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestAFanOutIsErased by who asked, once the case is closed: its report, requests
// and answers are gone with what the rows say of persons, and who received them is
// told.
func TestAFanOutIsErased(t *testing.T) {
	m := newMeansTest(t)
	supply(t, m.tax, "wages", nil)
	q := sdk.FanOutQuestion{Key: sdk.NewIdempotencyKey(), Acting: acting, Sources: []sdk.Source{
		source("income", earner), source("wages", earner), {Topic: "benefits", Subject: person(earner), Wait: time.Millisecond},
	}}
	f, err := m.hall.AskAll(t.Context(), q)
	ok(t, err)
	wantStates(t, f, sdk.SourceNotFound, sdk.SourceFound, sdk.SourceTimedOut)
	kept := m.ask(t, source("wages", nobody))
	reported, requested := erasures(t, m.hall, notice.FanOutReports), erasures(t, m.civil, notice.FanOutRequests)

	before := m.Node.Journal.Head().Size
	wantRule(t, m.hall.EraseFanOut(t.Context(), f.ID, ""), fault.Invalid, "reason.required")
	wantRule(t, m.hall.EraseFanOut(t.Context(), f.ID, "保管期满"), fault.Conflict, "fan_out.case_open")
	wantRule(t, m.tax.EraseFanOut(t.Context(), f.ID, "保管期满"), fault.NotFound, "fan_out.unknown")
	wantRule(t, m.hall.EraseFanOut(t.Context(), "none", "保管期满"), fault.NotFound, "fan_out.unknown")
	refused := []string{"manage fan_out.case_open", "manage fan_out.unknown", "manage fan_out.unknown", "manage reason.required"}
	if got := refusalsFrom(t, m.Exchange, before); !slices.Equal(got, refused) {
		t.Errorf("entered is %v", got)
	}
	_, err = m.hall.CloseCase(t.Context(), acting.Case, acting.Person, "办结")
	ok(t, err)
	before = m.Node.Journal.Head().Size
	ok(t, m.hall.EraseFanOut(t.Context(), f.ID, "保管期满"))
	hall := sample.ServiceHall.Code + "/hall "
	want := []string{hall + notice.FanOutReports, hall + notice.FanOutRequests, hall + notice.FanOutAnswers, hall + notice.FanOutRequests}
	for range 2 {
		if by := erasedFrom(t, m.Exchange, before); !slices.Equal(by, want) {
			t.Errorf("erased are %q", by)
		}
		ok(t, m.hall.EraseFanOut(t.Context(), f.ID, "保管期满"))
	}
	m.nothingLeftOf(t, f.ID)
	<-reported
	<-requested
	<-requested

	_, err = m.hall.GetFanOut(t.Context(), f.ID, acting.Person)
	wantRule(t, err, fault.NotFound, "fan_out.erased")
	_, err = m.hall.AskAll(t.Context(), q)
	wantRule(t, err, fault.NotFound, "fan_out.erased")
	wantRule(t, answer(t, m.civil, &exchangev1.AnswerRequestRequest{RequestId: f.ID + "-2", Outcome: saysNotFound}), fault.NotFound, "answer.request")
	_, err = m.hall.GetFanOut(t.Context(), kept.ID, acting.Person)
	ok(t, err)
	fsck(t, m.Exchange)
}

// erasedFrom gives what was erased from an entry on: who asked for it, and the topic.
func erasedFrom(t *testing.T, x *nodetest.Exchange, from uint64) (all []string) {
	t.Helper()
	for _, e := range entriesFrom(t, x, from) {
		if gone := e.GetErased(); gone != nil {
			all = append(all, e.Actor+" "+gone.Topic)
		}
	}
	return all
}

// erasures tells of each record that a system has to forget on a topic.
func erasures(t *testing.T, c *sdk.Client, topic string) <-chan struct{} {
	t.Helper()
	_, err := c.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "erasures", Topic: topic, Start: sdk.FromAll()})
	ok(t, err)
	all := make(chan struct{}, 100)
	s, err := c.Subscribe(t.Context(), "erasures", func(_ context.Context, d *sdk.Delivery) error {
		if d.Operation == sdk.Erase {
			all <- struct{}{}
		}
		return nil
	})
	ok(t, err)
	t.Cleanup(func() { s.Stop(); <-s.Closed() })
	return all
}

// nothingLeftOf fails if the rows of a fan-out, or the journal, tell of it.
func (m *meansTest) nothingLeftOf(t *testing.T, id string) {
	t.Helper()
	var personal, sources, held int
	row := func(into *int, query string, args ...any) {
		t.Helper()
		ok(t, m.Node.DB.Reader().QueryRowContext(t.Context(), query, args...).Scan(into))
	}
	row(&personal, "SELECT count(*) FROM fan_outs WHERE id = $1 AND (length(request) > 0 OR length(state) > 0 OR case_token IS NOT NULL)", id)
	row(&sources, "SELECT count(*) FROM fan_out_sources WHERE fan_out = $1", id)
	for topic, kept := range map[string]int{notice.FanOutReports: 1, notice.FanOutRequests: 1, notice.FanOutAnswers: 1} {
		row(&held, "SELECT count(*) FROM sealed WHERE topic = $1 AND body IS NOT NULL", journal.Number(topic))
		if held != kept {
			t.Errorf("%s holds %d records", topic, held)
		}
	}
	if personal+sources != 0 {
		t.Errorf("%d fan-outs and %d sources tell of it", personal, sources)
	}
}

// TestAFanOutIsErasedUnderWay by the operator: who waits is told, and no report, no
// answer and no request comes after it.
func TestAFanOutIsErasedUnderWay(t *testing.T) {
	m := newMeansTest(t)
	waiting := make(chan string, 1)
	asked := make(chan error, 1)
	key := sdk.NewIdempotencyKey()
	go func() {
		_, err := m.hall.AskAll(t.Context(), sdk.FanOutQuestion{
			Key: key, Acting: acting, Sources: []sdk.Source{{Topic: "wages", Subject: person(earner), Wait: time.Minute}},
			Progress: func(r *sdk.SourceResult) {
				if r.State == sdk.SourceWaiting {
					waiting <- r.Source.Topic
				}
			},
		})
		asked <- err
	}()
	<-waiting
	var id string
	ok(t, m.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT id FROM fan_outs").Scan(&id))
	ok(t, m.Client.EraseFanOut(t.Context(), id, "误操作"))
	wantRule(t, <-asked, fault.NotFound, "fan_out.erased")
	wantRule(t, answer(t, m.tax, &exchangev1.AnswerRequestRequest{RequestId: id + "-0", Outcome: saysNotFound}), fault.NotFound, "answer.request")
	for _, topic := range []string{notice.FanOutReports, notice.FanOutRequests, notice.FanOutAnswers} {
		var held int
		ok(t, m.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM sealed WHERE topic = $1 AND body IS NOT NULL", journal.Number(topic)).Scan(&held))
		if held != 0 {
			t.Errorf("%s holds %d records", topic, held)
		}
	}
	fsck(t, m.Exchange)
}

// TestAnsweredWhileErased: whatever of an answer and an erasure comes first, nothing
// is left.
func TestAnsweredWhileErased(t *testing.T) {
	m := newMeansTest(t)
	for range 20 {
		id := m.requestOf(t, "wages", earner)
		answered := make(chan error, 1)
		go func() {
			answered <- answer(t, m.tax, &exchangev1.AnswerRequestRequest{RequestId: id, Outcome: recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_NOT_FOUND})
		}()
		ok(t, m.Client.EraseFanOut(t.Context(), id[:len(id)-2], "误操作"))
		if err := <-answered; err != nil && fault.RuleOf(err) != "answer.request" && fault.RuleOf(err) != "fan_out.erased" {
			t.Error(err)
		}
	}
	var held int
	ok(t, m.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM sealed WHERE topic = $1 AND body IS NOT NULL", journal.Number(notice.FanOutAnswers)).Scan(&held))
	if held != 0 {
		t.Errorf("%d answers are left", held)
	}
	fsck(t, m.Exchange)
}
