package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func TestParseSubject(t *testing.T) {
	for text, want := range map[string]sdk.Subject{
		"111:999999199001010016":        {Type: "111", Number: "999999199001010016"},
		"414:E1234 56":                  {Type: "414", Number: "E1234 56"},
		"111:999999199001010016:spouse": {Type: "111", Number: "999999199001010016", Role: "spouse"},
	} {
		if got, err := parseSubject(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "111", "111:", "111: ", ":9", "11:9", "1111:9", "abc:9", "１１１:9", "111:9:a:b", "999999199001010016"} {
		if got, err := parseSubject(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func FuzzParseSubject(f *testing.F) {
	f.Add("111:999999199001010016")
	f.Add("001::")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSubject(text)
		if err != nil {
			return
		}
		again := s.Type + ":" + s.Number
		if s.Role != "" || strings.Count(text, ":") > 1 {
			again += ":" + s.Role
		}
		if again != text || len(s.Type) != 3 || strings.TrimSpace(s.Number) == "" {
			t.Fatalf("%q is read as %+v", text, s)
		}
	})
}

func TestParseStart(t *testing.T) {
	for _, text := range []string{"current", "new", "all", "index:42", "time:2026-03-01T01:00:00Z"} {
		s, err := parseStart(text)
		if err != nil || startText(s) != text {
			t.Errorf("%q: %s, %v", text, startText(s), err)
		}
	}
	for _, text := range []string{"", "current:", "index", "index:", "index:-1", "time:", "time:yesterday", "later"} {
		if _, err := parseStart(text); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

func TestParseTime(t *testing.T) {
	day, err := parseTime("2026-03-01")
	if err != nil || day.UTC().Format("2006-01-02 15:04") != "2026-02-28 16:00" {
		t.Errorf("a day begins at %v (%v); days are of Asia/Shanghai", day.UTC(), err)
	}
	if _, err := parseTime("01/03/2026"); err == nil {
		t.Error("a date of another order is read")
	}
}

// TestEnums: every value of the enums that flags take is read as it is printed.
func TestEnums(t *testing.T) {
	testEnum[cataloguev1.Role](t)
	testEnum[cataloguev1.SharingClass](t)
	testEnum[cataloguev1.DeliveryMode](t)
	testEnum[cataloguev1.Compatibility](t)
	testEnum[accessv1.GrantScope](t)
	testEnum[sdk.Operation](t)
	if got := enumText(cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED); got != "not-shared" {
		t.Error(got)
	}
	if op, err := parseOperation(""); err != nil || op != sdk.Put {
		t.Error(op, err)
	}
	if _, err := parseOperation("unspecified"); err == nil {
		t.Error("an unspecified operation is read")
	}
}

func testEnum[E interface {
	comparable
	protoreflect.Enum
}](t *testing.T) {
	t.Helper()
	var zero E
	values := zero.Descriptor().Values()
	for i := 1; i < values.Len(); i++ {
		want := zero.Type().New(values.Get(i).Number()).(E)
		got, err := enumValue[E]("--flag", enumText(want))
		if err != nil || got != want {
			t.Errorf("%v is printed as %q and read as %v (%v)", want, enumText(want), got, err)
		}
	}
}

func FuzzContexts(f *testing.F) {
	f.Add([]byte(`{"current":"a","contexts":{"a":{"address":"x:1"}}}`))
	f.Add([]byte(`{"contexts":null}`))
	f.Add([]byte(`{"contexts":{"a b":{}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseContexts(raw)
		if err != nil {
			return
		}
		if c.Current != "" {
			if _, _, err := c.pick(""); err != nil {
				t.Fatalf("%s: the current context is not there: %v", raw, err)
			}
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseContexts(text)
		if err != nil || again.Current != c.Current || len(again.Contexts) != len(c.Contexts) {
			t.Fatalf("%s is not read as written: %v", raw, err)
		}
	})
}

// TestTable: columns stand under each other on a terminal, where a Chinese
// character takes two places, and no text can forge a row.
func TestTable(t *testing.T) {
	var b bytes.Buffer
	tab := newTable(&b, "NAME", "STATE", "WHY")
	for _, row := range [][]string{{"示范市公安局", "active", ""}, {"x", "suspended", "a\nb\x1b[2K\u202e"}} {
		if err := tab.row(row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := tab.flush(); err != nil {
		t.Fatal(err)
	}
	want := "NAME          STATE      WHY\n示范市公安局  active\nx             suspended  a b [2K\n"
	if b.String() != want {
		t.Errorf("\n%q, not\n%q", b.String(), want)
	}
}

// TestExitCodes: every kind of error ends in a code, and says in words what to do
// where something can be done.
func TestExitCodes(t *testing.T) {
	for _, kind := range fault.Kinds() {
		want := exitFailed
		switch kind {
		case fault.Denied, fault.Unauthenticated, fault.Lapsed:
			want = exitRefused
		case fault.Unavailable, fault.Timeout, fault.Limited:
			want = exitUnreachable
		}
		err := fmt.Errorf("outer: %w", fault.New(kind, "a.rule", "what to do"))
		if got := codeOf(err); got != want {
			t.Errorf("%s ends with %d, not %d", kind, got, want)
		}
		r := reportOf(err)
		if r.Kind != kind.String() || r.Rule != "a.rule" || r.Message != "outer: what to do" {
			t.Errorf("%s: %+v", kind, r)
		}
	}
	if got := codeOf(fault.Wrap(fault.Internal, "x", sdk.ErrUnproven, "y")); got != exitUnproven {
		t.Errorf("an answer that does not prove itself ends with %d", got)
	}
	if got := codeOf(usageError("x")); got != exitUsage {
		t.Errorf("a usage error ends with %d", got)
	}
	r := reportOf(advise(errors.Join(errors.New("a"), errors.New("b")), "do c"))
	if r.Message != "a; b" || r.Next != "do c" {
		t.Errorf("%+v", r)
	}
}
