package subscription_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/subscription"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// board is a world with the exchange's own topics, whose systems were enrolled
// before an enrolment made a subscription.
func board(t *testing.T) *world {
	t.Helper()
	w := ungranted(t, "", "")
	_, err := notice.Open(t.Context(), w.Catalogue, w.in)
	must(t, err)
	return w
}

// noticesOf gives a system's subscription to notices; nil if it has none.
func (w *world) noticesOf(s *catalogtest.System) *exchangev1.Subscription {
	w.T.Helper()
	found, err := w.manager.Get(w.T.Context(), s.Caller, subscription.NoticesName)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	must(w.T, err)
	return found
}

// TestSystemsOfAnEarlierReleaseGetTheirNotices: each once, however often it is
// looked for.
func TestSystemsOfAnEarlierReleaseGetTheirNotices(t *testing.T) {
	w := board(t)
	if w.noticesOf(w.civil) != nil {
		t.Fatal("it has one already")
	}
	// One of them had taken the name for something else, and keeps it.
	w.grantUntil("")
	w.create(subscription.NoticesName)
	before := w.Journal.Head().Size
	must(t, w.manager.MakeNotices(t.Context()))
	if s := w.noticesOf(w.security); s == nil || s.Topic != notice.Notices || !s.Start.GetAll() || s.CreatedAt == nil {
		t.Errorf("%v", s)
	}
	if s := w.noticesOf(w.civil); s.Topic != topic {
		t.Errorf("%v", s)
	}
	if n := w.Journal.Head().Size - before; n != 2 {
		t.Errorf("%d entries for the operator and one department", n)
	}
	must(t, w.manager.MakeNotices(t.Context()))
	if n := w.Journal.Head().Size - before; n != 2 {
		t.Errorf("%d entries after it was done again", n)
	}
}

// TestAnEnrolmentMakesItsNotices: in the transaction of the enrolment.
func TestAnEnrolmentMakesItsNotices(t *testing.T) {
	w := board(t)
	w.Catalogue.OnEnrol(w.manager.Enrolled)
	before := w.Journal.Head().Size
	made := w.noticesOf(w.Enrol(catalogtest.Security, "archive"))
	if made == nil || made.Topic != notice.Notices {
		t.Fatalf("%v", made)
	}
	// The system, its certificate, its subscription.
	if n := w.Journal.Head().Size - before; n != 3 {
		t.Errorf("%d entries", n)
	}
	must(t, w.manager.MakeNotices(t.Context()))
	if s := w.noticesOf(w.civil); s == nil {
		t.Error("the one enrolled earlier has none")
	}
}

// TestNoticesStay: to create the subscription again changes nothing, and it is not
// deleted.
func TestNoticesStay(t *testing.T) {
	w := board(t)
	must(t, w.manager.MakeNotices(t.Context()))
	made := w.noticesOf(w.civil)
	ask := &exchangev1.Subscription{Name: subscription.NoticesName, Topic: notice.Notices, Start: made.Start}
	again, commit, err := w.manager.Create(t.Context(), w.civil.Caller, ask, false)
	must(t, err)
	if commit != nil || again.Id != made.Id || !again.CreatedAt.AsTime().Equal(made.CreatedAt.AsTime()) {
		t.Errorf("%v %v", again, commit)
	}
	for _, other := range []func(s *exchangev1.Subscription){
		func(s *exchangev1.Subscription) { s.Start = &exchangev1.Start{From: &exchangev1.Start_New{New: true}} },
		func(s *exchangev1.Subscription) { s.Topic = notice.Deadlines },
		func(s *exchangev1.Subscription) { s.Lanes = 9 },
	} {
		ask := &exchangev1.Subscription{Name: subscription.NoticesName, Topic: notice.Notices, Start: made.Start}
		other(ask)
		if _, _, err := w.manager.Create(t.Context(), w.civil.Caller, ask, false); fault.RuleOf(err) != "subscription.exists" {
			t.Errorf("%v: %v", ask, err)
		}
	}
	if _, err := w.manager.Delete(t.Context(), w.civil.Caller, subscription.NoticesName, false); fault.RuleOf(err) != "subscription.notices" {
		t.Error(err)
	}
}

// TestIdleNoticesCostRowsOnly: nothing runs for subscriptions that nobody receives
// from, however many there are.
func TestIdleNoticesCostRowsOnly(t *testing.T) {
	w := board(t)
	const many = 1000
	must(t, w.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		for i := range many {
			if _, err := tx.ExecContext(ctx, "INSERT INTO systems (id, participant, version, changed, body) VALUES ($1, $2, 1, 0, $3)",
				fmt.Sprintf("%s/s%d", catalogtest.Housing, i), catalogtest.Housing, []byte{}); err != nil {
				return err
			}
		}
		return nil
	}))
	before := runtime.NumGoroutine()
	must(t, w.manager.MakeNotices(t.Context()))
	var made int
	must(t, w.DB.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM subscriptions WHERE topic = $1", notice.Notices).Scan(&made))
	if made != many+3 {
		t.Errorf("%d were made", made)
	}
	catalogtest.Within(t, catalogtest.Patience, "no more runs than before", func() bool { return runtime.NumGoroutine() <= before })
}
