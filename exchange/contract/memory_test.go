package contract

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// ofNumbers is a contract with lists of numbers, which hyperpb counts eight bytes at
// once, at its end and inside.
func ofNumbers(t testing.TB) *Contract {
	return compiled(t, about(usual, fields+`
		repeated int64 numbers = 3 [ITEM];
		message In { repeated int64 numbers = 3; }
		repeated In inner = 4 [ITEM];
		bool truth = 5 [ITEM];
		repeated bool truths = 6 [ITEM];
		map<int32, bool> by_number = 7 [ITEM];
		map<string, int64> by_name = 8 [ITEM];
		repeated int32 short = 9 [ITEM];
		repeated sint32 signed = 10 [ITEM];
		repeated sint64 long_signed = 11 [ITEM];
		repeated uint32 whole = 12 [ITEM];
		repeated fixed32 fixed = 13 [ITEM];
		repeated fixed64 long_fixed = 14 [ITEM];
		repeated double real = 15 [ITEM];
		enum E { E_UNSPECIFIED = 0; E_ONE = 1; }
		repeated E ones = 16 [ITEM];
		oneof pick { int32 a = 17 [ITEM]; In b = 18 [ITEM]; }
		optional uint64 n = 19 [ITEM];
		map<uint64, In> deep = 20 [ITEM];`), 1)
}

// TestNothingBehindAPayloadIsRead reads payloads that fill their memory to its
// last byte. Under the race detector, which checks what pointers point to, a look
// behind it ends the program.
func TestNothingBehindAPayloadIsRead(t *testing.T) {
	c := ofNumbers(t)
	subject := append(wireField(1, "1"), wireField(2, wang)...)
	for n := range 64 {
		list := wireField(3, string(bytes.Repeat([]byte{1}, n)))
		exact := make([]byte, len(subject)+len(list))
		copy(exact[copy(exact, subject):], list)
		if _, err := c.Read(exact); err != nil {
			t.Errorf("%d numbers: %v", n, err)
		}
	}
}

// TestAMessageIsOfTheDecodersOwnBytes overwrites a payload while its message is
// in use, and decodes a short one after a long one.
func TestAMessageIsOfTheDecodersOwnBytes(t *testing.T) {
	c := ofNumbers(t)
	id := c.inner.Fields().ByName("id")
	payload := wireField(1, "the key")
	err := c.decoder.decode(payload, func(m protoreflect.Message) {
		clear(payload)
		if got := m.Get(id).String(); got != "the key" {
			t.Errorf("got %q", got)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	var w workspace
	w.take(bytes.Repeat([]byte{0xff}, 100))
	clear(w.bytes)
	for n := range 90 {
		got := w.take(bytes.Repeat([]byte{0xff}, n))
		if behind := w.bytes[n:]; len(got) != n || !bytes.Equal(behind, make([]byte, readAhead)) {
			t.Fatalf("%d bytes, and behind them %x", len(got), behind)
		}
		clear(w.bytes)
	}
}

// ledAstray is a payload whose inner message ends within a tag, which the bytes
// behind it seem to complete, with a length of 32 GiB.
func ledAstray() []byte {
	tag := []byte{3<<3 | 2 | 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}
	payload := append(wireField(1, "1"), wireField(4, string(tag))...)
	return append(payload, 0x00, 0xff, 0xff, 0xff, 0xff, 0x7f)
}

// TestNobodyIsLedPastTheEndOfAMessage reads what leads hyperpb past the end: such
// bytes are refused even where a contract made warnings of everything, and where
// they stand among what was stored.
func TestNobodyIsLedPastTheEndOfAMessage(t *testing.T) {
	lax := *ofNumbers(t)
	lax.warn = map[string]bool{malformed.rule: true, duplicate.rule: true, "unknown_field": true}
	if _, err := lax.Read(ledAstray()); fault.RuleOf(err) != malformed.rule {
		t.Errorf("got %v", err)
	}
	if names, err := lax.Names(ledAstray(), "111", wang); err == nil {
		t.Errorf("got %q", names)
	}
}

// TestTruthIsZeroOrOne: hyperpb keeps the low byte of a repeated bool, so that
// its rules would see false where a receiver sees true.
func TestTruthIsZeroOrOne(t *testing.T) {
	c := ofNumbers(t)
	subject := append(wireField(1, "1"), wireField(2, wang)...)
	number := func(field protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), v)
	}
	for _, v := range []uint64{0, 1, 2, 256, 1 << 63} {
		for place, field := range map[string][]byte{
			"truth":              number(5, v),
			"truths[0]":          number(6, v),
			"truths[0] packed":   wireField(6, string(protowire.AppendVarint(nil, v))),
			"by_number[0].value": wireField(7, string(append(number(1, 1), number(2, v)...))),
		} {
			want := ""
			if v > 1 {
				want = notTruth.rule
			}
			if _, err := c.Read(append(bytes.Clone(subject), field...)); fault.RuleOf(err) != want {
				t.Errorf("%s is %d: %v", place, v, err)
			}
		}
	}
}
