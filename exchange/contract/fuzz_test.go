package contract

import (
	"bytes"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// FuzzRead reads any bytes by any standard contract, and one that has every kind
// of list, with both decoders: they must say the same, and a payload that is
// accepted must decode and give the same fields to everybody.
func FuzzRead(f *testing.F) {
	contracts := append(Standard(), ofNumbers(f))
	for i, c := range contracts {
		for _, m := range samples() {
			if string(m.ProtoReflect().Descriptor().FullName()) == c.Name() {
				f.Add(uint8(i), marshal(f, m))
			}
		}
	}
	f.Add(uint8(0), []byte{0x0a, 0x80})
	about := append(wireField(1, "1"), wireField(2, wang)...)
	for field := range protowire.Number(20) {
		for _, content := range []string{"\x01", "\x80\x02\x02", "\x08\x01\x10\x01", "12345678"} {
			f.Add(uint8(len(contracts)-1), append(bytes.Clone(about), wireField(field+3, content)...))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		c := contracts[int(which)%len(contracts)]
		slow := *c
		slow.decoder = &plainDecoder{c.inner}
		fast, err := c.Read(payload)
		plain, plainErr := slow.Read(payload)
		if !reflect.DeepEqual(fast, plain) || !reflect.DeepEqual(err, plainErr) {
			t.Errorf("hyperpb: %+v %v\ndynamicpb: %+v %v", fast, err, plain, plainErr)
		}
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid {
				t.Errorf("kind %v", k)
			}
			return
		}
		err = c.decoder.decode(payload, func(a protoreflect.Message) {
			_ = slow.decoder.decode(payload, func(b protoreflect.Message) {
				if !proto.Equal(a.Interface(), b.Interface()) {
					t.Errorf("hyperpb: %v\ndynamicpb: %v", a, b)
				}
			})
		})
		if err != nil {
			t.Error(err)
		}
		if _, err := c.ToJSON(payload); err != nil {
			t.Errorf("accepted, but not as JSON: %v", err)
		}
	})
}

// FuzzCompile compiles any descriptor set: it must give a contract or findings,
// in bounded time.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{
		about(usual, fields),
		about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).cel = {id: "a" expression: "this.all(a, this.all(b, a != b))"}];`),
		about(usual, fields+"message In { In in = 1; } In x = 3 [ITEM];"),
		about(usual+` valid_until: "n"`, fields+"map<string, string> n = 3 [ITEM];"),
	} {
		file := compileProto(f, "test.proto", text)
		set := setFrom(file)
		set.File = set.File[len(set.File)-1:]
		f.Add(marshal(f, set), []byte(nil))
	}
	f.Fuzz(func(t *testing.T, raw, payload []byte) {
		set := &descriptorpb.FileDescriptorSet{}
		if proto.Unmarshal(raw, set) != nil {
			return
		}
		c, findings := Compile(set, "test.v1.R", 1)
		if (c == nil) != (len(findings) > 0) {
			t.Fatalf("%v %+v", c, findings)
		}
		if c == nil {
			return
		}
		_, _ = c.Read(payload)
		if again, _ := Compile(set, "test.v1.R", 2); len(Compare(c, again)) > 0 {
			t.Error("a contract is not compatible with itself")
		}
	})
}
