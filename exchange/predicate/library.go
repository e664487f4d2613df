package predicate

import (
	"errors"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	celcost "cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// library adds to CEL what sums and dates need.
type library struct{}

// CompileOptions implements cel.Library.
func (library) CompileOptions() []cel.EnvOption {
	numbers := []*cel.Type{cel.IntType, cel.UintType, cel.DoubleType}
	return []cel.EnvOption{
		overLists("sum", sum, numbers...),
		overLists("min", func(l traits.Lister) ref.Val { return extreme(l, types.IntNegOne) }, append(numbers, cel.StringType)...),
		overLists("max", func(l traits.Lister) ref.Val { return extreme(l, types.IntOne) }, append(numbers, cel.StringType)...),
		overDates("age", age), overDates("days", days),
	}
}

// ProgramOptions implements cel.Library.
func (library) ProgramOptions() []cel.ProgramOption { return nil }

// overLists declares a function of a list that gives one of its kind.
func overLists(name string, f func(traits.Lister) ref.Val, of ...*cel.Type) cel.EnvOption {
	var opts []cel.FunctionOpt
	for _, t := range of {
		zero := zeroOf(t)
		opts = append(opts, cel.Overload(name+"_list_"+t.TypeName(), []*cel.Type{cel.ListType(t)}, t,
			cel.UnaryBinding(func(v ref.Val) ref.Val {
				list, ok := v.(traits.Lister)
				if !ok {
					return types.MaybeNoSuchOverloadErr(v)
				}
				if name == "sum" && list.Size() == types.IntZero {
					return zero
				}
				return f(list)
			})))
	}
	return cel.Function(name, opts...)
}

func zeroOf(t *cel.Type) ref.Val {
	switch t.Kind() {
	case types.UintKind:
		return types.Uint(0)
	case types.DoubleKind:
		return types.Double(0)
	}
	return types.IntZero
}

// sum adds up; CEL's own addition finds an overflow.
func sum(list traits.Lister) ref.Val {
	it := list.Iterator()
	total := it.Next()
	for it.HasNext() == types.True {
		a, ok := total.(traits.Adder)
		if !ok {
			return types.MaybeNoSuchOverloadErr(total)
		}
		if total = a.Add(it.Next()); types.IsUnknownOrError(total) {
			return total
		}
	}
	return total
}

// extreme gives the element that compares as want with all others.
func extreme(list traits.Lister, want ref.Val) ref.Val {
	it := list.Iterator()
	if it.HasNext() != types.True {
		return types.NewErr("min and max need an element")
	}
	best := it.Next()
	for it.HasNext() == types.True {
		one := it.Next()
		c, ok := one.(traits.Comparer)
		if !ok {
			return types.MaybeNoSuchOverloadErr(one)
		}
		if c.Compare(best) == want {
			best = one
		}
	}
	return best
}

func overDates(name string, f func(from, to time.Time) int64) cel.EnvOption {
	return cel.Function(name, cel.Overload(name+"_string_string", []*cel.Type{cel.StringType, cel.StringType}, cel.IntType,
		cel.BinaryBinding(func(from, to ref.Val) ref.Val {
			a, err1 := day(from)
			b, err2 := day(to)
			if err := errors.Join(err1, err2); err != nil {
				return types.NewErr("%s needs dates", name)
			}
			return types.Int(f(a, b))
		})))
}

func day(v ref.Val) (time.Time, error) {
	s, ok := v.(types.String)
	if !ok {
		return time.Time{}, errors.New("no text")
	}
	return time.Parse(time.DateOnly, string(s))
}

// age is in whole years; who was born on 29 February grows a year older on 1
// March where there is no such day.
func age(birth, on time.Time) int64 {
	years := int64(on.Year() - birth.Year())
	if on.Month() < birth.Month() || on.Month() == birth.Month() && on.Day() < birth.Day() {
		years--
	}
	return years
}

func days(from, to time.Time) int64 { return (to.Unix() - from.Unix()) / (24 * 60 * 60) }

// lists are the functions whose cost grows with the list that they are given.
var lists = map[string]bool{"sum": true, "min": true, "max": true}

// runtimeCosts charges them while a predicate runs.
type runtimeCosts struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (runtimeCosts) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	if !lists[function] || len(args) != 1 {
		return nil
	}
	cost := uint64(1)
	if s, ok := args[0].(traits.Sizer); ok {
		if n, ok := s.Size().(types.Int); ok {
			cost += uint64(n)
		}
	}
	return &cost
}

// staticCosts charges them when a predicate is agreed.
type staticCosts struct{ checker.CostEstimator }

// EstimateSize implements checker.CostEstimator.
func (c *staticCosts) EstimateSize(n celcost.AstNode) *celcost.SizeEstimate {
	if path := n.Path(); len(path) == 1 && path[0] == varToday {
		return &celcost.SizeEstimate{Min: uint64(len(time.DateOnly)), Max: uint64(len(time.DateOnly))}
	}
	return c.CostEstimator.EstimateSize(n)
}

// EstimateCallCost implements checker.CostEstimator.
func (c *staticCosts) EstimateCallCost(function, overload string, target *celcost.AstNode, args []celcost.AstNode) *celcost.CallEstimate {
	if !lists[function] || len(args) != 1 {
		return c.CostEstimator.EstimateCallCost(function, overload, target, args)
	}
	size := args[0].ComputedSize()
	if size == nil {
		size = c.EstimateSize(args[0])
	}
	if size == nil {
		size = &celcost.SizeEstimate{Max: 1 << 62}
	}
	return &celcost.CallEstimate{CostEstimate: celcost.Estimate{Min: 1, Max: size.Max + 1}}
}
