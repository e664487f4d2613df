package sample_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

func records(c *sample.City) []proto.Message {
	var all []proto.Message
	all = add(all, c.Persons())
	all = add(all, c.Households())
	all = add(all, c.Marriages())
	all = add(all, c.Incomes())
	all = add(all, c.Properties())
	all = add(all, c.Enterprises())
	all = add(all, c.Disabilities())
	return add(all, c.Certificates())
}

func add[M proto.Message](all []proto.Message, more []M) []proto.Message {
	for _, m := range more {
		all = append(all, m)
	}
	return all
}

// TestRecordsAreValid reads every record as the exchange does: no error, no
// warning, and keys that are each record's own.
func TestRecordsAreValid(t *testing.T) {
	contracts := make(map[string]*contract.Contract)
	for _, c := range contract.Standard() {
		contracts[c.Name()] = c
	}
	keys := make(map[string]bool)
	for _, m := range records(sample.NewCity(7, 1_500)) {
		name := string(m.ProtoReflect().Descriptor().FullName())
		payload, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		r, err := contracts[name].Read(payload)
		if err != nil {
			t.Fatalf("%v: %v", err, m)
		}
		if len(r.Warnings) > 0 {
			t.Fatalf("%+v: %v", r.Warnings, m)
		}
		if keys[name+" "+r.Key] {
			t.Fatalf("%s: key %q comes twice", name, r.Key)
		}
		keys[name+" "+r.Key] = true
	}
}

func TestEqualSeedsGiveEqualRecords(t *testing.T) {
	first, second := records(sample.NewCity(3, 300)), records(sample.NewCity(3, 300))
	if len(first) != len(second) {
		t.Fatalf("%d and %d records", len(first), len(second))
	}
	for i := range first {
		if !proto.Equal(first[i], second[i]) {
			t.Fatalf("%v is not %v", first[i], second[i])
		}
	}
}

// TestNumbers compares with published and fictional examples.
func TestNumbers(t *testing.T) {
	for _, d := range []struct{ got, want string }{
		{sample.DataAuthority.Code[:8], "11999900"},
		{sample.PublicSecurity.Code, "11999900MB0000019D"},
		{sample.CivilAffairs.Code, "11999900MB00000278"},
		{sample.NewCity(1, 8).Enterprises()[0].CreditCode, "91999900MA0000015N"},
		{sample.CertificateID("11999900MB0000019D001", "11999900MB00000278", "2025000001", 1),
			"1.2.156.3005.2.11999900MB0000019D001.11999900MB00000278.2025000001.001.Q"},
	} {
		if d.got != d.want {
			t.Errorf("%s, not %s", d.got, d.want)
		}
	}
}
