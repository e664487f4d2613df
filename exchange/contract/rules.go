package contract

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// compileRules makes the validator of a contract's protovalidate rules. Rules
// that do not compile are found field by field.
func (s *shape) compileRules(md protoreflect.MessageDescriptor) protovalidate.Validator {
	v, err := protovalidate.New(
		protovalidate.WithDisableLazy(),
		protovalidate.WithMessageDescriptors(s.order...),
	)
	if err != nil {
		s.v.add("", "rule.compile", "the rules cannot be compiled: %v", err)
		return nil
	}
	broken := map[protoreflect.FullName]bool{}
	for _, inner := range s.order {
		if s.compileErrors(v, inner, broken) {
			broken[inner.FullName()] = true
		}
	}
	return v
}

// compileErrors adds what does not compile of one message type's own rules.
// Each descriptor is tried alone on an empty message: the validator tells only
// the first that is broken.
func (s *shape) compileErrors(v protovalidate.Validator, md protoreflect.MessageDescriptor, broken map[protoreflect.FullName]bool) bool {
	bad := false
	try := func(d protoreflect.Descriptor, path string) {
		only := protovalidate.FilterFunc(func(_ protoreflect.Message, at protoreflect.Descriptor) bool { return at == d })
		err := v.Validate(dynamicpb.NewMessage(md), protovalidate.WithFilter(only))
		var failed *protovalidate.CompilationError
		if errors.As(err, &failed) {
			bad = true
			s.v.add(path, "rule.compile", "%v", failed)
		}
	}
	try(md, s.pathOf(md))
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if m := elementMessage(fd); m != nil && broken[m.FullName()] {
			bad = true
			continue
		}
		try(fd, join(s.pathOf(md), fd.Name()))
	}
	return bad
}

// elementMessage is the message type of a field's values; nil if they are none.
func elementMessage(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if fd.IsMap() {
		return fd.MapValue().Message()
	}
	return fd.Message()
}

// bounds are the largest number of elements and of bytes a value that a field's
// rules allow; 0 where they state none. They hold whatever other rules do.
func bounds(fd protoreflect.FieldDescriptor) (items, bytes uint64) {
	rules, _ := protovalidate.ResolveFieldRules(fd)
	if rules == nil || rules.GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
		return 0, 0
	}
	switch {
	case fd.IsMap():
		return rules.GetMap().GetMaxPairs(), 0
	case fd.IsList():
		items, inner := rules.GetRepeated().GetMaxItems(), rules.GetRepeated().GetItems()
		if inner.GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
			inner = nil
		}
		return items, maxBytesOf(inner)
	}
	return 0, maxBytesOf(rules)
}

// maxBytesOf is the length in bytes over which a value surely breaks the rules:
// a character of UTF-8 has at most four.
func maxBytesOf(rules *validate.FieldRules) uint64 {
	least := uint64(math.MaxUint64)
	keep := func(has bool, n, width uint64) {
		if has && n < math.MaxUint32 {
			least = min(least, n*width)
		}
	}
	t := rules.GetString()
	keep(t.HasMaxLen(), t.GetMaxLen(), utf8Max)
	keep(t.HasLen(), t.GetLen(), utf8Max)
	keep(t.HasMaxBytes(), t.GetMaxBytes(), 1)
	keep(t.HasLenBytes(), t.GetLenBytes(), 1)
	b := rules.GetBytes()
	keep(b.HasMaxLen(), b.GetMaxLen(), 1)
	keep(b.HasLen(), b.GetLen(), 1)
	if least == math.MaxUint64 {
		return 0
	}
	return least
}

const utf8Max = 4

// validate runs the protovalidate rules over a decoded record.
func (c *Contract) validate(m protoreflect.Message, elements int, r *report) {
	v := c.validator
	var err error
	if elements > manyElements && !c.softens {
		err = v.Validate(m.Interface(), firstOnly)
	} else {
		err = v.Validate(m.Interface())
	}
	if err == nil {
		return
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		// The cause could hold values of the record.
		r.addText("", problem{"rule.failed", "a rule of the contract cannot be computed for this record"})
		return
	}
	for _, violation := range invalid.Violations {
		r.addText(pathText(violation.Proto.GetField()), c.problemOf(violation))
	}
}

// manyElements is from how many values on a record gets only its first
// violation: each costs memory, and there could be one for each value.
const manyElements = 2048

var firstOnly = protovalidate.WithFailFast()

// problemOf gives a violation in words that hold nothing of the record: those
// of a contract's own rules are fixed text, and those of standard rules are made
// of the rule alone.
func (c *Contract) problemOf(v *protovalidate.Violation) problem {
	id := ownText(v.Proto.GetRuleId())
	if message, own := c.ownRules[id]; own {
		return problem{id, message}
	}
	message := v.Proto.GetMessage()
	if message == "" {
		message = "breaks the rule"
	}
	if r := []rune(message); len(r) > 200 {
		message = string(r[:200]) + "…"
	}
	return problem{id, message}
}

// pathText writes a field path. A map's key is data, so it is left out.
func pathText(path *validate.FieldPath) string {
	var b strings.Builder
	for i, e := range path.GetElements() {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(e.GetFieldName())
		switch {
		case e.HasIndex():
			b.WriteString("[" + strconv.FormatUint(e.GetIndex(), 10) + "]")
		case e.HasSubscript():
			b.WriteString("[]")
		}
	}
	return b.String()
}
