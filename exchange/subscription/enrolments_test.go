package subscription_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// listed goes through all pages, and gives by which entry each enrolment began.
func (x *enrolledWorld) listed(name string, size int) map[string]uint64 {
	x.T.Helper()
	found := map[string]uint64{}
	for after := []byte(nil); ; {
		list, next, err := x.manager.ListEnrolments(x.T.Context(), x.civil.Caller, name, after, size)
		must(x.T, err)
		for _, e := range list {
			what := enrolmentText(e)
			if found[what] != 0 || e.Index == 0 || e.At.AsTime().IsZero() {
				x.T.Fatalf("pages of %d: %v, after %v", size, e, found)
			}
			found[what] = e.Index
		}
		if after = next; after == nil {
			return found
		}
	}
}

func enrolmentText(e *exchangev1.Enrolment) string {
	return fmt.Sprintf("%s:%s for %s", e.Subject.Type, e.Subject.Number, e.CaseNumber)
}

// TestEveryEnrolmentIsListedOnce, wherever a page ends: between subjects, between
// the cases of one, and with the last.
func TestEveryEnrolmentIsListedOnce(t *testing.T) {
	x := newEnrolledWorld(t)
	x.create("s")
	x.opened("SF-1", 1, 2, 3, 4)
	x.opened("SF-2", 1, 2, 3)
	want := map[string]uint64{}
	for _, list := range [][]*exchangev1.Enrolment{
		{enrolment(1, "SF-1"), enrolment(2, "SF-1"), enrolment(3, "SF-1"), enrolment(4, "SF-1")},
		{enrolment(1, "SF-2"), enrolment(2, "SF-2"), enrolment(3, "SF-2")},
	} {
		done := x.enrol("s", list...)
		for _, e := range list {
			want[enrolmentText(e)] = done.Commit.Index
		}
	}
	check := func() {
		t.Helper()
		for size := range 9 { // of 0, the exchange chooses
			if got := x.listed("s", size); !maps.Equal(got, want) {
				t.Errorf("pages of %d: %v, not %v", size, got, want)
			}
		}
	}
	check()
	x.leave("s", enrolment(2, "SF-1"))
	delete(want, "999:K2 for SF-1")
	check()
	x.closed("SF-2")
	for _, key := range []string{"K1", "K2", "K3"} {
		delete(want, "999:"+key+" for SF-2")
	}
	check()
}

// TestEnrolmentsAreTheSubscribersOwn: nobody else learns whom it enrolled, not its
// department's other systems, nor the provider.
func TestEnrolmentsAreTheSubscribersOwn(t *testing.T) {
	x := newEnrolledWorld(t)
	x.create("s")
	x.opened("SF-1", 1)
	x.enrol("s", enrolment(1, "SF-1"))
	for who, caller := range map[string]*identity.Caller{
		"a sister system": x.Enrol(catalogtest.Civil, "archive").Caller, "the provider": x.security.Caller, "the operator": x.Operator,
	} {
		for _, id := range []string{"s", x.civil.Caller.System + "/s"} {
			list, _, err := x.manager.ListEnrolments(t.Context(), caller, id, nil, 0)
			if fault.RuleOf(err) != "subscription.unknown" || list != nil {
				t.Errorf("%s, of %s: %v, %v", who, id, list, err)
			}
		}
	}
	_, _, err := x.manager.ListEnrolments(t.Context(), x.civil.Caller, "s", []byte("forged"), 0)
	if fault.RuleOf(err) != "page_token" {
		t.Errorf("a page token that nobody gave: %v", err)
	}
}
