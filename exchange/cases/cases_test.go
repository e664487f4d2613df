package cases_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

type world struct {
	*catalogtest.Exchange
	*cases.Cases
	civil, housing *catalogtest.System
	now            time.Time
}

func newWorld(t *testing.T) *world {
	x := catalogtest.On(t, storetest.Open(t))
	w := &world{Exchange: x, now: time.Now()}
	w.Cases = cases.New(cases.Config{
		DB: x.DB, Journal: x.Journal, Catalogue: x.Catalogue, Keyring: x.Identity.Keyring, Clock: func() time.Time { return w.now },
	})
	w.civil, w.housing = x.Enrol(catalogtest.Civil, "subsidies"), x.Enrol(catalogtest.Housing, "homes")
	return w
}

func request(change ...func(*accessv1.OpenCaseRequest)) *accessv1.OpenCaseRequest {
	r := &accessv1.OpenCaseRequest{
		Number: "受理〔2026〕42号", Item: "000711004000", Person: "窗口-017",
		Subjects: []*ledgerv1.Subject{{Type: "111", Number: "99999919900101001 6", Role: "applicant"}, {Type: "111", Number: "999999198506150028", Role: "spouse"}},
	}
	r.Subjects[0].Number = "999999199001010016"
	for _, c := range change {
		c(r)
	}
	return r
}

func (w *world) open(t *testing.T, r *accessv1.OpenCaseRequest) *accessv1.Case {
	t.Helper()
	c, _, err := w.Open(t.Context(), w.civil.Caller, r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) find(t *testing.T, participant string) *cases.Case {
	t.Helper()
	c, err := cases.Find(t.Context(), w.DB.Reader(), w.Token(participant, request().Number))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestTheLifeOfACase opens a case, opens it again, closes it and closes it again.
func TestTheLifeOfACase(t *testing.T) {
	w := newWorld(t)
	opened := w.open(t, request())
	size := w.Journal.Head().Size
	if again := w.open(t, request()); !proto.Equal(again, opened) || w.Journal.Head().Size != size {
		t.Errorf("a repeat: %v", again)
	}
	got, err := w.Get(t.Context(), w.civil.Caller, request().Number)
	if err != nil || !proto.Equal(got, opened) || opened.AfterTheFact || opened.State != accessv1.CaseState_CASE_STATE_OPEN {
		t.Fatal(got, err)
	}
	row := w.find(t, catalogtest.Civil)
	if f := cases.FactsOf(row, w.SubjectToken(request().Subjects[1])); !f.Known || !f.Open || !f.Names || f.Item != request().Item {
		t.Errorf("%+v", f)
	}
	if f := cases.FactsOf(row, w.SubjectToken(&ledgerv1.Subject{Type: "414", Number: request().Subjects[0].Number})); f.Names {
		t.Error("it names somebody else")
	}
	if w.find(t, catalogtest.Housing) != nil {
		t.Error("another department has the case")
	}
	_, _, err = w.Close(t.Context(), w.housing.Caller, &accessv1.CloseCaseRequest{Number: opened.Number, Person: "p"})
	wantRule(t, err, "case.unknown")
	shut := &accessv1.CloseCaseRequest{Number: opened.Number, Person: "窗口-018", Outcome: "准予补贴"}
	closed, commit, err := w.Close(t.Context(), w.civil.Caller, shut)
	if err != nil || closed.Outcome != "准予补贴" || closed.ClosedPlusOne != commit.Index+1 {
		t.Fatal(closed, err)
	}
	if _, commit, err := w.Close(t.Context(), w.civil.Caller, shut); err != nil || commit != nil {
		t.Error("a second closing is an entry", err)
	}
	if got, err = w.Get(t.Context(), w.civil.Caller, opened.Number); err != nil || !proto.Equal(got, closed) {
		t.Error(got, err)
	}
	_, _, err = w.Open(t.Context(), w.civil.Caller, request())
	wantRule(t, err, "case.closed")
}

func wantRule(t *testing.T, err error, rule string) {
	t.Helper()
	if fault.RuleOf(err) != rule {
		t.Errorf("%s, not %s: %v", fault.RuleOf(err), rule, err)
	}
}

// TestWhatIsNoCase: nothing of it is written.
func TestWhatIsNoCase(t *testing.T) {
	w := newWorld(t)
	w.open(t, request())
	for rule, change := range map[string]func(*accessv1.OpenCaseRequest){
		"number.size":            func(r *accessv1.OpenCaseRequest) { r.Number = "" },
		"person.size":            func(r *accessv1.OpenCaseRequest) { r.Person = "" },
		"number.text":            func(r *accessv1.OpenCaseRequest) { r.Number = "SF-1\n" },
		"person.text":            func(r *accessv1.OpenCaseRequest) { r.Person = "clerk\x1b[2J" },
		"reason.text":            func(r *accessv1.OpenCaseRequest) { r.Reason = "补录\x00" },
		"subject.role":           func(r *accessv1.OpenCaseRequest) { r.Subjects[0].Role = "申请人\u202e" },
		"acting.purpose.format":  func(r *accessv1.OpenCaseRequest) { r.Item = "11010519491231002X" },
		"case.subjects":          func(r *accessv1.OpenCaseRequest) { r.Subjects = nil },
		"case.subjects.twice":    func(r *accessv1.OpenCaseRequest) { r.Subjects = append(r.Subjects, r.Subjects[0]) },
		"identifier.resident_id": func(r *accessv1.OpenCaseRequest) { r.Subjects[0].Number = "999999199001010017" },
		"case.applied_at":        func(r *accessv1.OpenCaseRequest) { r.AppliedAt = timestamppb.New(w.now.Add(time.Hour)) },
		"case.reason.required":   func(r *accessv1.OpenCaseRequest) { r.AppliedAt = timestamppb.New(w.now.Add(-25 * time.Hour)) },
		"case.exists":            func(r *accessv1.OpenCaseRequest) { r.Subjects = r.Subjects[:1] },
	} {
		_, _, err := w.Open(t.Context(), w.civil.Caller, request(change))
		wantRule(t, err, rule)
	}
	many := request()
	for len(many.Subjects) <= cases.MaxSubjects {
		many.Subjects = append(many.Subjects, many.Subjects[0])
	}
	_, _, err := w.Open(t.Context(), w.civil.Caller, many)
	wantRule(t, err, "case.subjects")
	operator := w.Enrol(catalogtest.Audit, "console", cataloguev1.Role_ROLE_OPERATOR)
	size := w.Journal.Head().Size
	_, _, err = w.Open(t.Context(), operator.Caller, request())
	wantRule(t, err, "role.department")
	if now := w.Journal.Head().Size; now != size {
		t.Errorf("%d entries were made", now-size)
	}
}

// TestAfterTheFact: such cases are flagged, and can be listed by those who
// supervise, without what is personal.
func TestAfterTheFact(t *testing.T) {
	w := newWorld(t)
	w.open(t, request())
	late := w.open(t, request(func(r *accessv1.OpenCaseRequest) {
		r.Number, r.AppliedAt, r.Reason = "2", timestamppb.New(w.now.Add(-25*time.Hour)), "停机"
	}))
	if !late.AfterTheFact {
		t.Error("it is not flagged")
	}
	auditor := w.Enrol(catalogtest.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR)
	list, err := w.List(t.Context(), auditor.Caller, &accessv1.ListCasesRequest{AfterTheFact: true}, catalog.Page{})
	if err != nil || len(list) != 1 || list[0].Opened != late.Opened || list[0].Number != "" || len(list[0].Subjects) != 0 || list[0].Person != "" || list[0].Reason != "" {
		t.Error(list, err)
	}
	page := catalog.Page{Limit: 1}
	mine, err := w.List(t.Context(), w.civil.Caller, &accessv1.ListCasesRequest{}, page)
	if err != nil || len(mine) != 1 || mine[0].Number != "2" {
		t.Error(mine, err)
	}
	_, err = w.List(t.Context(), w.housing.Caller, &accessv1.ListCasesRequest{Participant: catalogtest.Civil}, catalog.Page{})
	wantRule(t, err, "participant.other")
}

// TestClosingIsExact: what rests on an open case is not committed behind the
// entry that closes it, however many are at it; and what ends with the case
// stands beside that entry.
func TestClosingIsExact(t *testing.T) {
	w := newWorld(t)
	w.open(t, request())
	row := w.find(t, catalogtest.Civil)
	w.OnClose(func(_ context.Context, _ store.Tx, slot journal.Slot, c *cases.Case) ([]journal.Entry, error) {
		return []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Enrolled{Enrolled: &ledgerv1.SubjectsEnrolled{Removed: true}}}}}, nil
	})
	var mu sync.Mutex
	var last uint64
	var reading sync.WaitGroup
	for range 16 {
		reading.Go(func() {
			for {
				commit, err := w.Journal.Submit(t.Context(), &journal.Call{
					From: w.civil.Caller.System, Guards: []journal.Guard{row.Guard()},
					Entries: []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Queried{Queried: &ledgerv1.RecordsQueried{}}}}},
				})
				if err != nil {
					return
				}
				mu.Lock()
				last = max(last, commit.Index)
				mu.Unlock()
			}
		})
	}
	closed, commit, err := w.Close(t.Context(), w.civil.Caller, &accessv1.CloseCaseRequest{Number: request().Number, Person: "p"})
	reading.Wait()
	if err != nil || len(commit.Leaves) != 2 {
		t.Fatal(commit, err)
	}
	if last >= closed.ClosedPlusOne-1 {
		t.Errorf("entry %d was made for a case that entry %d closed", last, closed.ClosedPlusOne-1)
	}
}
