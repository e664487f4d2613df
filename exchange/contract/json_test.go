package contract

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// TestJSONGivesTheSameBytes: a record gives the same payload, and so the same
// digest, whichever way it comes.
func TestJSONGivesTheSameBytes(t *testing.T) {
	for _, m := range samples() {
		c := contractOf(t, m)
		want := marshal(t, m)
		for _, o := range []protojson.MarshalOptions{{}, {UseProtoNames: true, Multiline: true}, {EmitUnpopulated: true}, {UseEnumNumbers: true}} {
			text, err := o.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.FromJSON(text)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %v, %d bytes, want %d", c.Name(), err, len(got), len(want))
			}
		}
		text, err := c.ToJSON(want)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.FromJSON(text); err != nil || !bytes.Equal(again, want) {
			t.Errorf("%s: there and back: %v", c.Name(), err)
		}
	}
}

func TestCutRecordsBecomeJSON(t *testing.T) {
	c := contractOf(t, certificate())
	cut := marshal(t, &recordsv1.Certificate{HolderName: "王小明", ValidUntil: "2035-01-01"})
	got, err := c.ToJSON(cut)
	if err != nil || string(got) != `{"holder_name":"王小明","valid_until":"2035-01-01"}` {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := c.ToJSON(nil); err != nil || string(got) != "{}" {
		t.Errorf("got %s, %v", got, err)
	}
	for name, payload := range map[string][]byte{"unknown field": wireField(99, "x"), "cut short": {0x0a, 0x05}, "broken UTF-8": wireField(11, "\xff")} {
		if _, err := c.ToJSON(payload); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadJSONIsRefusedByField(t *testing.T) {
	c := contractOf(t, &recordsv1.Household{})
	for text, want := range map[string]string{
		``:                                   " json.syntax",
		`null`:                               " json.syntax",
		`[]`:                                 " json.syntax",
		`{`:                                  " json.syntax",
		`{} {}`:                              " json.syntax",
		`{"address":"secret"} x`:             " json.syntax",
		`{"nothing":"secret"}`:               "nothing unknown_field",
		`{"address":{"secret":1}}`:           "address json.type",
		`{"address":17}`:                     "address json.type",
		`{"address":"secret`:                 " json.syntax",
		"{\"address\":\"secret\xff\"}":       "address utf8",
		`{"address":"a","address":"secret"}`: "address duplicate_field",
		`{"kind":"secret"}`:                  "kind json.type",
		`{"members":{"secret":1}}`:           "members json.type",
		`{"members":[{"name":"x"},{"nam":"secret"}]}`:        "members[1].nam unknown_field",
		`{"members":[{"idNumber":"x"},{"name":["secret"]}]}`: "members[1].name json.type",
		`{"members":["secret"]}`:                             "members[0] json.syntax",
		`{"` + strings.Repeat("x", 100) + `":1}`:             strings.Repeat("x", 16) + "… unknown_field",
	} {
		_, err := c.FromJSON([]byte(text))
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Violations[0].Field+" "+f.Violations[0].Rule != want {
			t.Errorf("%s: %v %+v, want %s", text, err, f, want)
			continue
		}
		if strings.Contains(f.Error()+f.Violations[0].Message, "secret") {
			t.Errorf("%s: %v tells a value", text, f)
		}
	}
	if _, err := c.FromJSON(make([]byte, MaxJSON+1)); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("got %v", err)
	}
}

func TestHostileJSONCostsLittle(t *testing.T) {
	c := contractOf(t, &recordsv1.Household{})
	for name, text := range map[string]string{
		"deep lists":     `{"members":` + strings.Repeat("[", 1<<20),
		"deep objects":   strings.Repeat(`{"members":[`, 1<<16),
		"unknown fields": "{" + strings.Repeat(`"x":1,`, 1<<17) + `"y":1}`,
		"bad members":    `{"members":[` + strings.Repeat(`{"x":1},`, 1<<16) + `{}]}`,
		"repeated field": "{" + strings.Repeat(`"members":[1],`, 1<<15) + `"y":1}`,
	} {
		if _, err := c.FromJSON([]byte(text)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzFromJSON(f *testing.F) {
	for _, m := range samples() {
		text, err := protojson.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(0), text)
		f.Add(uint8(3), text)
	}
	f.Add(uint8(3), []byte(`{"members":[{"idNumber":"x"},{"name":["secret"]}]}`))
	f.Fuzz(func(t *testing.T, which uint8, text []byte) {
		c := Standard()[int(which)%len(Standard())]
		payload, err := c.FromJSON(text)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.TooLarge {
				t.Errorf("%v", err)
			}
			return
		}
		if _, err := c.Read(payload); err != nil {
			return
		}
		again, err := c.ToJSON(payload)
		if err != nil {
			t.Fatalf("not back: %v", err)
		}
		if same, err := c.FromJSON(again); err != nil || !bytes.Equal(same, payload) {
			t.Errorf("there and back: %v", err)
		}
	})
}
