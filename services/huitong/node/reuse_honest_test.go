package node_test

import (
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// asking makes the item ask for one more material.
func (c *counter) asking(t *testing.T, code string, e *recordsv1.Evidence) {
	t.Helper()
	item := counterItem()
	item.Materials = append(item.Materials, sample.IssuedMaterial(code, "材料乙", sample.Department{Name: "示范市某局"}, e))
	c.publish(t, c.hall, "items", item)
}

// TestAPaperStandsInForItsOwnMaterial: what was submitted for one material of an item
// is not found for the next one, which asks the same topic.
func TestAPaperStandsInForItsOwnMaterial(t *testing.T) {
	c := newCounter(t)
	c.asking(t, "pledge", &recordsv1.Evidence{Topic: "papers"})
	_, err := c.hall.Submit(t.Context(), sdk.Submission{Acting: c.acting, Material: &sdk.Publication{Topic: "papers", Message: paper(c.acting.Case)}})
	ok(t, err)
	states := c.states(t)
	if statement, pledge := states["statement"], states["pledge"]; statement.State != sdk.MaterialHeld || pledge.State != sdk.MaterialToSubmit {
		t.Errorf("the statement is %v, and the pledge that nobody brought is %v", statement, pledge)
	}
}

// TestNothingSubmittedIsOfGradeA: a counter that says so is refused, and what came by
// another way counts no more than what was checked at a counter.
func TestNothingSubmittedIsOfGradeA(t *testing.T) {
	c := newCounter(t)
	c.asking(t, "issued", &recordsv1.Evidence{Topic: "papers", MinGrade: recordsv1.TrustGrade_TRUST_GRADE_A})
	m := paper(c.acting.Case)
	m.TrustGrade = recordsv1.TrustGrade_TRUST_GRADE_A
	_, err := c.hall.Submit(t.Context(), sdk.Submission{Acting: c.acting, Material: &sdk.Publication{Topic: "papers", Message: m}})
	wantRule(t, err, fault.Invalid, "submit.grade")
	other := proto.CloneOf(m)
	other.MaterialId, other.MaterialCode = "M-2", "issued"
	c.publish(t, c.hall, "papers", m)
	c.publish(t, c.hall, "papers", other)
	states := c.states(t)
	if held, issued := states["statement"], states["issued"]; held.Grade != "B" || issued.State != sdk.MaterialToSubmit {
		t.Errorf("the statement is %v, and what only an authority issues is %v", held, issued)
	}
	got, err := c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant})
	ok(t, err)
	for range 2 {
		for _, one := range got.Copies {
			if one.Material == "statement" && one.Grade != "B" {
				t.Errorf("the copy, repeat %v, is of grade %s", got.Repeat, one.Grade)
			}
		}
		got, err = c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant})
		ok(t, err)
	}
}

// TestAPaperDoesNotMakeItselfAvoidable: a paper that was entered before it is reported
// was not held when it was accepted.
func TestAPaperDoesNotMakeItselfAvoidable(t *testing.T) {
	c := newCounter(t)
	_, err := c.hall.Submit(t.Context(), sdk.Submission{Acting: c.acting, Material: &sdk.Publication{Topic: "papers", Message: paper(c.acting.Case)}})
	ok(t, err)
	avoidable, err := c.hall.ReportPapers(t.Context(), c.acting, c.applicant, "statement", "identity")
	ok(t, err)
	if len(avoidable) != 1 || avoidable[0] != "identity" {
		t.Errorf("avoidable are %v", avoidable)
	}
	fsck(t, c.Exchange)
}

// TestAReportedPaperStaysAsItWasReported: what comes to be held afterwards does not
// make it avoidable.
func TestAReportedPaperStaysAsItWasReported(t *testing.T) {
	c := newCounter(t)
	for range 2 {
		avoidable, err := c.hall.ReportPapers(t.Context(), c.acting, c.applicant, "birth", "identity")
		ok(t, err)
		if len(avoidable) != 1 || avoidable[0] != "identity" {
			t.Errorf("avoidable are %v", avoidable)
		}
		c.publish(t, c.issuers["birth"], "birth", permitOf("birth", sample.MarketRegulation, 1, ""))
	}
}

// TestTheLongestAgeIsNoLimit: any number of days that an item may say counts as days.
func TestTheLongestAgeIsNoLimit(t *testing.T) {
	c := newCounter(t)
	for code, days := range map[string]uint32{"long": math.MaxUint32, "longer": 110_000_000, "longest": 213_503_982} {
		c.asking(t, code, &recordsv1.Evidence{Topic: "identity", MaxAgeDays: days})
		if s := c.states(t)[code]; s.State != sdk.MaterialHeld {
			t.Errorf("a record of today is too old for %d days: %v", days, s)
		}
	}
}
