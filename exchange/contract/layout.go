package contract

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// layout is one message type as the scan of a payload needs it: a table by
// field number.
type layout struct {
	desc   protoreflect.MessageDescriptor
	fields []*field // by number for the low numbers, nil where there is none
	high   map[protowire.Number]*field
	all    []*field
	// checks are the fields whose values Go code checks, inside those of
	// checked messages; see checks.go.
	checks []*check
}

// field is one field of a layout.
type field struct {
	desc     protoreflect.FieldDescriptor
	name     string
	number   protowire.Number
	wire     protowire.Type
	packable bool
	list     bool // repeated, a map included
	text     bool // a string, so its bytes are UTF-8
	boolean  bool // a varint that is 0 or 1
	bit      int  // place among the singular fields; -1 in a list
	slot     int  // place among the lists
	oneof    int  // place of its oneof behind the singular fields; -1 if in none
	message  *layout
	// Bounds that the scan enforces, because what rules cost was estimated by
	// them; 0 where the contract states none.
	maxItems uint64
	maxBytes uint64
}

// lengthRule is the rule that a value over maxBytes breaks.
func (f *field) lengthRule() string {
	if f.text {
		return "string.max_len"
	}
	return "bytes.max_len"
}

// lowFields is how far a layout is a table; numbers above are in a map.
const lowFields = 64

func (l *layout) find(n protowire.Number) *field {
	if int(n) < len(l.fields) {
		return l.fields[n]
	}
	return l.high[n]
}

func (l *layout) put(f *field) {
	l.all = append(l.all, f)
	if f.number >= lowFields {
		if l.high == nil {
			l.high = map[protowire.Number]*field{}
		}
		l.high[f.number] = f
		return
	}
	if need := int(f.number) + 1; need > len(l.fields) {
		l.fields = append(l.fields, make([]*field, need-len(l.fields))...)
	}
	l.fields[f.number] = f
}

// newField gives the layout's view of a field; its message is filled by shape.
func newField(fd protoreflect.FieldDescriptor) *field {
	f := &field{
		desc: fd, name: string(fd.Name()), number: protowire.Number(fd.Number()),
		wire: wireType(fd.Kind()), list: fd.IsList() || fd.IsMap(),
		text: fd.Kind() == protoreflect.StringKind, boolean: fd.Kind() == protoreflect.BoolKind, bit: -1, oneof: -1,
	}
	f.packable = fd.IsList() && f.wire != protowire.BytesType
	return f
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return protowire.Fixed32Type
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return protowire.Fixed64Type
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	default:
		return protowire.VarintType
	}
}

// Bounds of a contract's message types, so that a payload's depth and a
// registration's cost are bounded by the contract and not by what is sent.
const (
	maxDepth         = 16
	maxMessageTypes  = 256
	maxMessageFields = 256
	maxLists         = 64
)

// shape walks all message types of a contract once.
type shape struct {
	v       *verdict
	layouts map[protoreflect.FullName]*layout
	order   []protoreflect.MessageDescriptor // inner types before outer ones
	path    []protoreflect.FullName
	paths   map[protoreflect.FullName]string // where each type was met first
	// foreign says that a message of google.protobuf is used.
	foreign bool
}

// walk gives the layout of a message type at a path, or nil where findings
// were added.
func (s *shape) walk(md protoreflect.MessageDescriptor, path string) *layout {
	name := md.FullName()
	if slices.Contains(s.path, name) {
		s.v.add(path, "message.recursive", "%s contains itself; a contract has a depth", md.FullName())
		return nil
	}
	if l, ok := s.layouts[name]; ok {
		return l
	}
	if len(s.path) >= maxDepth || len(s.layouts) >= maxMessageTypes {
		s.v.add(path, "message.size", "more than %d levels or %d message types", maxDepth, maxMessageTypes)
		return nil
	}
	s.path = append(s.path, name)
	defer func() { s.path = s.path[:len(s.path)-1] }()
	l := &layout{desc: md}
	s.layouts[name], s.paths[name] = l, path
	s.checkMessage(md, path)
	fields := md.Fields()
	for i := range min(fields.Len(), maxMessageFields) {
		s.walkField(l, fields.Get(i), join(path, fields.Get(i).Name()))
	}
	number(l, md)
	s.order = append(s.order, md)
	return l
}

// pathOf is the path from the contract to a message type.
func (s *shape) pathOf(md protoreflect.MessageDescriptor) string { return s.paths[md.FullName()] }

func (s *shape) walkField(l *layout, fd protoreflect.FieldDescriptor, path string) {
	f := newField(fd)
	l.put(f)
	switch {
	case fd.Kind() == protoreflect.GroupKind:
		s.v.add(path, "field.group", "groups (delimited fields) are not supported")
		return
	case fd.Cardinality() == protoreflect.Required:
		s.v.add(path, "field.required", "a required field cannot be withheld; state the rule (buf.validate.field).required instead")
	case fd.Enum() != nil && fd.Enum().IsClosed():
		s.v.add(path, "enum.closed", "a closed enum hides unknown values; use proto3 or an open enum")
	}
	if fd.Enum() != nil && legacyJSON(fd.Enum()) {
		s.v.add(path, "file.json", "%s comes from proto2 or has features.json_format LEGACY_BEST_EFFORT; its JSON is not defined", fd.Enum().FullName())
	}
	if fd.HasDefault() {
		s.v.add(path, "field.default", "a default value cannot be told from a withheld field")
	}
	if fd.Message() != nil {
		f.message = s.walk(fd.Message(), path)
	}
	f.maxItems, f.maxBytes = bounds(fd)
}

func (s *shape) checkMessage(md protoreflect.MessageDescriptor, path string) {
	switch {
	case md.FullName() == "google.protobuf.Any":
		s.v.add(path, "message.any", "google.protobuf.Any can hold what no rule has checked")
	case md.ParentFile().Package() == "google.protobuf":
		s.foreign = true
	}
	if legacyJSON(md) {
		s.v.add(path, "file.json", "%s comes from proto2 or has features.json_format LEGACY_BEST_EFFORT; its JSON is not defined", md.FullName())
	}
	if md.ExtensionRanges().Len() > 0 {
		s.v.add(path, "message.extensions", "%s can be extended by fields that the contract does not name", md.FullName())
	}
	if n := md.Fields().Len(); n > maxMessageFields {
		s.v.add(path, "message.size", "%s has more than %d fields", md.FullName(), maxMessageFields)
	}
	lists := 0
	for i := range md.Fields().Len() {
		if md.Fields().Get(i).Cardinality() == protoreflect.Repeated {
			lists++
		}
	}
	if lists > maxLists {
		s.v.add(path, "message.size", "%s has more than %d repeated fields", md.FullName(), maxLists)
	}
	if path == "" && md.Fields().Len() == 0 {
		s.v.add(path, "message.empty", "a contract has fields")
	}
}

// legacyJSON reports whether protobuf does not promise a JSON form of a type.
func legacyJSON(d protoreflect.Descriptor) bool {
	if d.ParentFile().Syntax() == protoreflect.Proto2 {
		return true
	}
	for ; d != nil; d = d.Parent() {
		o, ok := d.Options().(interface {
			GetFeatures() *descriptorpb.FeatureSet
		})
		if ok && o.GetFeatures() != nil && o.GetFeatures().JsonFormat != nil {
			return o.GetFeatures().GetJsonFormat() == descriptorpb.FeatureSet_LEGACY_BEST_EFFORT
		}
	}
	return false
}

// number numbers the singular fields, the oneofs and the lists of a layout.
func number(l *layout, md protoreflect.MessageDescriptor) {
	next, lists := 0, 0
	for _, f := range l.all {
		if f.list {
			f.slot = min(lists, maxLists-1)
			lists++
		} else {
			f.bit = next
			next++
		}
	}
	for _, f := range l.all {
		if o := f.desc.ContainingOneof(); o != nil && !o.IsSynthetic() {
			f.oneof = next + o.Index()
		}
	}
}
