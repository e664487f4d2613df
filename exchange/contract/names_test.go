package contract

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// TestNamesOfASubject: of that subject alone, in one spelling.
func TestNamesOfASubject(t *testing.T) {
	family := &recordsv1.Household{Members: []*recordsv1.HouseholdMember{
		{IdType: "111", IdNumber: wang, Name: "欧阳·小明"},
		{IdType: "111", IdNumber: li, Name: "李华"},
		{IdType: "999", IdNumber: wang, Name: "另有其人"},
	}}
	for _, one := range []struct {
		record proto.Message
		number string
		names  []string
	}{
		{family, wang, []string{"欧阳小明"}},
		{family, li, []string{"李华"}},
		{family, zhang, nil},
		{&recordsv1.Person{IdType: "111", IdNumber: wang, Name: " Ｗang　xiao-ming "}, wang, []string{"WANGXIAOMING"}},
		{&recordsv1.Person{IdType: "111", IdNumber: wang, Name: "·"}, wang, nil},
		{&recordsv1.Notice{Recipient: federal}, federal, nil},
		{&recordsv1.Marriage{PartyAType: "111", PartyANumber: wang, PartyAName: "王明", PartyBType: "111", PartyBNumber: wang, PartyBName: "王大"}, wang, []string{"王明", "王大"}},
	} {
		got, err := contractOf(t, one.record).Names(marshal(t, one.record), "111", one.number)
		if err != nil || !slices.Equal(got, one.names) {
			t.Errorf("%T: %q, not %q (%v)", one.record, got, one.names, err)
		}
	}
}
