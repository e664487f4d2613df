package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	contractv1 "github.com/huitong-bus/huitong/proto/gen/huitong/contract/v1"
)

// comparison walks two versions of a contract side by side. On the shape of
// messages it judges as buf breaking's WIRE_JSON category does; what a contract
// says beyond its shape (key, subjects, validity, rules) buf does not know.
type comparison struct {
	old, next *Contract
	seen      map[protoreflect.FullName]bool
	found     []difference
}

func differences(old, next *Contract) []difference {
	c := &comparison{old: old, next: next, seen: map[protoreflect.FullName]bool{}}
	if old.name != next.name {
		c.add("", "message.name", breaksBoth, "the contract is %s and was %s", next.name, old.name)
		return c.found
	}
	c.contractOptions()
	c.messages(old.inner, next.inner, "")
	return c.found
}

func (c *comparison) add(field, rule string, breaks direction, format string, args ...any) {
	if field == "" {
		field = c.next.name
	}
	c.found = append(c.found, difference{
		Finding{Field: field, Rule: rule, Message: ownText(fmt.Sprintf(format, args...)), AgainstVersion: c.old.version}, breaks,
	})
}

// contractOptions compares what the exchange itself reads of a record: both
// versions must find the same key, subjects and validity in the same record.
func (c *comparison) contractOptions() {
	was, is := c.old.options, c.next.options
	if was.key.String() != is.key.String() {
		c.add(is.key.String(), "key.changed", breaksBoth, "the key was %s; records would get other names", was.key)
	}
	if was.validFrom.String() != is.validFrom.String() || was.validUntil.String() != is.validUntil.String() {
		c.add("", "validity.changed", breaksBoth, "the validity was read from other fields")
	}
	kept := func(s *contractv1.SubjectOptions, in []*contractv1.SubjectOptions) bool {
		return slices.ContainsFunc(in, func(o *contractv1.SubjectOptions) bool { return sameSubject(s, o) })
	}
	for _, s := range was.raw.GetSubjects() {
		if !kept(s, is.raw.GetSubjects()) {
			c.add(s.GetNumber(), "subjects.changed", breaksBoth, "this subject was read in another way, or is gone")
		}
	}
	for _, s := range is.raw.GetSubjects() {
		first, _, _ := strings.Cut(s.GetNumber(), ".")
		added := c.old.desc.Fields().ByName(protoreflect.Name(first)) == nil
		if !kept(s, was.raw.GetSubjects()) && !(s.GetOptional() && added) {
			c.add(s.GetNumber(), "subjects.changed", breaksBoth, "a subject can be added only as an optional one, in a field that is new")
		}
	}
	c.warnings()
}

// sameSubject says whether two options read the same subjects. How these are named
// changes nothing of that, and may be said later.
func sameSubject(a, b *contractv1.SubjectOptions) bool {
	a, b = proto.CloneOf(a), proto.CloneOf(b)
	a.NamePath, b.NamePath = "", ""
	return proto.Equal(a, b)
}

// warnings compares the rules that are only warnings: one that becomes an error
// refuses more, and the other way round.
func (c *comparison) warnings() {
	for _, id := range slices.Sorted(maps.Keys(c.old.warn)) {
		if !c.next.warn[id] {
			c.add("", "rules.tightened", breaksBackward, "rule %s was a warning and is an error", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.next.warn)) {
		if !c.old.warn[id] {
			c.add("", "rules.loosened", breaksForward, "rule %s was an error and is a warning", id)
		}
	}
}

// messages compares two versions of one message type.
func (c *comparison) messages(old, next protoreflect.MessageDescriptor, path string) {
	if c.seen[next.FullName()] || len(c.found) >= maxFindings {
		return
	}
	c.seen[next.FullName()] = true
	c.reserved(old, next, path)
	c.messageRules(old, next, path)
	for i := range old.Fields().Len() {
		was := old.Fields().Get(i)
		at := join(path, was.Name())
		if is := next.Fields().ByNumber(was.Number()); is != nil {
			c.fields(was, is, join(path, is.Name()))
		} else {
			c.deleted(was, next, at)
		}
	}
	for i := range next.Fields().Len() {
		is := next.Fields().Get(i)
		if old.Fields().ByNumber(is.Number()) == nil && c.next.refusesAbsent(is) {
			c.add(join(path, is.Name()), "field.required", breaksBackward, "the field is new, and records without it are refused")
		}
	}
}

func (c *comparison) deleted(was protoreflect.FieldDescriptor, next protoreflect.MessageDescriptor, at string) {
	if !next.ReservedRanges().Has(was.Number()) || !next.ReservedNames().Has(was.Name()) {
		c.add(at, "field.deleted", breaksBoth, "the field is gone, and its number %d and name are not both reserved", was.Number())
	}
	if c.old.refusesAbsent(was) {
		c.add(at, "field.required", breaksForward, "the field is gone, and version %d refuses records without it", c.old.version)
	}
}

// reserved checks that what was reserved stays so.
func (c *comparison) reserved(old, next protoreflect.MessageDescriptor, path string) {
	c.reservedNames(old.ReservedNames(), next.ReservedNames(), path)
	var was, is [][2]int64
	for i := range old.ReservedRanges().Len() {
		r := old.ReservedRanges().Get(i)
		was = append(was, [2]int64{int64(r[0]), int64(r[1])})
	}
	for i := range next.ReservedRanges().Len() {
		r := next.ReservedRanges().Get(i)
		is = append(is, [2]int64{int64(r[0]), int64(r[1])})
	}
	c.reservedNumbers(was, is, path)
}

// reservedValues is reserved for enums, whose ranges include their end.
func (c *comparison) reservedValues(old, next protoreflect.EnumDescriptor, at string) {
	c.reservedNames(old.ReservedNames(), next.ReservedNames(), at)
	var was, is [][2]int64
	for i := range old.ReservedRanges().Len() {
		r := old.ReservedRanges().Get(i)
		was = append(was, [2]int64{int64(r[0]), int64(r[1]) + 1})
	}
	for i := range next.ReservedRanges().Len() {
		r := next.ReservedRanges().Get(i)
		is = append(is, [2]int64{int64(r[0]), int64(r[1]) + 1})
	}
	c.reservedNumbers(was, is, at)
}

func (c *comparison) reservedNames(was, is protoreflect.Names, path string) {
	for i := range was.Len() {
		if !is.Has(was.Get(i)) {
			c.add(path, "reserved.deleted", breaksBoth, "name %s was reserved", was.Get(i))
		}
	}
}

func (c *comparison) reservedNumbers(was, is [][2]int64, path string) {
	for _, r := range was {
		if !covers(is, r) {
			c.add(path, "reserved.deleted", breaksBoth, "numbers %d to %d were reserved", r[0], r[1]-1)
		}
	}
}

// covers reports whether all of a range, its end exclusive, is in ranges.
func covers(ranges [][2]int64, r [2]int64) bool {
	for at := r[0]; at < r[1]; {
		reach := at
		for _, in := range ranges {
			if in[0] <= at && at < in[1] {
				reach = max(reach, in[1])
			}
		}
		if reach == at {
			return false
		}
		at = reach
	}
	return true
}

// fields compares two versions of the field of one number.
func (c *comparison) fields(was, is protoreflect.FieldDescriptor, at string) {
	if was.Name() != is.Name() {
		c.add(at, "field.name", breaksBoth, "the field was named %s", was.Name())
	}
	if was.JSONName() != is.JSONName() {
		c.add(at, "field.json_name", breaksBoth, "the field's JSON name was %s", was.JSONName())
	}
	if cardinality(was) != cardinality(is) {
		c.add(at, "field.cardinality", breaksBoth, "the field was %s and is %s", cardinality(was), cardinality(is))
	}
	if a, b := oneofName(was), oneofName(is); a != b {
		c.add(at, "field.oneof", breaksBoth, "the field moved from oneof %q to oneof %q", a, b)
	}
	switch {
	case wireJSONGroup(was.Kind()) != wireJSONGroup(is.Kind()):
		c.add(at, "field.type", breaksBoth, "the field was a %v and is a %v", was.Kind(), is.Kind())
		return
	case is.Message() != nil && was.Message().FullName() != is.Message().FullName() && !(was.IsMap() && is.IsMap()):
		c.add(at, "field.type", breaksBoth, "the field was a %s and is a %s", was.Message().FullName(), is.Message().FullName())
	case is.Message() != nil:
		c.messages(was.Message(), is.Message(), at)
	case is.Enum() != nil:
		c.enums(was.Enum(), is.Enum(), at)
	}
	before := len(c.found)
	c.fieldRules(was, is, at)
	if len(c.found) > before {
		return
	}
	// The same rules meet an empty value or not, by the field's presence.
	switch a, b := c.old.refusesAbsent(was), c.next.refusesAbsent(is); {
	case !a && b:
		c.add(at, "field.required", breaksBackward, "records without the field were accepted")
	case a && !b:
		c.add(at, "field.required", breaksForward, "records without the field were refused")
	}
}

// wireJSONGroup gives kinds that read each other on the wire and in JSON the
// same name (protobuf's guides to updating message types and to JSON).
func wireJSONGroup(k protoreflect.Kind) string {
	switch k {
	case protoreflect.Int32Kind, protoreflect.Uint32Kind:
		return "varint 32"
	case protoreflect.Int64Kind, protoreflect.Uint64Kind:
		return "varint 64"
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return "fixed 32"
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return "fixed 64"
	}
	return k.String()
}

func cardinality(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.IsMap():
		return "a map"
	case fd.IsList():
		return "repeated"
	}
	return "singular"
}

func oneofName(fd protoreflect.FieldDescriptor) protoreflect.Name {
	if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return o.Name()
	}
	return ""
}

// enums compares two versions of an enum. A value may be added: enums are open,
// and a reader copes with numbers that it does not know.
func (c *comparison) enums(old, next protoreflect.EnumDescriptor, at string) {
	if old.Name() != next.Name() {
		c.add(at, "field.type", breaksBoth, "the field was a %s and is a %s", old.FullName(), next.FullName())
		return
	}
	if c.seen[next.FullName()] {
		return
	}
	c.seen[next.FullName()] = true
	c.reservedValues(old, next, at)
	was, is := valueNames(old), valueNames(next)
	for _, number := range slices.Sorted(maps.Keys(was)) {
		names := was[number]
		now, there := is[number]
		switch {
		case !there && !reservedValue(next, number, names):
			c.add(at, "enum.value.deleted", breaksBoth, "value %d (%s) is gone, and its number and names are not reserved", number, strings.Join(names, ", "))
		case there && !subset(names, now):
			c.add(at, "enum.value.name", breaksBoth, "value %d was named %s and is named %s", number, strings.Join(names, ", "), strings.Join(now, ", "))
		}
	}
}

func valueNames(e protoreflect.EnumDescriptor) map[protoreflect.EnumNumber][]string {
	names := map[protoreflect.EnumNumber][]string{}
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		names[v.Number()] = append(names[v.Number()], string(v.Name()))
	}
	return names
}

func reservedValue(e protoreflect.EnumDescriptor, number protoreflect.EnumNumber, names []string) bool {
	for _, name := range names {
		if !e.ReservedNames().Has(protoreflect.Name(name)) {
			return false
		}
	}
	return e.ReservedRanges().Has(number)
}

func subset(of, in []string) bool {
	return !slices.ContainsFunc(of, func(s string) bool { return !slices.Contains(in, s) })
}
