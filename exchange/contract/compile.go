package contract

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Compile makes a contract of a message in a descriptor set. The set holds the
// message's file with all its imports; those of google/protobuf, buf/validate
// and huitong/contract may be left out. A message that is no contract gives
// findings, each naming a field and why; then the contract is nil.
func Compile(set *descriptorpb.FileDescriptorSet, name string, version uint32) (*Contract, []Finding) {
	v := &verdict{name: name}
	desc, canonical := load(set, name, v)
	if desc == nil {
		return nil, v.findings
	}
	md, err := setApart(desc)
	if err != nil {
		v.add("", "set.broken", "the descriptor set cannot be read: %v", err)
		return nil, v.findings
	}
	s := &shape{v: v, layouts: map[protoreflect.FullName]*layout{}, paths: map[protoreflect.FullName]string{}}
	root := s.walk(md, "")
	if v.bad() {
		// What follows rests on messages of bounded depth and size.
		return nil, v.findings
	}
	c := &Contract{name: name, version: version, desc: desc, inner: md, set: canonical, layout: root, layouts: s.layouts}
	c.options = readOptions(md, v)
	s.checkItems(md)
	for _, inner := range s.order {
		s.checksOf(inner)
	}
	c.ownRules = s.estimateCosts(md)
	if !slices.ContainsFunc(v.findings, func(f Finding) bool { return f.Rule == "rule.cost" }) {
		c.validator = s.compileRules(md)
	}
	if c.options != nil {
		c.warn = warnings(c.options.warnings, c.ownRules, v)
		c.softens = len(c.options.warnings) > 0
	}
	if v.bad() {
		return nil, v.findings
	}
	c.items, c.fields = itemsOf(md)
	if c.decoder = newDecoder(md, s.foreign); c.decoder == nil {
		v.add("", "message.size", "the message is too large for the decoder")
		return nil, v.findings
	}
	return c, nil
}

// warnings gives the rules whose violation does not refuse a record: those that
// the contract names, and two that stand for what a source cannot help.
func warnings(named []string, own map[string]string, v *verdict) map[string]bool {
	warn := map[string]bool{ruleCertificateID: true, ruleResidentOld: true}
	for _, id := range named {
		_, isOwn := own[id]
		if !isOwn && !slices.Contains(softRules, id) && !softStandard(id) {
			v.add("", "option.warnings", "%q is no rule of this contract that can be a warning", id)
		}
		warn[id] = true
	}
	return warn
}

// softRules are the rules of Go code that a contract may make warnings.
var softRules = []string{ruleResidentID, ruleResidentOld, ruleCreditCode, ruleCertificateID, ruleRegion, ruleDate}

// softStandard reports whether a standard rule of protovalidate may be a
// warning. Those that bound lists and texts may not: costs are estimated by
// them.
func softStandard(id string) bool {
	if id == "required" {
		return true
	}
	kind, rule, _ := strings.Cut(id, ".")
	switch rule {
	case "", "max_items", "max_pairs", "max_len", "len", "max_bytes", "len_bytes":
		return false
	}
	return slices.Contains([]string{
		"string", "bytes", "enum", "bool", "float", "double", "int32", "int64", "uint32", "uint64", "sint32", "sint64",
		"fixed32", "fixed64", "sfixed32", "sfixed64", "repeated", "map", "duration", "timestamp", "field_mask", "message", "oneof",
	}, kind)
}
