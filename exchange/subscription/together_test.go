package subscription_test

import (
	"slices"
	"testing"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// TestASubjectOfTwoCases: it stays enrolled until the last of them is closed, and
// the second brings nothing once more.
func TestASubjectOfTwoCases(t *testing.T) {
	x := newEnrolledWorld(t)
	x.create("s")
	first := x.publish(person(1, "甲"))
	x.enrolAll("SF-1", 1)
	if done := x.enrolAll("SF-2", 1); done.Enrolled != 1 || done.Owed != 0 {
		t.Errorf("enrolled once more: %+v", done)
	}
	m := x.open("s")
	m.ack(m.receives(1)[0].Sequence)
	x.closed("SF-1")
	second := x.publish(person(1, "乙"))
	m.ack(m.receives(2)[1].Sequence)
	list, _, err := x.manager.ListEnrolments(t.Context(), x.civil.Caller, "s", nil, 0)
	if err != nil || len(list) != 1 || list[0].CaseNumber != "SF-2" {
		t.Errorf("listed %v, %v", list, err)
	}
	x.closed("SF-2")
	x.publish(person(1, "丙"))
	x.enrolAll("SF-3", 2)
	last := x.publish(person(2, "丁"))
	if got := indexes(m.receives(3)); !slices.Equal(got, []uint64{first[0], second[0], last[0]}) {
		t.Errorf("came %v of %v %v %v", got, first, second, last)
	}
}

// TestTwoSubjectsOfOneRecord: it comes once for both, once more as present for
// one that is enrolled later, and as long as one of them is enrolled.
func TestTwoSubjectsOfOneRecord(t *testing.T) {
	x := newEnrolledWorld(t)
	x.create("s", func(s *exchangev1.Subscription) { s.Topic = marriages })
	first := x.publish(marriage("J1", 1, 2), marriage("J2", 3, 4))
	if done := x.enrolAll("SF-1", 1, 2, 3); done.Enrolled != 3 || done.Owed != 2 {
		t.Errorf("enrolled %+v", done)
	}
	m := x.open("s")
	m.ack(sequences(m.receives(2))...)
	if done := x.enrolAll("SF-2", 4); done.Owed != 1 {
		t.Errorf("enrolled later %+v", done)
	}
	again := m.receives(3)[2]
	m.ack(again.Sequence)
	if !again.Snapshot || again.Record.Index != first[1] {
		t.Errorf("came %v", again)
	}
	x.leave("s", enrolment(1, ""))
	second := x.publish(marriage("J1", 1, 2))
	m.ack(m.receives(4)[3].Sequence)
	x.leave("s", enrolment(2, ""))
	x.publish(marriage("J1", 1, 2))
	last := x.publish(marriage("J2", 3, 4))
	got := m.receives(5)[3:]
	if !slices.Equal(indexes(got), []uint64{second[0], last[0]}) || got[0].Record.AboutOthers || got[0].Snapshot {
		t.Errorf("came %v of %v and %v", indexes(got), second, last)
	}
}
