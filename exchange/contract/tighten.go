package contract

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	contractv1 "github.com/huitong-bus/huitong/proto/gen/huitong/contract/v1"
)

// refusesAbsent reports whether the rules of a field, by themselves, refuse a
// record in which it is absent.
func (c *Contract) refusesAbsent(fd protoreflect.FieldDescriptor) bool {
	only := protovalidate.FilterFunc(func(_ protoreflect.Message, d protoreflect.Descriptor) bool { return d == fd })
	err := c.validator.Validate(dynamicpb.NewMessage(fd.ContainingMessage()), protovalidate.WithFilter(only))
	var invalid *protovalidate.ValidationError
	return errors.As(err, &invalid)
}

// fieldRules compares the rules of two versions of a field.
func (c *comparison) fieldRules(was, is protoreflect.FieldDescriptor, at string) {
	a, _ := protovalidate.ResolveFieldRules(was)
	b, _ := protovalidate.ResolveFieldRules(is)
	c.rules(flatRules(a), flatRules(b), at)
	x, y := itemOptions(was), itemOptions(is)
	c.rule("identifier", checkName(x.GetIdentifier().Number(), x.GetIdentifierType(), x.GetDate()),
		checkName(y.GetIdentifier().Number(), y.GetIdentifierType(), y.GetDate()), at)
}

// checkName names what Go code checks of a field; empty if it checks nothing.
func checkName(id protoreflect.EnumNumber, typeOf string, date bool) string {
	switch {
	case date:
		return "date"
	case id == contractv1.Identifier_IDENTIFIER_CERTIFICATE_ID.Number():
		return "" // always a warning
	case typeOf != "":
		return "by " + typeOf
	case id != 0:
		return string(rune('0' + id))
	}
	return ""
}

// messageRules compares the rules of two versions of a message and its oneofs.
func (c *comparison) messageRules(old, next protoreflect.MessageDescriptor, at string) {
	a, _ := protovalidate.ResolveMessageRules(old)
	b, _ := protovalidate.ResolveMessageRules(next)
	was, is := flat{}, flat{}
	was.cel(a.GetCel(), a.GetCelExpression(), "")
	is.cel(b.GetCel(), b.GetCelExpression(), "")
	for _, o := range a.GetOneof() {
		was["oneof "+strings.Join(o.GetFields(), ",")] = bound{text: "oneof", on: true}
	}
	for _, o := range b.GetOneof() {
		is["oneof "+strings.Join(o.GetFields(), ",")] = bound{text: "oneof", on: true}
	}
	was.oneofs(old)
	is.oneofs(next)
	c.rules(was, is, at)
}

// flat are rules by name, the rules of elements included.
type flat map[string]bound

// bound is what one rule says.
type bound struct {
	on   bool // the rule is stated
	text string
	list []string
	// number is comparable for the rules that bound something.
	number float64
}

func (f flat) cel(rules []*validate.Rule, expressions []string, prefix string) {
	for _, r := range allRules(rules, expressions) {
		f[prefix+"cel "+r.GetId()] = bound{on: true, text: r.GetExpression()}
	}
}

func (f flat) oneofs(md protoreflect.MessageDescriptor) {
	for i := range md.Oneofs().Len() {
		if rules, _ := protovalidate.ResolveOneofRules(md.Oneofs().Get(i)); rules.GetRequired() {
			f["required "+string(md.Oneofs().Get(i).Name())] = bound{on: true, text: "required"}
		}
	}
}

func flatRules(rules *validate.FieldRules) flat {
	f := flat{}
	f.add(rules, "")
	return f
}

func (f flat) add(rules *validate.FieldRules, prefix string) {
	if rules == nil {
		return
	}
	f.cel(rules.GetCel(), rules.GetCelExpression(), prefix)
	if rules.GetRequired() {
		f[prefix+"required"] = bound{on: true, text: "true"}
	}
	f[prefix+"ignore"] = bound{on: rules.GetIgnore() != 0, number: float64(rules.GetIgnore())}
	rules.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.ContainingOneof() != nil && fd.Message() != nil {
			f.kind(v.Message(), prefix)
		}
		return true
	})
}

// kind adds the rules of one kind of value, as of StringRules.
func (f flat) kind(m protoreflect.Message, prefix string) {
	outside := isOutside(m)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := prefix + string(fd.Name())
		if outside && (strings.HasPrefix(string(fd.Name()), "g") || strings.HasPrefix(string(fd.Name()), "l")) {
			name += " outside"
		}
		on, isBool := v.Interface().(bool)
		switch {
		case fd.Name() == "example" || isBool && !on:
		case fd.Message() != nil && fd.Message().FullName() == "buf.validate.FieldRules":
			inner, _ := v.Message().Interface().(*validate.FieldRules)
			f.add(inner, name+".")
		case fd.IsList():
			b := bound{on: true}
			for i := range v.List().Len() {
				b.list = append(b.list, v.List().Get(i).String())
			}
			f[name] = b
		default:
			f[name] = bound{on: true, text: valueText(v), number: valueNumber(v)}
		}
		return true
	})
}

// isOutside reports whether rules allow what lies outside a range: a lower bound
// above the upper one. Then a bound that grows is not one that narrows.
func isOutside(m protoreflect.Message) bool {
	number := func(names ...protoreflect.Name) (float64, bool) {
		for _, name := range names {
			if fd := m.Descriptor().Fields().ByName(name); fd != nil && m.Has(fd) {
				return valueNumber(m.Get(fd)), true
			}
		}
		return 0, false
	}
	low, hasLow := number("gt", "gte")
	high, hasHigh := number("lt", "lte")
	return hasLow && hasHigh && low >= high
}

func valueText(v protoreflect.Value) string {
	if m, ok := v.Interface().(protoreflect.Message); ok {
		b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m.Interface())
		return string(b)
	}
	return v.String()
}

func valueNumber(v protoreflect.Value) float64 {
	switch n := v.Interface().(type) {
	case int32:
		return float64(n)
	case int64:
		return float64(n)
	case uint32:
		return float64(n)
	case uint64:
		return float64(n)
	case float32:
		return float64(n)
	case float64:
		return n
	case protoreflect.Message:
		if s := n.Descriptor().Fields().ByName("seconds"); s != nil {
			return float64(n.Get(s).Int())
		}
	}
	return 0
}

// rules compares two sets of rules one by one.
func (c *comparison) rules(was, is flat, at string) {
	names := map[string]bool{}
	for name := range was {
		names[name] = true
	}
	for name := range is {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		switch d := was[name].to(is[name], name); d {
		case 0:
		case breaksBackward:
			c.add(at, "rules.tightened", d, "rule %s refuses records that were accepted", name)
		case breaksForward:
			c.add(at, "rules.loosened", d, "rule %s accepts records that were refused", name)
		default:
			c.add(at, "rules.changed", d, "rule %s refuses and accepts other records than it did", name)
		}
	}
}

// rule compares one rule that is stated as text, empty for none.
func (c *comparison) rule(name, was, is, at string) {
	c.rules(flat{name: {on: was != "", text: was}}, flat{name: {on: is != "", text: is}}, at)
}

// to says which reading breaks where a rule goes from b to next: a rule that
// refuses more breaks the reading of old records, one that accepts more breaks
// old readers, who may count on it.
func (b bound) to(next bound, name string) direction {
	name = name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case b.on == next.on && b.text == next.text && b.number == next.number && slices.Equal(b.list, next.list):
		return 0
	case name == "ignore":
		return order(b.number < next.number, breaksForward, breaksBackward)
	case !b.on:
		return breaksBackward
	case !next.on:
		return breaksForward
	case b.number == next.number && b.list == nil:
		return breaksBoth
	}
	switch name {
	case "min_len", "min_bytes", "min_items", "min_pairs", "gt", "gte":
		return order(next.number > b.number, breaksBackward, breaksForward)
	case "max_len", "max_bytes", "max_items", "max_pairs", "lt", "lte":
		return order(next.number < b.number, breaksBackward, breaksForward)
	case "in":
		return lists(b.list, next.list, breaksForward, breaksBackward)
	case "not_in":
		return lists(b.list, next.list, breaksBackward, breaksForward)
	}
	return breaksBoth
}

func order(is bool, then, otherwise direction) direction {
	if is {
		return then
	}
	return otherwise
}

// lists gives what added and removed values break.
func lists(was, is []string, added, removed direction) (d direction) {
	if !subset(is, was) {
		d |= added
	}
	if !subset(was, is) {
		d |= removed
	}
	return d
}
