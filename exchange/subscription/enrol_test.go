package subscription_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/subscription"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

const marriages = "marriage"

// enrolledWorld has a grant for enrolled subjects only, on persons and on
// marriages, whose key is not their subject.
type enrolledWorld struct{ *world }

func newEnrolledWorld(t testing.TB) *enrolledWorld { return enrolledWorldOn(t, "", t.TempDir()) }

func enrolledWorldOn(t testing.TB, instance, dir string) *enrolledWorld {
	t.Helper()
	w := worldOn(t, instance, dir)
	_, _, err := w.policy.Suspend(t.Context(), w.ByOperator(), w.grant, "换发")
	must(t, err)
	_, _, err = w.Catalogue.CreateTopic(t.Context(), w.ByOperator(), &cataloguev1.Topic{
		Name: marriages, Title: "婚姻登记", Provider: catalogtest.Security, Contract: "huitong.records.v1.Marriage",
		SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "社会救助核对", LegalBasis: "《社会救助暂行办法》",
	})
	must(t, err)
	for name, fields := range map[string][]string{
		topic: {"id_type", "id_number", "name"}, marriages: {"certificate_number", "state", "party_a_number", "party_b_number"},
	} {
		g, _, err := w.policy.Create(t.Context(), w.ByOperator(), &accessv1.Grant{
			Topic: name, Consumer: catalogtest.Civil, Basis: "社会救助暂行办法 第58条", Fields: fields,
			ServiceItems: []string{item}, DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
			StandingPurpose: "低保动态核查", StandingLegalBasis: "社会救助暂行办法 第13条",
			Scope: accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS,
		})
		must(t, err)
		if name == topic {
			w.grant = g.Id
		}
	}
	return &enrolledWorld{w}
}

// opened opens a case that names persons.
func (x *enrolledWorld) opened(number string, keys ...int) {
	x.T.Helper()
	x.openedFor(number, item, keys...)
}

func (x *enrolledWorld) openedFor(number, item string, keys ...int) {
	x.T.Helper()
	r := &accessv1.OpenCaseRequest{Number: number, Item: item, Person: clerk.Person}
	for _, key := range keys {
		r.Subjects = append(r.Subjects, enrolment(key, "").Subject)
	}
	_, _, err := x.cases.Open(x.T.Context(), x.civil.Caller, r)
	must(x.T, err)
}

// closed closes a case and gives its entry.
func (x *enrolledWorld) closed(number string) uint64 {
	x.T.Helper()
	_, commit, err := x.cases.Close(x.T.Context(), x.civil.Caller, &accessv1.CloseCaseRequest{Number: number, Person: clerk.Person})
	must(x.T, err)
	return commit.Index
}

func enrolment(key int, number string) *exchangev1.Enrolment {
	return &exchangev1.Enrolment{Subject: &ledgerv1.Subject{Type: "999", Number: fmt.Sprintf("K%d", key)}, CaseNumber: number}
}

var clerk = &exchangev1.Acting{Person: "经办-07"}

func (x *enrolledWorld) enrol(name string, list ...*exchangev1.Enrolment) *subscription.Enrolled {
	x.T.Helper()
	done, err := x.manager.Enrol(x.T.Context(), x.civil.Caller, &exchangev1.EnrolSubjectsRequest{Subscription: name, Enrolments: list, Acting: clerk})
	must(x.T, err)
	return done
}

func (x *enrolledWorld) leave(name string, list ...*exchangev1.Enrolment) *subscription.Enrolled {
	x.T.Helper()
	done, err := x.manager.Remove(x.T.Context(), x.civil.Caller, &exchangev1.RemoveSubjectsRequest{Subscription: name, Enrolments: list, Acting: clerk})
	must(x.T, err)
	return done
}

// marriage is of two persons of the provider's own numbering.
func marriage(key string, a, b int) *exchangev1.Publication {
	raw, err := proto.Marshal(&recordsv1.Marriage{
		CertificateNumber: key, State: recordsv1.MarriageState_MARRIAGE_STATE_MARRIED,
		PartyAType: "999", PartyANumber: fmt.Sprintf("K%d", a), PartyAName: "王芳",
		PartyBType: "999", PartyBNumber: fmt.Sprintf("K%d", b), PartyBName: "李伟",
		RegisteredDate: "2026-05-20", RegistrarCode: catalogtest.Security, RegistrarName: "登记处",
	})
	if err != nil {
		panic(err)
	}
	return &exchangev1.Publication{Topic: marriages, Content: &exchangev1.Publication_Protobuf{Protobuf: raw}}
}

func TestOnlyEnrolledSubjectsAreDelivered(t *testing.T) {
	x := newEnrolledWorld(t)
	x.create("s")
	x.opened("SF-1", 3, 7, 99)
	first := x.publishMany(0, 10)
	m := x.open("s")
	m.caughtUp()
	if got := m.all(); len(got) != 0 {
		t.Fatalf("%d came before anybody was enrolled", len(got))
	}
	done := x.enrol("s", enrolment(3, "SF-1"), enrolment(3, "SF-1"), enrolment(7, "SF-1"), enrolment(99, "SF-1"))
	if done.Enrolled != 3 || done.Owed != 2 || done.Commit == nil {
		t.Fatalf("enrolled %+v", done)
	}
	got := m.receives(2)
	for _, d := range got {
		if !d.Snapshot || d.Late || len(d.Record.Payload) == 0 {
			t.Errorf("delivered %v", d)
		}
	}
	slices.SortFunc(got, func(a, b *exchangev1.Delivery) int { return cmp.Compare(a.Sequence, b.Sequence) })
	if want := []uint64{first[3], first[7]}; !slices.Equal(indexes(got), want) {
		t.Fatalf("got %v, want %v", indexes(got), want)
	}
	m.ack(sequences(got)...)
	again := x.enrol("s", enrolment(7, "SF-1"))
	if again.Commit != nil || again.Enrolled != 0 {
		t.Errorf("enrolled again %+v", again)
	}
	changed := x.publish(person(3, "乙"), person(4, "乙"), operation(7, ledgerv1.Operation_OPERATION_SUSPEND),
		operation(4, ledgerv1.Operation_OPERATION_SUSPEND), person(99, "乙"), operation(3, ledgerv1.Operation_OPERATION_SUSPEND))
	want := []uint64{changed[0], changed[2], changed[4]}
	got = m.receives(5) // the suspension waits for the change
	if !slices.Equal(indexes(got[2:]), want) {
		t.Fatalf("got %v, want %v", indexes(got), want)
	}
	m.ack(sequences(got[2:])...)
	if got = m.receives(6); got[5].Record.Index != changed[5] || got[5].Snapshot {
		t.Fatalf("then %v", got[5])
	}
	m.ack(got[5].Sequence)
	gone := x.leave("s", enrolment(3, ""))
	if gone.Enrolled != 1 {
		t.Errorf("removed %+v", gone)
	}
	if gone = x.leave("s", enrolment(3, "SF-1"), enrolment(55, "")); gone.Enrolled != 0 || gone.Commit != nil {
		t.Errorf("removed again %+v", gone)
	}
	last := x.publish(person(3, "丙"), person(99, "丙"))
	if got = m.receives(7); got[6].Record.Index != last[1] {
		t.Fatalf("then %v", got[6])
	}
	list, next, err := x.manager.ListEnrolments(t.Context(), x.civil.Caller, "s", nil, 0)
	must(t, err)
	if len(list) != 2 || next != nil || list[0].CaseNumber != "SF-1" || list[0].Index != done.Commit.Index {
		t.Errorf("listed %v", list)
	}
	x.checkEnrolled(3, 1)
}

// checkEnrolled checks the entries about enrolments by their openings, as an
// auditor does: they name nobody in the clear.
func (x *enrolledWorld) checkEnrolled(added, removed int) {
	x.T.Helper()
	entries, openings := x.ledger()
	for i, e := range entries {
		n := e.GetEnrolled()
		if n == nil {
			continue
		}
		o := openings[i]
		if len(n.SubjectCommitments) != len(o.Subjects) || len(n.CaseCommitments) != len(o.Cases) || o.Person != clerk.Person || n.Cause != "request" {
			x.T.Errorf("entry %d: %v, opened %v", i, n, o)
		}
		if n.Removed {
			removed -= len(o.Subjects)
		} else {
			added -= len(o.Subjects)
		}
	}
	if added != 0 || removed != 0 {
		x.T.Errorf("%d enrolments and %d removals are not entered", added, removed)
	}
}

// Whoever was told of a record learns that it is about others by now, and no more.
func TestARecordThatIsAboutOthersByNow(t *testing.T) {
	x := newEnrolledWorld(t)
	x.create("s", func(s *exchangev1.Subscription) { s.Topic = marriages })
	x.opened("SF-1", 1)
	x.enrol("s", enrolment(1, "SF-1"))
	first := x.publish(marriage("J1", 1, 2), marriage("J2", 2, 3))
	m := x.open("s")
	m.ack(sequences(m.receives(1))...)
	second := x.publish(marriage("J1", 2, 3), &exchangev1.Publication{Topic: marriages, Operation: ledgerv1.Operation_OPERATION_SUSPEND, Key: "J1"})
	notice := m.receives(2)[1]
	if r := notice.Record; r.Index != second[0] || !r.AboutOthers || len(r.Payload) != 0 || r.Key != "J1" || r.Json != "" {
		t.Fatalf("told %v", notice)
	}
	m.ack(notice.Sequence)
	third := x.publish(marriage("J1", 3, 2), marriage("J1", 1, 3))
	got := m.receives(3)
	if got[2].Record.Index != third[1] || got[2].Record.AboutOthers || len(got[2].Record.Payload) == 0 {
		t.Fatalf("then %v", got[2])
	}
	if got[0].Record.Index != first[0] {
		t.Errorf("first %v", got[0])
	}
	m.ack(got[2].Sequence)
	erased := x.publish(&exchangev1.Publication{Topic: marriages, Operation: ledgerv1.Operation_OPERATION_ERASE, Key: "J1", Reason: "依申请"})
	if got = m.receives(4); got[3].Record.Index != erased[0] || !got[3].Record.Erased {
		t.Errorf("then %v", got[3])
	}
}

func TestWhatAnEnrolmentNeeds(t *testing.T) {
	x := newEnrolledWorld(t)
	x.create("s")
	x.opened("SF-1", 1)
	x.opened("closed", 1)
	x.closed("closed")
	x.openedFor("other item", "000115009999", 1)
	x.opened("other subject", 2)
	many := make([]*exchangev1.Enrolment, subscription.MaxEnrolled+1)
	for i := range many {
		many[i] = enrolment(i, "SF-1")
	}
	for _, c := range []struct {
		name, subscription, rule string
		person                   string
		list                     []*exchangev1.Enrolment
	}{
		{"nobody", "s", "enrolments.number", "a", nil},
		{"too many", "s", "enrolments.number", "a", many},
		{"no person", "s", "acting.person.required", "", many[:1]},
		{"no case", "s", "case.required", "a", []*exchangev1.Enrolment{enrolment(1, "")}},
		{"wrong number", "s", "identifier.resident_id", "a", []*exchangev1.Enrolment{{Subject: &ledgerv1.Subject{Type: "111", Number: "12"}, CaseNumber: "SF-1"}}},
		{"no subscription", "t", "subscription.unknown", "a", many[:1]},
		{"another's", catalogtest.Housing + "/fund/s", "subscription.unknown", "a", many[:1]},
		{"unknown case", "s", "case.unknown", "a", []*exchangev1.Enrolment{enrolment(1, "SF-1"), enrolment(1, "none")}},
		{"closed case", "s", "case.closed", "a", []*exchangev1.Enrolment{enrolment(1, "closed")}},
		{"another item", "s", "case.item", "a", []*exchangev1.Enrolment{enrolment(1, "other item")}},
		{"another subject", "s", "case.subject", "a", []*exchangev1.Enrolment{enrolment(1, "other subject")}},
	} {
		_, err := x.manager.Enrol(t.Context(), x.civil.Caller, &exchangev1.EnrolSubjectsRequest{
			Subscription: c.subscription, Enrolments: c.list, Acting: &exchangev1.Acting{Person: c.person},
		})
		if fault.RuleOf(err) != c.rule {
			t.Errorf("%s: %v, rule %q", c.name, err, fault.RuleOf(err))
		}
	}
	refused := map[string]int{}
	entries, _ := x.ledger()
	for _, e := range entries {
		if r := e.GetRefused(); r != nil {
			refused[r.Rule]++
		}
	}
	for _, rule := range []string{"case.unknown", "case.closed", "case.item", "case.subject"} {
		if refused[rule] != 1 {
			t.Errorf("%d entries for %s", refused[rule], rule)
		}
	}
	list, _, err := x.manager.ListEnrolments(t.Context(), x.civil.Caller, "s", nil, 0)
	if err != nil || len(list) != 0 {
		t.Errorf("enrolled %v, %v", list, err)
	}
}
