package contract

import (
	"slices"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// MaxPayload is the largest record, in bytes, that any contract reads. The
// exchange's own limit is a setting and lower.
const MaxPayload = 1 << 20

// Contract is one compiled version of a contract. It does not change and is safe
// for concurrent use.
type Contract struct {
	name      string
	version   uint32
	desc      protoreflect.MessageDescriptor
	inner     protoreflect.MessageDescriptor // desc under apart
	set       []byte
	options   *options
	layout    *layout
	layouts   map[protoreflect.FullName]*layout
	fields    []uint32
	items     []Item
	validator protovalidate.Validator
	ownRules  map[string]string
	warn      map[string]bool
	softens   bool // a rule of protovalidate's is a warning
	decoder   decoder
}

// Item is one data item as the catalogue shows it: one top-level field, the
// unit of grants.
type Item struct {
	Number      uint32
	Name        string
	Title       string
	Type        string
	Sensitivity uint32
	Repeated    bool
}

// Name is the full name of the contract's message.
func (c *Contract) Name() string { return c.name }

// Version is the number that the registry gave this version, from 1.
func (c *Contract) Version() uint32 { return c.version }

// Title is what a record is called, for people.
func (c *Contract) Title() string { return c.options.title }

// Fields are the numbers of the top-level fields, ascending. The caller does
// not change them.
func (c *Contract) Fields() []uint32 { return c.fields }

// Items describes the top-level fields in the order of their numbers.
func (c *Contract) Items() []Item { return slices.Clone(c.items) }

// KeyPath is the path of the record key.
func (c *Contract) KeyPath() string { return c.options.key.String() }

// KeyField is the number of the top-level field that holds the record key.
func (c *Contract) KeyField() uint32 { return uint32(c.options.key[0].Number()) }

// AboutNobody says that records have no subjects.
func (c *Contract) AboutNobody() bool { return c.options.raw.GetAboutNobody() }

// StatusByKey says that whoever knows a record's key may ask how it stands.
func (c *Contract) StatusByKey() bool { return c.options.raw.GetStatusByKey() }

// DescriptorSet is the serialised google.protobuf.FileDescriptorSet of the
// contract in its canonical form: equal contracts have equal bytes, and Compile
// reads it back. The caller does not change it.
func (c *Contract) DescriptorSet() []byte { return c.set }

// Descriptor is the message descriptor.
func (c *Contract) Descriptor() protoreflect.MessageDescriptor { return c.desc }

// Mask turns names of top-level fields into their numbers, ascending. A name
// that the contract does not have is a fault that names it.
func (c *Contract) Mask(names []string) ([]uint32, error) {
	mask := make([]uint32, 0, len(names))
	var bad []fault.Violation
	for _, name := range names {
		fd := c.desc.Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			bad = append(bad, fault.Violation{Field: name, Rule: "field.unknown", Message: "the contract has no such field"})
			continue
		}
		mask = append(mask, uint32(fd.Number()))
	}
	if len(bad) > 0 {
		return nil, fault.New(fault.Invalid, "field.unknown", "%s has no field %s", c.name, bad[0].Field).With(bad...)
	}
	slices.Sort(mask)
	return slices.Compact(mask), nil
}

func itemsOf(md protoreflect.MessageDescriptor) (items []Item, numbers []uint32) {
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		o := itemOptions(fd)
		items = append(items, Item{
			Number: uint32(fd.Number()), Name: string(fd.Name()), Title: o.GetTitle(), Type: typeName(fd),
			Sensitivity: o.GetSensitivity(), Repeated: fd.Cardinality() == protoreflect.Repeated,
		})
	}
	slices.SortFunc(items, func(a, b Item) int { return int(a.Number) - int(b.Number) })
	for _, item := range items {
		numbers = append(numbers, item.Number)
	}
	return items, numbers
}

// typeName is a field's type as the catalogue shows it: the protobuf name of a
// scalar, or the short name of a message or enum.
func typeName(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.IsMap():
		return "map<" + typeName(fd.MapKey()) + ", " + typeName(fd.MapValue()) + ">"
	case fd.Enum() != nil:
		return string(fd.Enum().Name())
	case fd.Message() != nil:
		return string(fd.Message().Name())
	}
	return fd.Kind().String()
}
