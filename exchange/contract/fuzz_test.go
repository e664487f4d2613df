package contract

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// FuzzRead reads any bytes by any standard contract, with both decoders: they
// must say the same, and a payload that is accepted must decode and give the
// same fields to everybody.
func FuzzRead(f *testing.F) {
	for i, c := range Standard() {
		for _, m := range samples() {
			if string(m.ProtoReflect().Descriptor().FullName()) == c.Name() {
				f.Add(uint8(i), marshal(f, m))
			}
		}
	}
	f.Add(uint8(0), []byte{0x0a, 0x80})
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		c := Standard()[int(which)%len(Standard())]
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
