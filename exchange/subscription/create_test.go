package subscription_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

func TestWhatMakesNoSubscription(t *testing.T) {
	w := newWorld(t)
	w.create("taken")
	size := w.Journal.Head().Size
	for name, c := range map[string]struct {
		change func(*exchangev1.Subscription)
		rule   string
	}{
		"name":     {func(s *exchangev1.Subscription) { s.Name = "A b" }, "subscription.name"},
		"no name":  {func(s *exchangev1.Subscription) { s.Name = "" }, "subscription.name"},
		"no topic": {func(s *exchangev1.Subscription) { s.Topic = "" }, "topic.required"},
		"lanes":    {func(s *exchangev1.Subscription) { s.Lanes = 65 }, "subscription.lanes"},
		"attempts": {func(s *exchangev1.Subscription) { s.MaxAttempts = 101 }, "subscription.max_attempts"},
		"ack wait": {func(s *exchangev1.Subscription) { s.AckWait = durationpb.New(time.Millisecond) }, "subscription.ack_wait"},
		"broken":   {func(s *exchangev1.Subscription) { s.AckWait = &durationpb.Duration{Seconds: 1, Nanos: -1} }, "subscription.ack_wait"},
		"backoff":  {func(s *exchangev1.Subscription) { s.Backoff = durationpb.New(-1) }, "subscription.backoff"},
		"max backoff": {func(s *exchangev1.Subscription) {
			s.MaxBackoff = durationpb.New(time.Millisecond)
			s.Backoff = durationpb.New(time.Second)
		}, "subscription.max_backoff"},
		"index": {func(s *exchangev1.Subscription) { s.Start = fromIndex(1 << 40) }, "start.index"},
		"time": {func(s *exchangev1.Subscription) {
			s.Start = &exchangev1.Start{From: &exchangev1.Start_Time{Time: timestamppb.New(time.Now().Add(time.Hour))}}
		}, "start.time"},
		"false":  {func(s *exchangev1.Subscription) { s.Start = &exchangev1.Start{From: &exchangev1.Start_All{}} }, "start.all"},
		"exists": {func(s *exchangev1.Subscription) { s.Name = "taken" }, "subscription.exists"},
	} {
		s := &exchangev1.Subscription{Name: "n", Topic: topic}
		c.change(s)
		if _, _, err := w.manager.Create(t.Context(), w.civil.Caller, s, false); fault.RuleOf(err) != c.rule {
			t.Errorf("%s: %v", name, err)
		}
	}
	if now := w.Journal.Head().Size; now != size {
		t.Errorf("%d entries for malformed input", now-size)
	}
	made, commit, err := w.manager.Create(t.Context(), w.civil.Caller, &exchangev1.Subscription{Name: "n", Topic: topic}, true)
	if err != nil || len(commit.Leaves) != 0 || made.Lanes != 4 || made.MaxAttempts != 5 || made.AckWait.AsDuration() != 30*time.Second {
		t.Errorf("validated %v, %v", made, err)
	}
	if _, err := w.manager.Get(t.Context(), w.civil.Caller, "n"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("validation left %v", err)
	}
}

func TestDenialsAreEntries(t *testing.T) {
	w := newWorld(t)
	housing := w.Enrol(catalogtest.Housing, "fund")
	w.create("s")
	id := w.civil.Caller.System + "/s"
	for name, c := range map[string]struct {
		try  func() error
		rule string // in the entry
		told string
	}{
		"no grant": {func() error {
			_, _, err := w.manager.Create(t.Context(), housing.Caller, &exchangev1.Subscription{Name: "n", Topic: topic}, false)
			return err
		}, "grant.required", "grant.required"},
		"another's": {func() error { _, err := w.manager.Get(t.Context(), housing.Caller, id); return err }, "subscription.owner", "subscription.unknown"},
		"list of another": {func() error {
			_, err := w.manager.List(t.Context(), housing.Caller, "*", "", catalog.Page{})
			return err
		}, "role.operator", "role.operator"},
	} {
		size := w.Journal.Head().Size
		if err := c.try(); fault.RuleOf(err) != c.told {
			t.Errorf("%s: %v", name, err)
		}
		entries, _ := w.ledger()
		if len(entries) != int(size)+1 || entries[size].GetRefused().GetRule() != c.rule || entries[size].Actor != housing.Caller.System {
			t.Errorf("%s: %v", name, entries[size:])
		}
	}
	for name, try := range map[string]func() error{
		"pause":  func() error { _, _, err := w.manager.Pause(t.Context(), housing.Caller, id, "", false); return err },
		"resume": func() error { _, _, err := w.manager.Resume(t.Context(), w.Operator, id, false); return err },
		"reset": func() error {
			_, _, err := w.manager.Reset(t.Context(), housing.Caller, id, fromAll, false)
			return err
		},
		"delete": func() error { _, err := w.manager.Delete(t.Context(), housing.Caller, id, false); return err },
		"replay": func() error { _, _, err := w.manager.Replay(t.Context(), housing.Caller, id, nil, false); return err },
		"letters": func() error {
			_, err := w.manager.DeadLetters(t.Context(), housing.Caller, id, 0, 0)
			return err
		},
		"subscribe": func() error { return w.receive(housing, &exchangev1.SubscribeOpen{Subscription: id}).end() },
	} {
		if err := try(); !errors.Is(err, fault.New(fault.NotFound, "subscription.unknown", "")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOperatorsSeeAndOwnersList(t *testing.T) {
	w := newWorld(t)
	w.create("a")
	w.create("b")
	if s, err := w.manager.Get(t.Context(), w.Operator, w.civil.Caller.System+"/a"); err != nil || s.Name != "a" {
		t.Errorf("operator sees %v, %v", s, err)
	}
	for name, c := range map[string]struct {
		system, topic string
		want          int
	}{"all": {"*", "", 2}, "system": {w.civil.Caller.System, topic, 2}, "topic": {"*", "other", 0}, "own": {"", "", 0}} {
		if list, err := w.manager.List(t.Context(), w.Operator, c.system, c.topic, catalog.Page{}); err != nil || len(list) != c.want {
			t.Errorf("%s: %d, %v", name, len(list), err)
		}
	}
	if list, err := w.manager.List(t.Context(), w.civil.Caller, "", "", catalog.Page{}); err != nil || len(list) != 2 || len(list[1].LaneState) != 4 {
		t.Errorf("own: %v, %v", list, err)
	}
	for after, want := range map[string]string{"": "a", w.civil.Caller.System + "/a": "b"} {
		list, err := w.manager.List(t.Context(), w.civil.Caller, "", "", catalog.Page{After: after, Limit: 1})
		if err != nil || len(list) != 1 || list[0].Name != want {
			t.Errorf("page behind %q: %v, %v", after, list, err)
		}
	}
}

func TestResetAndDelete(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	w.publishMany(0, 10)
	m := w.open("s")
	got := m.receives(10)
	s := &exchangev1.SubscribeSettle{Acks: sequences(got[:9]), Nacks: []*exchangev1.Nack{{Sequence: got[9].Sequence, DeadLetter: true}}}
	m.settle(s)
	if _, _, err := w.manager.Reset(t.Context(), w.civil.Caller, "s", fromAll, false); fault.RuleOf(err) != "subscription.receiving" {
		t.Errorf("reset under a receiver: %v", err)
	}
	m.stop()
	if _, _, err := w.manager.Reset(t.Context(), w.civil.Caller, "s", nil, false); fault.RuleOf(err) != "start.required" {
		t.Errorf("reset to nowhere: %v", err)
	}
	if _, commit, err := w.manager.Reset(t.Context(), w.civil.Caller, "s", fromAll, true); err != nil || len(commit.Leaves) != 0 || w.get("s").Floor == 0 {
		t.Errorf("validated: %v, %v", commit, err)
	}
	now, commit, err := w.manager.Reset(t.Context(), w.civil.Caller, "s", fromAll, false)
	if err != nil || commit == nil || !now.Start.GetAll() || w.get("s").DeadLetters != 0 || w.get("s").Pending != 10 {
		t.Errorf("reset: %v, %v", now, err)
	}
	if n := len(w.drain("s")); n != 10 {
		t.Errorf("%d came again", n)
	}
	m = w.open("s")
	commit, err = w.manager.Delete(t.Context(), w.civil.Caller, "s", false)
	if err != nil || commit == nil {
		t.Fatal(err)
	}
	if err := m.end(); !errors.Is(err, fault.New(fault.NotFound, "subscription.deleted", "")) {
		t.Errorf("ended with %v", err)
	}
	for _, table := range []string{"subscriptions", "lanes", "dead_letters", "acknowledgements", "members"} {
		n := -1
		column := "subscription"
		if table == "subscriptions" {
			column = "id"
		}
		must(t, w.DB.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM "+table+" WHERE "+column+" = $1", m.id).Scan(&n))
		if n != 0 {
			t.Errorf("%d rows left in %s", n, table)
		}
	}
	w.create("s")
}

func TestAcknowledgementsAreCovered(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	w.publishMany(0, 30)
	m := w.open("s")
	got := m.receives(30)
	for i := range 3 {
		m.ack(sequences(got[10*i : 10*i+10])...)
	}
	m.within("covered", func() bool {
		n := 0
		must(t, w.DB.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM acknowledgements").Scan(&n))
		return n == 0
	})
	entries, openings := w.ledger()
	acks, records, last := 0, uint64(0), int64(0)
	for i, e := range entries {
		r := e.GetReceived()
		if r == nil {
			continue
		}
		if last != 0 && e.AtUs-last < time.Second.Microseconds() {
			t.Errorf("two entries within %v", time.Duration(e.AtUs-last)*time.Microsecond)
		}
		last = e.AtUs
		acks, records = acks+int(r.Acknowledgements), records+r.Records
		w.checkReceived(r, openings[i], m)
	}
	if acks != 3 || records != 30 {
		t.Errorf("%d acknowledgements of %d records are covered", acks, records)
	}
}
