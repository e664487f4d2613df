package node_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/calendar"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// noticeOf makes a year's notice: the national day is off from 1 to 7 October,
// and the Saturday after it is worked.
func noticeOf(year int) *accessv1.CalendarYear {
	worked := time.Date(year, 10, 8, 0, 0, 0, 0, time.UTC)
	for worked.Weekday() != time.Saturday {
		worked = worked.AddDate(0, 0, 1)
	}
	return &accessv1.CalendarYear{
		Year: uint32(year), Number: "演练〔1〕号", Title: fmt.Sprintf("关于%d年部分节假日安排的演练通知", year), Issued: fmt.Sprintf("%d-11-01", year-1),
		Holidays:    []*accessv1.Holiday{{Name: "国庆节", From: fmt.Sprintf("%d-10-01", year), Until: fmt.Sprintf("%d-10-07", year)}},
		WorkingDays: []string{worked.Format(time.DateOnly)},
	}
}

// movable is a clock that a test moves; it goes on from where it was put.
type movable struct{ ahead atomic.Int64 }

func (m *movable) Now() time.Time { return time.Now().Add(time.Duration(m.ahead.Load())) }

func (m *movable) put(at time.Time) { m.ahead.Store(int64(time.Until(at))) }

// beforeNationalDay is the morning of the next 28 September in Asia/Shanghai.
func beforeNationalDay() time.Time {
	shanghai := time.FixedZone("Asia/Shanghai", 8*60*60)
	at := time.Date(time.Now().Year(), 9, 28, 9, 0, 0, 0, shanghai)
	if at.Before(time.Now().Add(24 * time.Hour)) {
		at = at.AddDate(1, 0, 0)
	}
	return at
}

// clocked is an exchange on an injected clock, before a national day whose notice
// the operator has set.
type clocked struct {
	*nodetest.Exchange
	clock     *movable
	deadlines accessv1.DeadlineServiceClient
	heard     *heard
}

// heard are the events that a subscription delivered.
type heard struct {
	mu     sync.Mutex
	events []*recordsv1.Deadline
}

func (h *heard) take(_ context.Context, _ *sdk.Delivery, m *recordsv1.Deadline) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, m)
	return nil
}

func (h *heard) of(event recordsv1.DeadlineEvent, object string) (found []*recordsv1.Deadline) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if e.Event == event && e.Object == object {
			found = append(found, e)
		}
	}
	return found
}

// newClocked starts one. The database is embedded: a server's own clock would
// refuse an exchange that is months ahead of it.
func newClocked(t *testing.T) *clocked {
	clock := &movable{}
	start := beforeNationalDay()
	clock.put(start)
	x := nodetest.Start(t, node.Config{Clock: clock.Now, Database: "sqlite:" + t.TempDir()})
	c := &clocked{Exchange: x, clock: clock, deadlines: accessv1.NewDeadlineServiceClient(x.Client.Conn()), heard: &heard{}}
	if _, err := c.deadlines.SetCalendarYear(t.Context(), &accessv1.SetCalendarYearRequest{Year: noticeOf(start.Year())}); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Client.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "deadlines", Topic: notice.Deadlines, Start: sdk.FromAll()}); err != nil {
		t.Fatal(err)
	}
	s, err := x.Client.Subscribe(t.Context(), "deadlines", sdk.Handle(c.heard.take))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return c
}

// step runs a step of a clock in the transaction of an entry.
func (c *clocked) step(t *testing.T, do func(ctx context.Context, tx store.Tx, at int64) error) {
	t.Helper()
	_, err := c.Node.Journal.Submit(t.Context(), &journal.Call{Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		entry := &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Changed{Changed: &ledgerv1.ObjectChanged{Object: "source", Id: "x", Change: "step"}}}
		return []journal.Entry{{Leaf: entry}}, do(ctx, tx, slot.At)
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func (c *clocked) start(t *testing.T, kind deadline.Kind, object string) {
	t.Helper()
	c.step(t, func(ctx context.Context, tx store.Tx, at int64) error {
		return deadline.Start(ctx, tx, at, deadline.Clock{
			Kind: kind, Object: object, Owner: sample.CivilAffairs.Code, Parties: []string{sample.ServiceHall.Code}, Topic: "marriage",
		})
	})
}

func (c *clocked) list(t *testing.T, r *accessv1.ListDeadlinesRequest) []*accessv1.Deadline {
	t.Helper()
	list, err := c.deadlines.ListDeadlines(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return list.Deadlines
}

func (c *clocked) one(t *testing.T, object string) *accessv1.Deadline {
	t.Helper()
	found := c.list(t, &accessv1.ListDeadlinesRequest{Object: object})
	if len(found) != 1 {
		t.Fatalf("%v", found)
	}
	return found[0]
}

// TestDeadlinesOverTheNationalDay runs an exchange past deadlines: the event
// comes by subscription once the due day ended, the list says by how many
// working days it is late, and what is answered late is told of too.
func TestDeadlinesOverTheNationalDay(t *testing.T) {
	c := newClocked(t)
	days, err := calendar.New(noticeOf(c.clock.Now().Year()))
	if err != nil {
		t.Fatal(err)
	}
	first := calendar.DayOf(c.clock.Now())
	c.start(t, deadline.GrantAnswerConditional, "g1")
	c.start(t, deadline.GrantAnswerConditional, "g2")
	c.start(t, deadline.CatalogueReview, "t1")
	c.step(t, func(ctx context.Context, tx store.Tx, at int64) error {
		return deadline.Extend(ctx, tx, at, deadline.GrantAnswerConditional, "g2")
	})
	passed, extended, metLate := recordsv1.DeadlineEvent_DEADLINE_EVENT_PASSED, recordsv1.DeadlineEvent_DEADLINE_EVENT_EXTENDED, recordsv1.DeadlineEvent_DEADLINE_EVENT_MET_LATE
	catalogtest.Within(t, nodetest.Patience, "the extension is told of", func() bool { return len(c.heard.of(extended, "g2")) == 1 })

	due, _ := days.Add(first, 10)
	if d := c.one(t, "g1"); d.Due != due.String() || d.DaysLeft != 10 || d.Late {
		t.Fatalf("%v", d)
	}
	// In the holiday the review is late and the answer is not.
	c.clock.put(time.Date(first.Year(), 10, 5, 4, 0, 0, 0, time.UTC))
	catalogtest.Within(t, nodetest.Patience, "the review passed", func() bool { return len(c.heard.of(passed, "t1")) == 1 })
	if d := c.one(t, "g1"); d.Late || len(c.heard.of(passed, "g1")) != 0 {
		t.Fatalf("%v", d)
	}
	// The due day, up to its last minute.
	c.clock.put(due.End().Add(-10 * time.Second))
	if d := c.one(t, "g1"); d.Late || d.DaysLeft != 0 {
		t.Fatalf("%v", d)
	}
	third, _ := days.Add(due, 3)
	c.clock.put(third.End().Add(-8 * time.Hour))
	catalogtest.Within(t, nodetest.Patience, "the answer is late", func() bool { return len(c.heard.of(passed, "g1")) == 1 })
	d := c.one(t, "g1")
	if !d.Late || d.DaysLate != 3 || d.DaysLeft != 0 || d.StoppedAt != nil {
		t.Fatalf("%v", d)
	}
	if e := c.heard.of(passed, "g1")[0]; e.DueDate != due.String() || e.Owner != sample.CivilAffairs.Code || !slices.Equal(e.Parties, []string{sample.ServiceHall.Code}) || e.Days != 10 {
		t.Errorf("%v", e)
	}
	catalogtest.Within(t, nodetest.Patience, "the list knows the event", func() bool { return c.one(t, "g1").EventPlusOne > 0 })
	if late := c.list(t, &accessv1.ListDeadlinesRequest{Late: true, Open: true}); len(late) != 2 {
		t.Errorf("%v", late)
	}

	c.step(t, func(ctx context.Context, tx store.Tx, at int64) error {
		late, err := deadline.Stop(ctx, tx, at, deadline.GrantAnswerConditional, "g1")
		if !late {
			t.Error("it is late")
		}
		return err
	})
	catalogtest.Within(t, nodetest.Patience, "the late answer is told of", func() bool { return len(c.heard.of(metLate, "g1")) == 1 })
	if e := c.heard.of(metLate, "g1")[0]; e.DaysLate != 3 || e.MetDate != third.String() {
		t.Errorf("%v", e)
	}
	if n := len(c.heard.of(passed, "g1")) + len(c.heard.of(passed, "g2")); n != 1 {
		t.Errorf("%d events of what passed", n)
	}
	c.sound(t)
}

// sound runs the check over the whole database.
func (c *clocked) sound(t *testing.T) {
	t.Helper()
	fsck(t, c.Exchange)
}

// TestALaterNoticeMovesDeadlines: the operator sets a notice by which a deadline
// that passed has not, and it passes again on its new day.
func TestALaterNoticeMovesDeadlines(t *testing.T) {
	c := newClocked(t)
	first := calendar.DayOf(c.clock.Now())
	c.start(t, deadline.CatalogueReview, "t1")
	passed := recordsv1.DeadlineEvent_DEADLINE_EVENT_PASSED
	before := c.one(t, "t1").Due
	y := noticeOf(first.Year())
	y.Holidays[0].From = fmt.Sprintf("%d-09-29", first.Year())
	c.clock.put(time.Date(first.Year(), 10, 2, 4, 0, 0, 0, time.UTC))
	catalogtest.Within(t, nodetest.Patience, "it passed", func() bool { return len(c.heard.of(passed, "t1")) == 1 })
	if _, err := c.deadlines.SetCalendarYear(t.Context(), &accessv1.SetCalendarYearRequest{Year: y}); err != nil {
		t.Fatal(err)
	}
	d := c.one(t, "t1")
	if d.Due <= before || d.Late {
		t.Fatalf("%v, before it was %s", d, before)
	}
	c.clock.put(time.Date(first.Year(), 10, 14, 4, 0, 0, 0, time.UTC))
	catalogtest.Within(t, nodetest.Patience, "it passed by the new notice", func() bool { return len(c.heard.of(passed, "t1")) == 2 })
	if events := c.heard.of(passed, "t1"); events[0].DueDate != before || events[1].DueDate != d.Due {
		t.Errorf("%v", events)
	}
}

// TestNobodyElseOnTheBoard: the exchange's own topics are made by the exchange,
// and nobody publishes there, takes their names or ends them.
func TestNobodyElseOnTheBoard(t *testing.T) {
	x := nodetest.Start(t)
	catalogue := cataloguev1.NewCatalogueServiceClient(x.Client.Conn())
	for _, name := range []string{notice.Deadlines, notice.Notices} {
		topic, err := catalogue.GetTopic(t.Context(), &cataloguev1.GetTopicRequest{Name: name})
		if err != nil || topic.Topic.Provider != nodetest.Operator {
			t.Fatalf("%s: %v %v", name, topic, err)
		}
		_, err = catalogue.WithdrawTopic(t.Context(), &cataloguev1.WithdrawTopicRequest{Name: name, Reason: "r"})
		if fault.RuleOf(fault.FromStatus(err)) != "topic.reserved" {
			t.Errorf("withdrawing %s: %v", name, err)
		}
	}
	_, err := catalogue.CreateTopic(t.Context(), &cataloguev1.CreateTopicRequest{Topic: unconditional("huitong-mine", "Marriage", sample.DataAuthority)})
	if fault.RuleOf(fault.FromStatus(err)) != "topic.reserved" {
		t.Errorf("creating one: %v", err)
	}
	_, err = x.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: notice.Notices, Consumer: sample.DataAuthority.Code, Basis: "办法第五条", Fields: []string{"happened"},
		StandingPurpose: "P", StandingLegalBasis: "办法第五条", DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
	})
	if fault.RuleOf(fault.FromStatus(err)) != "topic.reserved" {
		t.Errorf("granting: %v", err)
	}
	// Not even a department system of the provider's participant publishes there.
	own := x.Join(t, sample.DataAuthority, "office")
	publisher := own.Publisher(sdk.PublisherConfig{})
	defer func() {
		if err := publisher.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	_, err = publisher.Publish(t.Context(), notice.Notices, &recordsv1.Notice{
		NoticeId: "1", Recipient: sample.Housing.Code, Cause: "corrected", Topic: "marriage", Happened: "x",
	})
	if fault.RuleOf(err) != "topic.reserved" {
		t.Errorf("publishing: %v", err)
	}
	_, err = own.Query(t.Context(), sdk.Query{Topic: notice.Notices, By: sdk.ByKey("1"), Acting: acting})
	if fault.RuleOf(err) != "topic.delivery_mode" {
		t.Errorf("querying: %v", err)
	}
}

// TestTheBoardIsFoundedOnce: opening an exchange again leaves no entry.
func TestTheBoardIsFoundedOnce(t *testing.T) {
	x := nodetest.Start(t)
	before := x.Node.Journal.Head().Size
	if _, err := notice.Open(t.Context(), x.Node.Catalogue, nil); err != nil {
		t.Fatal(err)
	}
	var key [16]byte
	m := &recordsv1.Notice{NoticeId: "1", Recipient: sample.Housing.Code, Cause: "corrected", Topic: "marriage", Happened: "更正"}
	for range 2 {
		if err := x.Node.Board.Publish(t.Context(), notice.Notices, key, proto.CloneOf(m)); err != nil {
			t.Fatal(err)
		}
	}
	if n := x.Node.Journal.Head().Size - before; n != 1 {
		t.Errorf("%d entries", n)
	}
	if err := x.Node.Board.Publish(t.Context(), "marriage", key, m); err == nil {
		t.Error("the exchange published on a topic of others")
	}
}
