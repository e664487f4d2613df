package node_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

const (
	passedEvent  = recordsv1.DeadlineEvent_DEADLINE_EVENT_PASSED
	metLateEvent = recordsv1.DeadlineEvent_DEADLINE_EVENT_MET_LATE
)

// escalation is an exchange on an injected clock on which the hall relied on
// certificates; what is told of deadlines is heard by the operator and the hall.
type escalation struct {
	*issuing
	clock          *movable
	operator, mine *heard
	ids            []string
}

func newEscalation(t *testing.T) *escalation {
	clock := &movable{}
	clock.put(beforeNationalDay())
	in := newIssuing(t, node.Config{Clock: clock.Now, Database: "sqlite:" + t.TempDir()})
	e := &escalation{issuing: in, clock: clock, operator: &heard{}, mine: &heard{}}
	for c, h := range map[*sdk.Client]*heard{in.Client: e.operator, in.hall: e.mine} {
		if _, err := c.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "deadlines", Topic: notice.Deadlines, Start: sdk.FromAll()}); err != nil {
			t.Fatal(err)
		}
		s, err := c.Subscribe(t.Context(), "deadlines", sdk.Handle(h.take))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
	}
	in.relyOnCertificates(t)
	in.OpenCase(t, in.hall, acting.Case, acting.Purpose, sdk.Subject{Type: "111", Number: earner})
	for serial := range 3 {
		m := certificateOf(certificateID(serial+1, 1))
		in.issue(t, m)
		in.read(t, acting.Case, m.Identifier)
		e.ids = append(e.ids, m.Identifier)
	}
	return e
}

// revoke revokes a certificate and gives the notice of it: its entry, and where it
// stands on its topic.
func (e *escalation) revoke(t *testing.T, n int) (object string, sequence uint64) {
	t.Helper()
	if _, err := e.publisher.Revoke(t.Context(), certificates, e.ids[n], "登记有误"); err != nil {
		t.Fatal(err)
	}
	awaitNotices(t, e.Exchange, n+1)
	rows, err := journal.TopicAfter(t.Context(), e.Node.DB.Reader(), journal.Number(notice.Notices), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint("notice ", rows[n].Index), rows[n].Sequence
}

// running lists the clocks of notices that run, as somebody sees them.
func (e *escalation) running(t *testing.T, c *sdk.Client) (objects []string) {
	t.Helper()
	for d, err := range c.Deadlines(t.Context(), sdk.DeadlineFilter{Kind: string(deadline.NoticeAcknowledge), Open: true}) {
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, d.Object)
	}
	return objects
}

// receive takes notices until so many were acknowledged.
func (e *escalation) receive(t *testing.T, c *sdk.Client, n int, opts ...sdk.SubscribeOption) {
	t.Helper()
	took := make(chan struct{}, 100)
	s, err := c.SubscribeNotices(t.Context(), func(context.Context, *sdk.Notice) error { took <- struct{}{}; return nil }, opts...)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		select {
		case <-took:
		case <-time.After(nodetest.Patience):
			t.Fatal("no notice came")
		}
	}
	s.Drain()
	<-s.Closed()
}

// pass moves the clock past the due day of a notice.
func (e *escalation) pass(t *testing.T, object string) *accessv1.Deadline {
	t.Helper()
	for d, err := range e.hall.Deadlines(t.Context(), sdk.DeadlineFilter{Object: object}) {
		if err != nil {
			t.Fatal(err)
		}
		due, err := time.ParseInLocation(time.DateOnly, d.Due, time.FixedZone("Asia/Shanghai", 8*60*60))
		if err != nil {
			t.Fatal(err)
		}
		e.clock.put(due.AddDate(0, 0, 1).Add(time.Second))
		return d
	}
	t.Fatalf("the list has no %s", object)
	return nil
}

// TestANoticeIsAcknowledgedOrEscalated: what the receiver acknowledges within the
// setting is told of nowhere; what it does not is told to its participant and the
// operator, once, and stands in the list until it does.
func TestANoticeIsAcknowledgedOrEscalated(t *testing.T) {
	e := newEscalation(t)
	taken, _ := e.revoke(t, 0)
	if list := e.running(t, e.hall); !slices.Equal(list, []string{taken}) {
		t.Errorf("before it is acknowledged: %v", list)
	}
	e.receive(t, e.hall, 1)
	if list := e.running(t, e.Client); len(list) != 0 {
		t.Errorf("after it was acknowledged: %v", list)
	}

	object, _ := e.revoke(t, 1)
	d := e.pass(t, object)
	if d.Kind != string(deadline.NoticeAcknowledge) || d.Owner != sample.ServiceHall.Code || !slices.Equal(d.Parties, []string{sample.DataAuthority.Code}) ||
		d.Topic != certificates || d.Days != 1 {
		t.Errorf("%v", d)
	}
	for _, h := range []*heard{e.operator, e.mine} {
		catalogtest.Within(t, nodetest.Patience, "it is told of", func() bool { return len(h.of(passedEvent, object)) == 1 })
	}
	// Who oversees the exchange reads the notice, and acknowledges nothing for others.
	e.receive(t, e.Client, 2)
	if list := e.running(t, e.hall); !slices.Equal(list, []string{object}) {
		t.Errorf("after others read it: %v", list)
	}
	fsck(t, e.Exchange)

	e.receive(t, e.hall, 1)
	if list := e.running(t, e.Client); len(list) != 0 {
		t.Errorf("after it was acknowledged late: %v", list)
	}
	for _, h := range []*heard{e.operator, e.mine} {
		catalogtest.Within(t, nodetest.Patience, "that it was acknowledged late is told of", func() bool { return len(h.of(metLateEvent, object)) == 1 })
		if len(h.of(passedEvent, object)) != 1 || len(h.of(passedEvent, taken))+len(h.of(metLateEvent, taken)) != 0 {
			t.Errorf("told: %v", h.events)
		}
	}
	fsck(t, e.Exchange)
}

// TestAnEscalationIsToldOnce: also if the exchange died before it wrote down that
// it had told, for the next process to look tells under the same key.
func TestAnEscalationIsToldOnce(t *testing.T) {
	e := newEscalation(t)
	object, _ := e.revoke(t, 0)
	e.pass(t, object)
	marked := func() (n int) {
		if err := e.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM deadlines WHERE object = $1 AND passed > 0", object).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	catalogtest.Within(t, nodetest.Patience, "it is marked", func() bool { return marked() == 1 })
	if err := e.Node.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE deadlines SET passed = 0, passed_day = 0 WHERE object = $1", object)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	next := deadline.NewSweeper(deadline.SweeperConfig{
		DB: e.Node.DB, Journal: e.Node.Journal, Board: e.Node.Board, Settings: e.Node.Catalogue, Clock: e.clock.Now,
	})
	defer next.Close()
	catalogtest.Within(t, nodetest.Patience, "it is marked again", func() bool { return marked() == 1 })
	catalogtest.Within(t, nodetest.Patience, "the operator heard", func() bool { return len(e.operator.of(passedEvent, object)) == 1 })
	told, err := journal.TopicAfter(t.Context(), e.Node.DB.Reader(), journal.Number(notice.Deadlines), 0, 1000)
	if err != nil || len(told) != 1 {
		t.Errorf("%d events were published: %v", len(told), err)
	}
	fsck(t, e.Exchange)
}

// TestANoticeBehindAReceiversOwnPositionIsAcknowledged: a receiver that wrote its
// position down and ended before it acknowledged says so when it comes again.
func TestANoticeBehindAReceiversOwnPositionIsAcknowledged(t *testing.T) {
	e := newEscalation(t)
	_, through := e.revoke(t, 0)
	open, _ := e.revoke(t, 1)
	seen := make(chan uint64, 1)
	s, err := e.hall.Subscribe(t.Context(), sdk.NoticeSubscription, func(ctx context.Context, d *sdk.Delivery) error {
		seen <- d.Sequence
		<-ctx.Done()
		return ctx.Err()
	}, sdk.WithPosition(func(context.Context) (uint64, error) { return through, nil }))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-seen:
	case <-time.After(nodetest.Patience):
		t.Fatal("the second does not come")
	}
	if list := e.running(t, e.hall); !slices.Equal(list, []string{open}) {
		t.Errorf("%v runs, not %s", list, open)
	}
	s.Stop()
	<-s.Closed()
	fsck(t, e.Exchange)
}
