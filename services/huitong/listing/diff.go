package listing

import (
	"bytes"
	"encoding/json"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// FieldChange is a field that has one value and should have another, both as
// protobuf-JSON; empty is none.
type FieldChange struct {
	Field string `json:"field"`
	From  string `json:"from,omitempty"`
	To    string `json:"to"`
}

// compare lists the fields that a file mentions and that differ, in the order of
// their numbers. Fields that the exchange fills in are given in own.
func compare(wanted, have proto.Message, own ...protoreflect.Name) []FieldChange {
	w, h := wanted.ProtoReflect(), have.ProtoReflect()
	var changes []FieldChange
	for i := range w.Descriptor().Fields().Len() {
		f := w.Descriptor().Fields().Get(i)
		if slices.Contains(own, f.Name()) || !w.Has(f) || w.Get(f).Equal(h.Get(f)) {
			continue
		}
		changes = append(changes, FieldChange{Field: string(f.Name()), From: text(h, f), To: text(w, f)})
	}
	return changes
}

// overlay gives what the exchange has, with what the file mentions put over it.
func overlay[M proto.Message](wanted, have M) M {
	merged := proto.CloneOf(have)
	m := merged.ProtoReflect()
	wanted.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		m.Set(f, v)
		return true
	})
	return merged
}

// text gives one field as protobuf-JSON.
func text(m protoreflect.Message, f protoreflect.FieldDescriptor) string {
	if !m.Has(f) {
		return ""
	}
	one := m.New()
	one.Set(f, m.Get(f))
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(one.Interface())
	if err != nil {
		return "?"
	}
	var fields map[string]json.RawMessage
	var b bytes.Buffer
	if json.Unmarshal(raw, &fields) != nil || json.Compact(&b, fields[string(f.Name())]) != nil {
		return "?"
	}
	return b.String()
}
