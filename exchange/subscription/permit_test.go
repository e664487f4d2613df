package subscription_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// ledger reads all entries with their openings.
func (w *world) ledger() (entries []*ledgerv1.LedgerEntry, openings []*ledgerv1.ReadOpening) {
	w.T.Helper()
	rows, err := w.DB.Reader().QueryContext(context.Background(),
		"SELECT l.leaf, s.body, coalesce(s.pos, 0) FROM ledger l LEFT JOIN sealed s ON s.idx = l.idx ORDER BY l.idx")
	must(w.T, err)
	defer rows.Close()
	for rows.Next() {
		var leaf, body []byte
		var pos int64
		must(w.T, rows.Scan(&leaf, &body, &pos))
		e := &ledgerv1.LedgerEntry{}
		must(w.T, proto.Unmarshal(leaf, e))
		var o *ledgerv1.ReadOpening
		if pos == 0 && body != nil {
			o, err = journal.OpenEntry(w.Identity.Keyring, w.Journal.Head().Origin, body)
			must(w.T, err)
		}
		entries, openings = append(entries, e), append(openings, o)
	}
	must(w.T, rows.Err())
	return entries, openings
}

func TestALapsedGrantHaltsAndGoesOnByItself(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	m := w.open("s")
	w.publishMany(0, 5)
	m.receives(5)
	suspended, commit, err := w.policy.Suspend(t.Context(), w.ByOperator(), w.grant, "复核")
	must(t, err)
	m.within("told", func() bool { return len(m.lapsed) == 1 })
	if l := m.lapsed[0]; !l.Waiting || l.Problem.Rule != "grant.suspended" || l.Problem.Kind != "LAPSED" {
		t.Errorf("told %v", l)
	}
	m.within("the state shows", func() bool {
		s := w.get("s")
		return s.State == exchangev1.SubscriptionState_SUBSCRIPTION_STATE_LAPSED && s.Reason == "grant.suspended"
	})
	// What was under way may be settled; nothing new comes.
	m.ack(sequences(m.all())...)
	w.publishMany(5, 10)
	m.within("looked at", func() bool { return w.bus.Relayed(w.topic().Partition) >= w.Journal.Head().Size })
	_, _, err = w.policy.Resume(t.Context(), w.ByOperator(), suspended.Id)
	must(t, err)
	m.receives(10)
	if s := w.get("s"); s.State != exchangev1.SubscriptionState_SUBSCRIPTION_STATE_ACTIVE {
		t.Errorf("state %v", s)
	}
	refused, resumed := 0, uint64(0)
	entries, _ := w.ledger()
	for _, e := range entries {
		if r := e.GetRefused(); r != nil {
			refused++
			if r.Action != "deliver" || r.Rule != "grant.suspended" || r.Subscription != m.id {
				t.Errorf("refused %v", r)
			}
		}
		if o := e.GetChanged(); o.GetObject() == "grant" && o.GetChange() == "resume" {
			resumed = e.Index
		}
		if r := e.GetReleased(); r != nil && e.Index > commit.Index && (resumed == 0 || e.Index < resumed) {
			t.Errorf("entry %d releases under a suspended grant", e.Index)
		}
	}
	if refused != 1 {
		t.Errorf("%d refusals", refused)
	}
}

// However the moments fall, nothing is released between a suspension's entry and
// the one that ends it.
func TestSuspensionIsExact(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	m := w.open("s")
	for i := range 15 {
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			for j := range 10 {
				w.publish(person(100*i+j, "甲"))
			}
		}()
		_, _, err := w.policy.Suspend(t.Context(), w.ByOperator(), w.grant, "复核")
		must(t, err)
		_, _, err = w.policy.Resume(t.Context(), w.ByOperator(), w.grant)
		must(t, err)
		<-stop
		m.receives(10 * (i + 1))
		m.ack(sequences(m.all()[10*i:])...)
	}
	suspended := false
	entries, _ := w.ledger()
	for _, e := range entries {
		if o := e.GetChanged(); o.GetObject() == "grant" {
			suspended = o.Change == "suspend"
		}
		if r := e.GetReleased(); r != nil && (suspended || r.Grant != w.grant || r.GrantVersion == 0) {
			t.Errorf("entry %d: %v while suspended %v", e.Index, r, suspended)
		}
	}
}

func TestNothingLeavesThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	m := w.open("s", func(o *exchangev1.SubscribeOpen) { o.MaxInFlight = 1 })
	w.publishMany(0, 4)
	first := m.receives(1)[0]
	w.DB.Journal.Fail(store.Faults{BeforeCommit: func() error { return errors.New("no room") }})
	// The acknowledgement makes room for the next, and neither can be written.
	token := m.send(m.signed(first.Sequence))
	if err := m.end(); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("ended with %v", err)
	}
	w.DB.Journal.Fail(store.Faults{})
	if m.settled[token] != nil || len(m.all()) != 1 {
		t.Errorf("settled %v, %d came", m.settled[token], len(m.all()))
	}
	// What was not confirmed may count all the same, once the lanes are given back.
	rest := w.open("s").receives(3)
	for _, d := range rest {
		if d.Sequence != first.Sequence && d.Attempt != 1 {
			t.Errorf("sent before: %v", d)
		}
	}
}

// A COMMIT whose answer was lost took effect: what was settled stays settled, and
// what was released is sent.
func TestALostAnswerChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	m := w.open("s")
	lost := 0
	w.DB.Journal.Fail(store.Faults{AfterCommit: func() error {
		if lost++; lost%2 == 0 {
			return errors.New("connection lost")
		}
		return nil
	}})
	for i := range 5 {
		w.publishMany(i, i+1)
		m.ack(m.receives(i + 1)[i].Sequence)
	}
	w.DB.Journal.Fail(store.Faults{})
	m.within("nothing is left", func() bool { s := w.get("s"); return s.Floor == s.LastSequence })
	if lost < 4 || len(m.all()) != 5 {
		t.Errorf("%d answers, %d came", lost, len(m.all()))
	}
}

func TestPauseAndResume(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	m := w.open("s")
	w.publishMany(0, 3)
	got := m.receives(3)
	s, commit, err := w.manager.Pause(t.Context(), w.civil.Caller, "s", "升级", false)
	must(t, err)
	if commit == nil || s.State != exchangev1.SubscriptionState_SUBSCRIPTION_STATE_PAUSED || s.Reason != "升级" {
		t.Errorf("paused %v", s)
	}
	if _, again, err := w.manager.Pause(t.Context(), w.civil.Caller, "s", "", false); err != nil || again != nil {
		t.Errorf("paused again: %v, %v", again, err)
	}
	m.within("told", func() bool { return len(m.lapsed) == 1 && m.lapsed[0].Problem.Rule == "subscription.paused" })
	w.publishMany(3, 6)
	m.ack(sequences(got)...)
	if n := len(m.all()); n != 3 {
		t.Errorf("%d came while paused", n)
	}
	if _, _, err := w.manager.Resume(t.Context(), w.civil.Caller, "s", false); err != nil {
		t.Fatal(err)
	}
	m.receives(6)
	paused := false
	entries, _ := w.ledger()
	for _, e := range entries {
		if o := e.GetChanged(); o.GetObject() == "subscription" {
			paused = o.Change == "pause"
		}
		if e.GetReleased() != nil && paused {
			t.Errorf("entry %d releases while paused", e.Index)
		}
	}
}

func TestARevokedCertificateEndsTheStream(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	m := w.open("s")
	_, _, err := w.Catalogue.RevokeCertificate(t.Context(), w.ByOperator(), w.civil.Caller.Fingerprint[:], "遗失")
	must(t, err)
	if err := m.end(); !errors.Is(err, fault.New(fault.Unauthenticated, "certificate.revoked", "")) {
		t.Errorf("ended with %v", err)
	}
	w.publishMany(0, 1)
	entries, _ := w.ledger()
	for _, e := range entries {
		if e.GetReleased() != nil {
			t.Errorf("entry %d releases", e.Index)
		}
	}
}
