package contract

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

func TestReadTellsWhatTheExchangeNeeds(t *testing.T) {
	for _, c := range []struct {
		message  proto.Message
		key      string
		subjects []Subject
		from     string
		until    string
	}{
		{certificate(), certificate().Identifier, []Subject{{"111", wang, "holder"}}, "2025-01-02", "2035-01-01"},
		{samples()[3], "9999990001", []Subject{{"111", wang, "head"}, {"111", li, "spouse"}, {"999", "99990001-3", "child"}}, "", ""},
		{samples()[4], "J999999-2015-000001", []Subject{{"111", wang, "spouse"}, {"111", li, "spouse"}}, "", ""},
		{samples()[6], "示(2020)示范市不动产权第0000001号", []Subject{{"111", wang, "holder"}, {"111", li, "co-owner"}}, "2001-01-01", "2070-12-31"},
		{serviceItem(), itemCode, nil, "", ""},
		{samples()[10], "ZX-2025-000001", []Subject{}, "", ""},
	} {
		got, err := contractOf(t, c.message).Read(marshal(t, c.message))
		if err != nil {
			t.Errorf("%T: %v", c.message, err)
			continue
		}
		want := &Record{Key: c.key, Subjects: c.subjects, ValidFrom: c.from, ValidUntil: c.until}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%T: got %+v, want %+v", c.message, got, want)
		}
	}
}

// badRecords are certificates that break one rule each.
var badRecords = []struct {
	name  string
	edit  func(*recordsv1.Certificate)
	field string
	rule  string
}{
	{"empty key", func(c *recordsv1.Certificate) { c.Identifier = "" }, "identifier", "key.required"},
	{"key of spaces", func(c *recordsv1.Certificate) { c.Identifier = " \t" }, "identifier", "key.required"},
	{"key with a line break", func(c *recordsv1.Certificate) { c.Identifier = "a\nb" }, "identifier", "key.form"},
	{"check digit", func(c *recordsv1.Certificate) { c.HolderNumber = "999999199001010017" }, "holder_number", "identifier.resident_id"},
	{"birth date", func(c *recordsv1.Certificate) { c.HolderNumber = "999999199013010017" }, "holder_number", "identifier.resident_id"},
	{"credit code", func(c *recordsv1.Certificate) { c.IssuerCode = "11999900MB0000027A" }, "issuer_code", "identifier.credit_code"},
	{"organisation with a person's number", func(c *recordsv1.Certificate) { c.HolderType = "001" }, "holder_number", "identifier.credit_code"},
	{"subject type", func(c *recordsv1.Certificate) { c.HolderType = "112" }, "holder_number", "subject.type"},
	{"no subject type", func(c *recordsv1.Certificate) { c.HolderType = "" }, "holder_type", "required"},
	{"no subject", func(c *recordsv1.Certificate) { c.HolderNumber = "" }, "holder_number", "subject.number"},
	{"region", func(c *recordsv1.Certificate) { c.Region = "990001" }, "region", "identifier.region"},
	{"day that does not exist", func(c *recordsv1.Certificate) { c.IssueDate = "2025-02-29" }, "issue_date", "date"},
	{"validity that does not exist", func(c *recordsv1.Certificate) { c.ValidUntil = "2035-13-01" }, "valid_until", "date"},
	{"validity ending before it begins", func(c *recordsv1.Certificate) { c.ValidUntil = "2025-01-01" }, "valid_until", "validity.order"},
	{"no name", func(c *recordsv1.Certificate) { c.Name = "" }, "name", "string.min_len"},
	{"long name", func(c *recordsv1.Certificate) { c.Name = strings.Repeat("名", 201) }, "name", "string.max_len"},
	{"very long name", func(c *recordsv1.Certificate) { c.Name = strings.Repeat("名", 2001) }, "name", "string.max_len"},
	{"second holder's check digit", func(c *recordsv1.Certificate) {
		c.CoHolders = []*recordsv1.CoHolder{{Type: "111", Number: li, Name: "李华"}, {Type: "111", Number: "999999195003010039", Name: "张三"}}
	}, "co_holders[1].number", "identifier.resident_id"},
	{"second holder's name", func(c *recordsv1.Certificate) {
		c.CoHolders = []*recordsv1.CoHolder{{Type: "111", Number: li}}
	}, "co_holders[0].name", "string.min_len"},
	{"too many holders", func(c *recordsv1.Certificate) {
		for range 65 {
			c.CoHolders = append(c.CoHolders, &recordsv1.CoHolder{Type: "999", Number: "1", Name: "x"})
		}
	}, "co_holders", "repeated.max_items"},
}

func TestBadRecordsAreRefusedByFieldAndRule(t *testing.T) {
	c := contractOf(t, certificate())
	for _, bad := range badRecords {
		m := certificate()
		bad.edit(m)
		_, err := c.Read(marshal(t, m))
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid {
			t.Errorf("%s: %v", bad.name, err)
			continue
		}
		if !has(f.Violations, bad.field, bad.rule) {
			t.Errorf("%s: got %+v, want %s on %s", bad.name, f.Violations, bad.rule, bad.field)
		}
		noValues(t, bad.name, m, f)
	}
}

// noValues checks that no text of a fault holds a value of the record.
func noValues(t *testing.T, name string, m *recordsv1.Certificate, f *fault.Error) {
	t.Helper()
	text := f.Error()
	for _, v := range f.Violations {
		text += "\n" + v.Field + " " + v.Message
	}
	values := []string{m.HolderNumber, m.HolderName, m.IssuerCode, m.IssueDate, m.ValidUntil, m.Number}
	for _, h := range m.CoHolders {
		values = append(values, h.Number, h.Name)
	}
	for _, v := range values {
		if len(v) > 3 && strings.Contains(text, v) {
			t.Errorf("%s: %q tells %q", name, text, v)
		}
	}
}

func has(violations []fault.Violation, field, rule string) bool {
	return slices.ContainsFunc(violations, func(v fault.Violation) bool { return v.Field == field && v.Rule == rule })
}

func TestAllViolationsAreToldAtOnce(t *testing.T) {
	m := certificate()
	m.HolderNumber, m.Name, m.IssueDate, m.Region = "999999199001010017", "", "2025-02-30", "1"
	_, err := contractOf(t, m).Read(marshal(t, m))
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatal(err)
	}
	var got []string
	for _, v := range f.Violations {
		got = append(got, v.Field+" "+v.Rule)
	}
	want := []string{"name string.min_len", "issue_date date", "holder_number identifier.resident_id", "region identifier.region"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWarningsDoNotRefuse(t *testing.T) {
	m := certificate()
	m.Identifier = "旧证第123号"
	m.HolderNumber = "999999900101001"
	got, err := contractOf(t, m).Read(marshal(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Warnings) != 2 || !has(got.Warnings, "identifier", "identifier.certificate_id") || !has(got.Warnings, "holder_number", "identifier.resident_id.old_form") {
		t.Errorf("got %+v", got.Warnings)
	}
	if got.Key != "旧证第123号" || got.Subjects[0] != (Subject{"111", wang, "holder"}) {
		t.Errorf("got %+v", got)
	}
}

// TestContractsChooseWarnings reads records that break rules which their
// contract makes warnings, the record with very many values included.
func TestContractsChooseWarnings(t *testing.T) {
	c := compiled(t, about(usual+` warnings: "soft" warnings: "identifier.resident_id" warnings: "int32.lt"`, fields+
		`option (buf.validate.message).cel = {id: "soft" message: "m" expression: "this.id != 'x'"};
		option (buf.validate.message).cel = {id: "hard" message: "m" expression: "this.id != 'y'"};
		repeated int32 n = 3 [ITEM, (buf.validate.field).repeated.items.int32.lt = 5];`), 1)
	numbers := func(n int) string { return "[" + strings.Repeat("7,", n) + "7]" }
	for text, want := range map[string]string{
		`{"id":"x","who":"` + wang + `"}`: "soft",
		`{"id":"z","who":"1"}`:            "identifier.resident_id",
		`{"id":"x","who":"` + wang + `","n":` + numbers(3*manyElements) + `}`: "soft",
		`{"id":"y","who":"` + wang + `","n":` + numbers(3*manyElements) + `}`: "refused",
	} {
		payload, err := c.FromJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Read(payload)
		switch {
		case err != nil && (want != "refused" || fault.RuleOf(err) != "hard"):
			t.Errorf("%.40s: %v", text, err)
		case err == nil && (len(got.Warnings) > maxViolations || got.Warnings[0].Rule != want):
			t.Errorf("%.40s: %+v", text, got.Warnings)
		}
	}
	got, err := c.Read(marshal(t, &recordsv1.Person{IdType: "z", IdNumber: " a1x "}))
	if err != nil || got.Subjects[0].Number != "A1X" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestPeopleWithoutANumberHaveAWayIn(t *testing.T) {
	m := &recordsv1.Person{IdType: "999", IdNumber: "福利院2025-07", Name: "未知"}
	got, err := contractOf(t, m).Read(marshal(t, m))
	if err != nil || got.Subjects[0] != (Subject{"999", "福利院2025-07", "holder"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// wireField writes one length-delimited field.
func wireField(number protowire.Number, content string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), content)
}

func TestBytesThatAreNoRecordAreRefused(t *testing.T) {
	c := contractOf(t, certificate())
	good := marshal(t, certificate())
	plus := func(extra ...byte) []byte { return append(slices.Clone(good), extra...) }
	inner := wireField(12, string(append(wireField(1, "111"), wireField(9, "x")...)))
	for _, bad := range []struct {
		name    string
		payload []byte
		field   string
		rule    string
	}{
		{"unknown field", plus(wireField(99, "x")...), "#99", "unknown_field"},
		{"unknown inner field", plus(inner...), "co_holders[0].#9", "unknown_field"},
		{"unknown group", plus(protowire.AppendTag(protowire.AppendTag(nil, 77, protowire.StartGroupType), 77, protowire.EndGroupType)...), "#77", "unknown_field"},
		{"cut short", good[:len(good)-3], "remarks", "malformed"},
		{"cut tag", plus(0x80), "", "malformed"},
		{"padded tag", plus(0x9a, 0x81, 0x80, 0x80, 0x80, 0x00, 0x00), "", "malformed"},
		{"length over the end", plus(protowire.AppendVarint(protowire.AppendTag(nil, 12, protowire.BytesType), 1<<40)...), "co_holders[0]", "malformed"},
		{"field number 0", plus(0x02, 0x00), "", "malformed"},
		{"wire type", plus(protowire.AppendVarint(protowire.AppendTag(nil, 12, protowire.VarintType), 1)...), "co_holders[0]", "malformed"},
		{"end of a group", plus(protowire.AppendTag(nil, 12, protowire.EndGroupType)...), "co_holders[0]", "malformed"},
		{"broken UTF-8", wireField(11, "\xff\xfe"), "holder_name", "utf8"},
		{"broken UTF-8 inside", wireField(17, string(wireField(2, "\xc3"))), "face_items[0].value", "utf8"},
		{"inner message cut short", wireField(17, "\x0a\x05ab"), "face_items[0].title", "malformed"},
		{"field twice", plus(wireField(11, "另一人")...), "holder_name", "duplicate_field"},
		{"empty", nil, "identifier", "key.required"},
	} {
		_, err := c.Read(bad.payload)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || !has(f.Violations, bad.field, bad.rule) {
			t.Errorf("%s: %v %+v, want %s on %q", bad.name, err, f, bad.rule, bad.field)
		}
	}
	if _, err := c.Read(make([]byte, MaxPayload+1)); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("too large: %v", err)
	}
}

func TestFieldOrderDoesNotMatter(t *testing.T) {
	c := contractOf(t, certificate())
	var fields [][]byte
	for b := marshal(t, certificate()); len(b) > 0; {
		_, _, n := protowire.ConsumeField(b)
		fields = append(fields, b[:n])
		b = b[n:]
	}
	slices.Reverse(fields)
	got, err := c.Read(slices.Concat(fields...))
	want, _ := c.Read(marshal(t, certificate()))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestHostileRecordsCostLittle(t *testing.T) {
	c := contractOf(t, &recordsv1.ServiceItem{})
	for name, payload := range map[string][]byte{
		"unknown fields":    slices.Repeat([]byte{0xf8, 0x07, 0x01}, MaxPayload/3),
		"empty steps":       slices.Repeat([]byte{0x5a, 0x00}, MaxPayload/2),
		"enum values":       append(protowire.AppendVarint([]byte{0x42}, MaxPayload-16), make([]byte, MaxPayload-16)...),
		"unpacked values":   slices.Repeat([]byte{0x40, 0x01}, MaxPayload/2),
		"broken inside":     slices.Repeat([]byte{0x5a, 0x02, 0x0a, 0x05}, MaxPayload/4),
		"one field, often":  slices.Repeat([]byte{0x0a, 0x00}, MaxPayload/2),
		"a very long field": append(protowire.AppendVarint([]byte{0x0a}, MaxPayload-16), make([]byte, MaxPayload-16)...),
	} {
		allocs := testing.AllocsPerRun(2, func() {
			if _, err := c.Read(payload); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		})
		if allocs > 4096 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

func TestReadAllocatesLittle(t *testing.T) {
	c := contractOf(t, certificate())
	payload := marshal(t, certificate())
	if len(payload) < 950 || len(payload) > 1100 {
		t.Errorf("the certificate has %d bytes", len(payload))
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Read(payload) }); n > 12 {
		t.Errorf("%v allocations", n)
	}
}

// TestRecordOutlivesThePayload reads into memory that is overwritten at once.
func TestRecordOutlivesThePayload(t *testing.T) {
	c := contractOf(t, certificate())
	payload := marshal(t, certificate())
	got, err := c.Read(payload)
	if err != nil {
		t.Fatal(err)
	}
	clear(payload)
	if got.Key != certificate().Identifier || got.Subjects[0].Number != wang || got.ValidUntil != "2035-01-01" {
		t.Errorf("got %+v", got)
	}
}

func TestContractsAreReadConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				m := samples()[i%len(samples())]
				if _, err := contractOf(t, m).Read(marshal(t, m)); err != nil {
					t.Errorf("%T: %v", m, err)
				}
				bad := certificate()
				bad.HolderNumber = "1"
				if _, err := contractOf(t, bad).Read(marshal(t, bad)); fault.KindOf(err) != fault.Invalid {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	wg.Wait()
}
