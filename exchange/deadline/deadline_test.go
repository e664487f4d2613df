package deadline_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/settings"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

const (
	civil    = "11999900MB00000353"
	security = "11999900MB00000278"
	housing  = "11999900MB0000043X"
)

// world is a database with deadlines and a clock.
type world struct {
	t   *testing.T
	db  *store.DB
	now time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, db: storetest.Open(t)}
	w.at("2026-09-28 10:00")
	return w
}

// at moves the clock to a time in Asia/Shanghai.
func (w *world) at(s string) {
	w.t.Helper()
	var err error
	if w.now, err = time.ParseInLocation("2006-01-02 15:04", s, time.FixedZone("Asia/Shanghai", 8*60*60)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tx(do func(ctx context.Context, tx store.Tx) error) error {
	return w.db.Journal.Update(w.t.Context(), do)
}

func (w *world) start(kind deadline.Kind, object string) {
	w.t.Helper()
	if err := w.tx(func(ctx context.Context, tx store.Tx) error {
		return deadline.Start(ctx, tx, w.now.UnixMicro(), deadline.Clock{
			Kind: kind, Object: object, Owner: security, Parties: []string{civil}, Topic: "people",
		})
	}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stop(kind deadline.Kind, object string) (late bool) {
	w.t.Helper()
	if err := w.tx(func(ctx context.Context, tx store.Tx) (err error) {
		late, err = deadline.Stop(ctx, tx, w.now.UnixMicro(), kind, object)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return late
}

func (w *world) extend(kind deadline.Kind, object string) error {
	return w.tx(func(ctx context.Context, tx store.Tx) error {
		return deadline.Extend(ctx, tx, w.now.UnixMicro(), kind, object)
	})
}

// Settings implements deadline.Settings.
func (w *world) Settings() *settings.Settings {
	s, err := settings.Read(w.t.Context(), w.db.Reader())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func caller(participant string, role identity.Role) *identity.Caller {
	return &identity.Caller{Participant: participant, System: participant + "/s", Roles: identity.RolesOf(role)}
}

func (w *world) list(by *identity.Caller, f deadline.Filter) []*accessv1.Deadline {
	w.t.Helper()
	l := &deadline.List{DB: w.db, Settings: w, Clock: func() time.Time { return w.now }}
	if f.Limit == 0 {
		f.Limit = 100
	}
	found, err := l.Find(w.t.Context(), by, f)
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

var operator = caller("11999900MB0000019D", identity.Operator)

func (w *world) one(object string) *accessv1.Deadline {
	w.t.Helper()
	found := w.list(operator, deadline.Filter{Object: object})
	if len(found) != 1 {
		w.t.Fatalf("%d deadlines of %s", len(found), object)
	}
	return found[0]
}

// TestAClockOverTheNationalDay: ten working days from Monday 28 September 2026.
func TestAClockOverTheNationalDay(t *testing.T) {
	w := newWorld(t)
	w.start(deadline.GrantAnswerConditional, "g1")
	if d := w.one("g1"); d.Due != "2026-10-16" || d.DaysLeft != 10 || d.Late || d.Days != 10 || d.Provisional {
		t.Errorf("%v", d)
	}
	w.at("2026-10-05 12:00") // in the holiday
	if d := w.one("g1"); d.DaysLeft != 8 || d.Late {
		t.Errorf("%v", d)
	}
	w.at("2026-10-16 23:59")
	if d := w.one("g1"); d.DaysLeft != 0 || d.Late {
		t.Errorf("on its due day: %v", d)
	}
	w.at("2026-10-17 00:00") // Saturday
	if d := w.one("g1"); d.DaysLeft != 0 || !d.Late || d.DaysLate != 0 {
		t.Errorf("as the due day ended: %v", d)
	}
	w.at("2026-10-20 09:00")
	if d := w.one("g1"); !d.Late || d.DaysLate != 2 {
		t.Errorf("two working days late: %v", d)
	}
	if !w.stop(deadline.GrantAnswerConditional, "g1") {
		t.Error("it was late")
	}
	w.at("2026-12-01 09:00")
	if d := w.one("g1"); !d.Late || d.DaysLate != 2 || d.StoppedAt == nil {
		t.Errorf("after the late answer: %v", d)
	}
}

func TestStop(t *testing.T) {
	w := newWorld(t)
	if w.stop(deadline.GrantSupply, "g1") {
		t.Error("nothing runs, so nothing is late")
	}
	w.start(deadline.GrantSupply, "g1")
	w.at("2026-09-29 09:00")
	if w.stop(deadline.GrantSupply, "g1") {
		t.Error("it was in time")
	}
	if d := w.one("g1"); d.Late || d.StoppedAt == nil {
		t.Errorf("%v", d)
	}
	// The same may run again: a request that was returned and sent anew.
	w.start(deadline.GrantSupply, "g1")
	if found := w.list(operator, deadline.Filter{Object: "g1"}); len(found) != 2 {
		t.Errorf("%v", found)
	}
}

func TestRunsOnce(t *testing.T) {
	w := newWorld(t)
	w.start(deadline.CorrectionAnswer, "17")
	err := w.tx(func(ctx context.Context, tx store.Tx) error {
		return deadline.Start(ctx, tx, w.now.UnixMicro()+1, deadline.Clock{Kind: deadline.CorrectionAnswer, Object: "17", Owner: security})
	})
	if fault.RuleOf(err) != "deadline.running" {
		t.Error(err)
	}
	err = w.tx(func(ctx context.Context, tx store.Tx) error {
		return deadline.Start(ctx, tx, w.now.UnixMicro(), deadline.Clock{Kind: "coffee", Object: "17", Owner: security})
	})
	if fault.KindOf(err) != fault.Internal {
		t.Error(err)
	}
}

func TestExtend(t *testing.T) {
	w := newWorld(t)
	refused := func(rule string, kind deadline.Kind) {
		t.Helper()
		if err := w.extend(kind, "g1"); fault.RuleOf(err) != rule || fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s: %v", rule, err)
		}
	}
	refused("deadline.stopped", deadline.GrantAnswerConditional)
	w.start(deadline.GrantAnswerConditional, "g1")
	w.at("2026-10-16 12:00")
	if err := w.extend(deadline.GrantAnswerConditional, "g1"); err != nil {
		t.Fatal(err)
	}
	if d := w.one("g1"); d.Due != "2026-10-30" || !d.Extended || d.Days != 20 {
		t.Errorf("%v", d)
	}
	refused("deadline.extended", deadline.GrantAnswerConditional)
	w.start(deadline.CorrectionAnswer, "g1")
	refused("deadline.extension", deadline.CorrectionAnswer)
	w.start(deadline.CatalogueUpdate, "g1")
	w.at("2026-12-01 12:00")
	refused("deadline.passed", deadline.CatalogueUpdate)
}

// TestALaterNoticeMoves: what rests on a year without a notice is provisional.
func TestALaterNoticeMoves(t *testing.T) {
	w := newWorld(t)
	w.at("2026-12-28 10:00")
	w.start(deadline.CorrectionAnswer, "17")
	if d := w.one("17"); d.Due != "2027-01-11" || !d.Provisional {
		t.Errorf("%v", d)
	}
	y := &accessv1.CalendarYear{
		Year: 2027, Number: "n", Title: "t", Issued: "2026-11-01",
		Holidays: []*accessv1.Holiday{{Name: "元旦", From: "2027-01-01", Until: "2027-01-04"}},
	}
	if err := w.tx(func(ctx context.Context, tx store.Tx) error { return putYear(ctx, tx, y) }); err != nil {
		t.Fatal(err)
	}
	if d := w.one("17"); d.Due != "2027-01-13" || d.Provisional {
		t.Errorf("%v", d)
	}
}

func TestWhoSeesWhat(t *testing.T) {
	w := newWorld(t)
	w.start(deadline.GrantAnswerConditional, "g1")
	w.at("2026-09-28 11:00")
	w.start(deadline.CatalogueReview, "t1")
	w.stop(deadline.CatalogueReview, "t1")
	w.at("2026-11-02 09:00")
	w.start(deadline.GrantAnswerUnconditional, "g2")
	auditor := caller("11999900MB0000051Q", identity.Auditor)
	for _, c := range []struct {
		by   *identity.Caller
		f    deadline.Filter
		want []string
	}{
		{operator, deadline.Filter{}, []string{"g1", "t1", "g2"}},
		{auditor, deadline.Filter{}, []string{"g1", "t1", "g2"}},
		{caller(security, identity.Department), deadline.Filter{}, []string{"g1", "t1", "g2"}},
		{caller(civil, identity.Department), deadline.Filter{}, []string{"g1", "t1", "g2"}},
		{caller(housing, identity.Department), deadline.Filter{}, nil},
		{caller(housing, identity.Department), deadline.Filter{Owner: security}, nil},
		{operator, deadline.Filter{Owner: civil}, nil},
		{operator, deadline.Filter{Party: civil}, []string{"g1", "t1", "g2"}},
		{operator, deadline.Filter{Party: "%"}, nil},
		{operator, deadline.Filter{Kind: deadline.CatalogueReview}, []string{"t1"}},
		{operator, deadline.Filter{Open: true}, []string{"g1", "g2"}},
		{operator, deadline.Filter{Late: true}, []string{"g1"}},
		{operator, deadline.Filter{DueBefore: "2026-10-16"}, []string{"t1"}},
		{operator, deadline.Filter{DueBefore: "2026-10-17"}, []string{"g1", "t1"}},
		{operator, deadline.Filter{Limit: 2}, []string{"g1", "t1"}},
	} {
		var got []string
		for _, d := range w.list(c.by, c.f) {
			got = append(got, d.Object)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %+v: %v", c.by.System, c.f, got)
		}
	}
	first := w.list(operator, deadline.Filter{Limit: 1})
	if rest := w.list(operator, deadline.Filter{After: deadline.Place(first[0])}); len(rest) != 2 || rest[0].Object != "t1" {
		t.Errorf("the second page: %v", rest)
	}
	l := &deadline.List{DB: w.db, Settings: w, Clock: func() time.Time { return w.now }}
	if _, err := l.Find(t.Context(), caller(security, identity.Witness), deadline.Filter{Limit: 1}); fault.RuleOf(err) != "role.deadlines" {
		t.Error(err)
	}
	for _, f := range []deadline.Filter{{DueBefore: "tomorrow"}, {After: "x"}} {
		if _, err := l.Find(t.Context(), operator, f); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// TestKindsHaveTerms: each kind has a default term, and each term a kind.
func TestKindsHaveTerms(t *testing.T) {
	kinds := []deadline.Kind{
		deadline.GrantAnswerUnconditional, deadline.GrantAnswerConditional, deadline.GrantSupply,
		deadline.CorrectionAnswer, deadline.CatalogueUpdate, deadline.CatalogueReview, deadline.NoticeAcknowledge,
	}
	s := newWorld(t).Settings()
	for _, k := range kinds {
		if term, ok := s.Term(string(k)); !ok || term.Days == 0 || term.Basis == "" {
			t.Errorf("%s: %+v", k, term)
		}
	}
	if n := len(settings.Defaults().Deadlines); n != len(kinds) {
		t.Errorf("%d terms for %d kinds", n, len(kinds))
	}
	if err := settings.Check(settings.Defaults()); err != nil {
		t.Error(err)
	}
}

// putYear sets a year of the calendar as the catalogue does, without its entry.
func putYear(ctx context.Context, tx store.Tx, y *accessv1.CalendarYear) error {
	body, err := proto.Marshal(y)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO calendar_years (year, version, changed, body) VALUES ($1, 1, 1, $2)", int64(y.Year), body)
	return err
}
