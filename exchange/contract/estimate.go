package contract

import (
	celcost "cel.dev/cel-go/common/cost"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Inner is the descriptor that expressions over records are compiled and run by:
// Descriptor, with its names put apart from those that are linked into the
// program. OwnText takes what it adds out of a message for people.
func (c *Contract) Inner() protoreflect.MessageDescriptor { return c.inner }

// OwnText takes out of a message for people what Inner adds to names.
func OwnText(text string) string { return ownText(text) }

// Estimator tells CEL's cost estimator how large the parts of a variable can be
// that is a list of at most n of the contract's records, of each bytes on
// average: lists and texts are as long as the contract's own max_items and
// max_len allow, and no longer than that.
func (c *Contract) Estimator(variable string, n, each uint64) celcost.Estimator {
	return &listSizes{variable: variable, n: n, each: each, one: sizes{message: c.inner, shape: &shape{layouts: c.layouts}}}
}

// RecordEstimator is Estimator for a variable that is one record.
func (c *Contract) RecordEstimator(variable string) celcost.Estimator {
	return &recordSizes{variable: variable, one: sizes{message: c.inner, shape: &shape{layouts: c.layouts}}}
}

// recordSizes are the sizes of one record.
type recordSizes struct {
	variable string
	one      sizes
}

// EstimateSize implements celcost.Estimator.
func (s *recordSizes) EstimateSize(n celcost.AstNode) *celcost.SizeEstimate {
	path := n.Path()
	if len(path) == 0 || path[0] != s.variable {
		return nil
	}
	return s.one.EstimateSize(atPath{n, append([]string{"this"}, path[1:]...)})
}

// EstimateCallCost implements celcost.Estimator.
func (s *recordSizes) EstimateCallCost(string, string, *celcost.AstNode, []celcost.AstNode) *celcost.CallEstimate {
	return nil
}

// listSizes are the sizes of a list of records.
type listSizes struct {
	variable string
	n, each  uint64
	one      sizes
}

// EstimateSize implements celcost.Estimator. What comes from no record is
// left to CEL.
func (s *listSizes) EstimateSize(n celcost.AstNode) *celcost.SizeEstimate {
	path := n.Path()
	switch {
	case len(path) == 0 || path[0] != s.variable:
		return nil
	case len(path) == 1:
		return &celcost.SizeEstimate{Max: s.n}
	case len(path) == 2:
		return &celcost.SizeEstimate{Max: 1}
	}
	// "records", "@items", then the path within a record.
	within := append([]string{"this"}, path[2:]...)
	size := s.one.EstimateSize(atPath{n, within})
	size.Max = min(size.Max, s.each)
	return size
}

// EstimateCallCost implements celcost.Estimator.
func (s *listSizes) EstimateCallCost(string, string, *celcost.AstNode, []celcost.AstNode) *celcost.CallEstimate {
	return nil
}

// atPath is a node as if it stood elsewhere.
type atPath struct {
	celcost.AstNode
	path []string
}

func (n atPath) Path() []string { return n.path }
