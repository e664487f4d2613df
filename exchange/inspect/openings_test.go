package inspect_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// TestEveryOpeningIsTiedToItsEntry looks at the openings of all entries as each
// party sees them: as they are they are proven; with anything that is altered or
// added they are not.
func TestEveryOpeningIsTiedToItsEntry(t *testing.T) {
	w := newWorld(t)
	w.everything(t)
	seen := map[string]int{}
	for name, by := range map[string]*catalogtest.System{"auditor": w.auditor, "provider": w.security, "consumer": w.civil} {
		for index := range w.Journal.Head().Size {
			e, err := w.ledger.Get(t.Context(), by.Caller, index, true)
			if err != nil {
				continue // not for everybody
			}
			var shown protoreflect.Message
			check := func() error { return verify.CheckReadOpening(e.Entry, e.ReadOpening) }
			switch {
			case e.ReadOpening != nil:
				shown = e.ReadOpening.ProtoReflect()
			case e.RecordOpening != nil:
				shown = e.RecordOpening.ProtoReflect()
				check = func() error { return verify.CheckRecordOpening(e.Entry.GetPublished(), e.RecordOpening) }
			default:
				continue
			}
			kind := string(e.Entry.ProtoReflect().WhichOneof(e.Entry.ProtoReflect().Descriptor().Oneofs().ByName("body")).Name())
			seen[kind]++
			if err := check(); err != nil {
				t.Errorf("%s as the %s sees it: %v", kind, name, err)
				continue
			}
			alterEach(shown, func(path string) {
				if err := check(); err == nil {
					t.Errorf("%s as the %s sees it: proven with another %s", kind, name, path)
				}
			})
		}
	}
	if len(seen) < 15 {
		t.Errorf("openings of %v only", seen)
	}
}

// loose are fields of an opening of a publication that its entry does not commit to
// by themselves: the payload is proven by its contract.
var loose = map[protoreflect.FullName]bool{
	"huitong.ledger.v1.RecordOpening.payload": true, "huitong.ledger.v1.RecordOpening.warnings": true, "huitong.ledger.v1.RecordOpening.from_json": true,
}

// alterEach alters or sets each text and each bytes field of a message and of those
// in it, one after the other, and restores it.
func alterEach(m protoreflect.Message, altered func(path string)) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		was := m.Get(f)
		switch {
		case loose[f.FullName()] || f.Name() == "salts" && !m.Has(f) || idle(m, f):
		case f.IsList() && f.Message() != nil:
			for j := range was.List().Len() {
				alterEach(was.List().Get(j).Message(), altered)
			}
		case f.IsList():
			if list := was.List(); list.Len() > 0 {
				first := protoreflect.ValueOf(proto.CloneOf(m.Interface()).ProtoReflect().Get(f).List().Get(0).Interface())
				list.Set(0, other(first))
				altered(string(f.Name()))
				list.Set(0, first)
			} else {
				m.Mutable(f).List().Append(other(m.NewField(f).List().NewElement()))
				altered(string(f.Name()))
				m.Clear(f)
			}
		case f.Message() != nil && m.Has(f):
			alterEach(was.Message(), altered)
		case f.Message() != nil:
			m.Set(f, m.NewField(f))
			altered(string(f.Name()))
			m.Clear(f)
		case f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind:
			m.Set(f, other(was))
			altered(string(f.Name()))
			m.Set(f, was)
		}
	}
}

// idle says that a salt or a secret ties nothing, for nothing is shown that it would.
func idle(m protoreflect.Message, f protoreflect.FieldDescriptor) bool {
	_, salts := m.Interface().(*ledgerv1.OpeningSalts)
	return (salts || f.Name() == "secret") && !m.Has(f)
}

func other(v protoreflect.Value) protoreflect.Value {
	if text, ok := v.Interface().(string); ok {
		return protoreflect.ValueOfString(text + "1")
	}
	b := append([]byte{}, v.Bytes()...)
	if len(b) == 0 {
		return protoreflect.ValueOfBytes(bytes.Repeat([]byte{1}, verify.HashSize))
	}
	b[0] ^= 1
	return protoreflect.ValueOfBytes(b)
}
