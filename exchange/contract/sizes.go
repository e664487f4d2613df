package contract

import (
	"slices"

	celcost "cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// sizes tells CEL's cost estimator how large the parts of a record can be. this
// is a message, a field, or (inner) an element of a field.
type sizes struct {
	shape   *shape
	message protoreflect.MessageDescriptor
	field   *field
	inner   bool
}

// EstimateSize bounds a value by the field that it comes from, if it comes from
// one, else by the record's own size.
func (s *sizes) EstimateSize(n celcost.AstNode) *celcost.SizeEstimate {
	size := sizeOfType(n.Type())
	if f, element := s.resolve(n.Path()); f != nil {
		if f.list && !element {
			size = min(size, f.itemBound())
		} else if f.wire == protowire.BytesType && f.message == nil {
			size = min(size, f.byteBound())
		}
	}
	return &celcost.SizeEstimate{Max: size}
}

// resolve follows a path of CEL's: "this", then field names, with "@items" and
// the like for the elements of a list or map.
func (s *sizes) resolve(path []string) (f *field, element bool) {
	if len(path) == 0 || path[0] != "this" {
		return nil, false
	}
	f, element = s.field, s.inner
	at := s.message
	for _, step := range path[1:] {
		if step == "" || step[0] == '@' {
			if f == nil || f.desc.IsMap() {
				return nil, false
			}
			element = true
			continue
		}
		if f != nil {
			at = f.desc.Message()
		}
		if at == nil || s.shape.layouts[at.FullName()] == nil {
			return nil, false
		}
		fd := at.Fields().ByName(protoreflect.Name(step))
		if fd == nil {
			return nil, false
		}
		f, element = s.shape.layouts[at.FullName()].find(fd.Number()), false
	}
	return f, element
}

// linear are the functions, protovalidate's and those of CEL's string library,
// whose cost grows with what they are given; CEL takes them for constant.
var linear = []string{
	"unique", "isHostname", "isEmail", "isIp", "isIpPrefix", "isUri", "isUriRef", "isHostAndPort",
	"charAt", "indexOf", "lastIndexOf", "lowerAscii", "upperAscii", "replace", "split", "join",
	"substring", "trim", "reverse", "format", "strings.quote",
}

// EstimateCallCost charges linear functions by the size of all they are given.
// What they give back is taken to be as long as all of it, or, for replace, as
// its product.
func (s *sizes) EstimateCallCost(function, _ string, target *celcost.AstNode, args []celcost.AstNode) *celcost.CallEstimate {
	if !slices.Contains(linear, function) {
		return nil
	}
	sum, prod := uint64(1), uint64(1)
	add := func(n celcost.AstNode) {
		size := s.size(n)
		sum = min(sum+size, 1<<62)
		prod = product(prod, max(size, 1))
	}
	if target != nil {
		add(*target)
	}
	for _, a := range args {
		add(a)
	}
	cost, result := sum, celcost.SizeEstimate{Max: max(sum, MaxPayload)}
	if function == "replace" {
		cost, result = prod, celcost.SizeEstimate{Max: prod}
	}
	return &celcost.CallEstimate{CostEstimate: celcost.Estimate{Max: cost}, ResultSize: &result}
}

func (s *sizes) size(n celcost.AstNode) uint64 {
	if known := n.ComputedSize(); known != nil {
		return known.Max
	}
	if n.Type().Kind() == types.IntKind {
		return 1
	}
	return s.EstimateSize(n).Max
}
