package reuse_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/reuse"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

const today = "2026-06-30"

func standard(t testing.TB, m proto.Message) *contract.Contract {
	t.Helper()
	for _, k := range contract.Standard() {
		if k.Name() == string(m.ProtoReflect().Descriptor().FullName()) {
			return k
		}
	}
	t.Fatal("not in the standard pack")
	return nil
}

func holds(t *testing.T, text string, m proto.Message) (bool, error) {
	t.Helper()
	c, err := (&reuse.Conditions{}).Get(text, standard(t, m))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	payload, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return c.Holds(context.Background(), payload, today)
}

func household() *recordsv1.Household {
	return &recordsv1.Household{
		HouseholdNumber: "9999990001", Address: "示范区", Members: []*recordsv1.HouseholdMember{{IdType: "111", IdNumber: "999999201010200049", MovedInDate: "2010-10-20"}},
	}
}

func TestAConditionHoldsOverOneRecord(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                   true,
		" ":                                  true,
		`r.household_number == "9999990001"`: true,
		`r.household_number.startsWith("1")`: false,
		`r.members.exists(m, age(m.moved_in_date, today) < 18)`: true,
		`r.members.all(m, age(m.moved_in_date, today) >= 18)`:   false,
		`size(r.members) == 1 && today == "2026-06-30"`:         true,
	} {
		if got, err := holds(t, text, household()); err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
}

func TestAConditionSaysWhichFieldsItReads(t *testing.T) {
	c, err := (&reuse.Conditions{}).Get(`has(r.address) && r.members.exists(m, m.moved_in_date > today) && [r].exists(x, x.household_number != "")`, standard(t, household()))
	if err != nil || !slices.Equal(c.Fields(), []string{"address", "household_number", "members"}) {
		t.Errorf("%v %v", c.Fields(), err)
	}
	c, err = (&reuse.Conditions{}).Get("", standard(t, household()))
	if err != nil || len(c.Fields()) != 0 {
		t.Errorf("%v %v", c.Fields(), err)
	}
}

// TestAFailedConditionTellsNothingOfTheRecord: the engine's own words hold values.
func TestAFailedConditionTellsNothingOfTheRecord(t *testing.T) {
	m := household()
	m.Members[0].MovedInDate = "unbekannt"
	_, err := holds(t, `r.members.exists(m, age(m.moved_in_date, today) < 18)`, m)
	if fault.KindOf(err) != fault.Denied || fault.RuleOf(err) != "evidence.condition" || strings.Contains(err.Error(), "unbekannt") {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	c, err := (&reuse.Conditions{}).Get(`r.members.exists(m, m.id_number == "1")`, standard(t, m))
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		m.Members = append(m.Members, m.Members[0])
	}
	payload, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Holds(ended, payload, today); err != context.Canceled {
		t.Error(err)
	}
}

func TestConditionsAreKeptReady(t *testing.T) {
	var kept reuse.Conditions
	k := standard(t, household())
	first, err := kept.Get(`r.address != ""`, k)
	if err != nil {
		t.Fatal(err)
	}
	again, err := kept.Get(`r.address != ""`, k)
	if err != nil || again != first {
		t.Errorf("compiled twice: %v", err)
	}
	other, err := kept.Get(`r.address != "x"`, k)
	if err != nil || other == first {
		t.Errorf("one condition for two texts: %v", err)
	}
	// The same text over records of another contract is another condition.
	if _, err := kept.Get(`r.address != ""`, standard(t, &recordsv1.Income{})); fault.KindOf(err) != fault.Invalid {
		t.Error(err)
	}
}
