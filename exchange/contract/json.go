package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// MaxJSON is the largest record as JSON, in bytes: the same record takes more
// room than as protobuf.
const MaxJSON = 4 * MaxPayload

// FromJSON turns a record in protobuf-JSON into deterministic protobuf bytes:
// equal records give equal bytes, whatever the order and spacing of the JSON.
// Fields may have their protobuf or their JSON names. What is wrong is named by
// field; rules are for Read.
func (c *Contract) FromJSON(text []byte) ([]byte, error) {
	if len(text) > MaxJSON {
		return nil, fault.New(fault.TooLarge, "payload.size", "the record is larger than %d bytes of JSON", MaxJSON)
	}
	m := dynamicpb.NewMessage(c.desc)
	if err := fromJSON.Unmarshal(text, m); err != nil {
		// The error's text quotes values, so the field is looked for anew.
		return nil, c.blame(text)
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fault.New(fault.Invalid, "json.type", "the record cannot be written as protobuf")
	}
	if len(payload) > MaxPayload {
		return nil, fault.New(fault.TooLarge, "payload.size", "the record is larger than %d bytes", MaxPayload)
	}
	return payload, nil
}

// ToJSON gives a payload, whole or cut, as protobuf-JSON with the protobuf
// names of the fields: those by which findings and grants name them.
func (c *Contract) ToJSON(payload []byte) ([]byte, error) {
	r := report{}
	s := scanner{report: &r}
	s.message(payload, c.layout)
	if err := r.err(); err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(c.desc)
	if err := proto.Unmarshal(payload, m); err != nil {
		return nil, fault.New(fault.Invalid, malformed.rule, "%s", malformed.message)
	}
	text, err := toJSON.Marshal(m)
	if err != nil {
		return nil, fault.New(fault.Invalid, "json.type", "the record cannot be written as JSON")
	}
	// protojson varies its spacing from build to build.
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return nil, fault.New(fault.Invalid, "json.type", "the record cannot be written as JSON")
	}
	return b.Bytes(), nil
}

var (
	fromJSON = protojson.UnmarshalOptions{RecursionLimit: 2 * maxDepth}
	toJSON   = protojson.MarshalOptions{UseProtoNames: true}
)

// blame finds which fields of a JSON record cannot be taken, without their
// values.
func (c *Contract) blame(text []byte) error {
	r := report{}
	blameObject(text, c.desc, &r)
	if len(r.errors) == 0 {
		r.add(problem{"json.syntax", "the text is not a JSON object of this contract"})
	}
	return r.err()
}

func blameObject(text []byte, md protoreflect.MessageDescriptor, r *report) {
	seen := map[protoreflect.FieldNumber]bool{}
	err := eachMember(text, func(name string, value json.RawMessage) {
		if r.full() {
			return
		}
		fd := md.Fields().ByJSONName(name)
		if fd == nil {
			fd = md.Fields().ByTextName(name)
		}
		if fd == nil {
			// The name is what the caller wrote, not data of a person.
			r.at.enter(clip(name), -1)
			r.add(problem{"unknown_field", "the contract has no field of this name"})
			r.at.leave()
			return
		}
		r.at.enter(string(fd.Name()), -1)
		defer r.at.leave()
		if seen[fd.Number()] {
			r.add(problem{"duplicate_field", "the field is there already"})
		}
		seen[fd.Number()] = true
		blameValue(value, fd, r)
	})
	if err != nil {
		r.add(problem{"json.syntax", "is not a JSON object"})
	}
}

// blameValue tries one member alone, and looks into it if it is a message.
func blameValue(value json.RawMessage, fd protoreflect.FieldDescriptor, r *report) {
	name, _ := json.Marshal(fd.JSONName())
	alone := bytes.Join([][]byte{[]byte("{"), name, []byte(":"), value, []byte("}")}, nil)
	if fromJSON.Unmarshal(alone, dynamicpb.NewMessage(fd.ContainingMessage())) == nil {
		return
	}
	before := len(r.errors)
	inner := fd.Message()
	switch {
	case inner == nil || fd.IsMap() || inner.ParentFile().Package() == "google.protobuf":
	case fd.IsList():
		var elements []json.RawMessage
		if json.Unmarshal(value, &elements) != nil {
			break
		}
		for i, e := range elements {
			if r.full() {
				break
			}
			r.at.element(i)
			blameObject(e, inner, r)
		}
		r.at.element(-1)
	default:
		blameObject(value, inner, r)
	}
	if len(r.errors) > before {
		return
	}
	if utf8.Valid(value) {
		r.add(problem{"json.type", "the value is not the JSON of a field of type " + typeName(fd)})
	} else {
		r.add(problem{"utf8", "the text is not valid UTF-8"})
	}
}

// eachMember gives the members of a JSON object in their order, repeats
// included.
func eachMember(text []byte, member func(name string, value json.RawMessage)) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errNoObject
	}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return errNoObject
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return errNoObject
		}
		member(name, value)
	}
	if _, err := d.Token(); err != nil {
		return errNoObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errNoObject
	}
	return nil
}

var errNoObject = errors.New("no JSON object")

// clip bounds a name that a caller wrote.
func clip(name string) string {
	if len(name) <= 64 {
		return name
	}
	return string([]rune(name)[:min(16, len([]rune(name)))]) + "…"
}
