package contract

import (
	"math/bits"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	pvcel "buf.build/go/protovalidate/cel"
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Bounds of what a contract's rules may cost. The unit is CEL's: about one step
// of an expression, or ten bytes of text looked at.
const (
	// MaxCost is the largest estimated cost of all rules of a contract over one
	// record of MaxPayload bytes, where lists and texts are as long as the
	// contract's own max_items and max_len allow.
	MaxCost       = 10_000_000
	maxExpression = 1024
	maxOwnRules   = 256
	maxRuleList   = 4096
)

// celEnv is the environment that protovalidate compiles rules in, made once.
var celEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(cel.Lib(pvcel.NewLibrary()))
})

// ruleCosts estimates what all rules cost, finds those that cost too much, and
// gathers the ids of a contract's own rules with their fixed messages.
type ruleCosts struct {
	*shape
	own   map[string]string
	total uint64
	// times is how often at most a message type is in a record.
	times map[protoreflect.FullName]uint64
}

func (s *shape) estimateCosts(md protoreflect.MessageDescriptor) map[string]string {
	c := &ruleCosts{shape: s, own: map[string]string{}, times: map[protoreflect.FullName]uint64{md.FullName(): 1}}
	// Outer types come first, so that how often an inner one comes is known.
	for i := len(s.order) - 1; i >= 0; i-- {
		c.message(s.order[i])
	}
	return c.own
}

func (c *ruleCosts) message(md protoreflect.MessageDescriptor) {
	rules, _ := protovalidate.ResolveMessageRules(md)
	times := c.times[md.FullName()]
	this := cel.ObjectType(string(md.FullName()))
	for _, r := range allRules(rules.GetCel(), rules.GetCelExpression()) {
		c.expression(r, c.pathOf(md), times, this, sizes{message: md, shape: c.shape}, cel.Types(dynamicpb.NewMessage(md)))
	}
	for _, f := range c.layouts[md.FullName()].all {
		each := times
		if f.list {
			each = product(times, f.itemBound())
		}
		if f.message != nil {
			name := f.message.desc.FullName()
			c.times[name] = min(c.times[name]+each, MaxPayload/2)
		}
		rules, _ := protovalidate.ResolveFieldRules(f.desc)
		c.field(f, rules, join(c.pathOf(md), f.desc.Name()), times, false)
	}
}

// field estimates the rules of a field, or (inner) of each element of it.
func (c *ruleCosts) field(f *field, rules *validate.FieldRules, path string, times uint64, inner bool) {
	if rules == nil || rules.GetIgnore() == validate.Ignore_IGNORE_ALWAYS {
		return
	}
	for _, r := range allRules(rules.GetCel(), rules.GetCelExpression()) {
		this := pvcel.ProtoFieldToType(f.desc, false, inner)
		c.expression(r, path, times, this, sizes{field: f, inner: inner, shape: c.shape}, pvcel.RequiredEnvOptions(f.desc)...)
	}
	if p := rules.GetString(); p.HasPattern() {
		text := min(product(times, f.byteBound()), MaxPayload)
		c.charge(path, product(programSize(p.GetPattern()), text/10+1))
	}
	c.lists(rules, path, times)
	if inner {
		return
	}
	each := product(times, f.itemBound())
	c.field(f, rules.GetRepeated().GetItems(), path, each, true)
	if f.desc.IsMap() {
		entry := c.layouts[f.message.desc.FullName()]
		c.field(entry.find(1), rules.GetMap().GetKeys(), path, each, true)
		c.field(entry.find(2), rules.GetMap().GetValues(), path, each, true)
	}
}

// lists charges for the values that rules compare with one by one.
func (c *ruleCosts) lists(rules *validate.FieldRules, path string, times uint64) {
	n := len(rules.GetString().GetIn()) + len(rules.GetString().GetNotIn())
	rules.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.ContainingOneof() == nil || fd.Message() == nil {
			return true
		}
		v.Message().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			if fd.IsList() {
				n = max(n, v.List().Len())
			}
			return true
		})
		return true
	})
	if n > maxRuleList {
		c.v.add(path, "rule.cost", "a rule lists more than %d values", maxRuleList)
		return
	}
	c.charge(path, product(times, uint64(n)))
}

// expression estimates one CEL rule and keeps its id and fixed message.
func (c *ruleCosts) expression(r *validate.Rule, path string, times uint64, this *cel.Type, s sizes, opts ...cel.EnvOption) {
	switch {
	case r.GetId() == "":
		c.v.add(path, "rule.id", "a rule needs an id, by which its violation is known")
		return
	case builtIn(ownText(r.GetId())):
		c.v.add(path, "rule.id", "the id %s is that of a rule of the exchange itself", ownText(r.GetId()))
		return
	case len(r.GetExpression()) > maxExpression:
		c.v.add(path, "rule.cost", "rule %s is longer than %d bytes", r.GetId(), maxExpression)
		return
	case len(c.own) >= maxOwnRules:
		c.v.add(path, "rule.cost", "more than %d rules", maxOwnRules)
		return
	}
	id := ownText(r.GetId())
	if c.own[id] = r.GetMessage(); c.own[id] == "" {
		c.own[id] = "breaks the rule " + id
	}
	env, err := celEnv()
	if err == nil {
		env, err = env.Extend(append(opts, cel.Variable("this", this))...)
	}
	if err != nil {
		c.v.add(path, "rule.compile", "%v", err)
		return
	}
	checked, issues := env.Compile(r.GetExpression())
	if issues.Err() != nil {
		// The validator's own compilation finds it and says so.
		return
	}
	cost, err := env.EstimateCost(checked, &s)
	if err != nil {
		c.v.add(path, "rule.compile", "%v", err)
		return
	}
	c.patterns(checked, path, id)
	c.charge(path, product(times, cost.Max))
}

// builtIn reports whether an id belongs to the exchange's own rules. A contract
// that could take one could also make it a warning.
func builtIn(id string) bool {
	group, _, _ := strings.Cut(id, ".")
	switch group {
	case "key", "subject", "validity", "identifier":
		return true
	}
	return slices.Contains([]string{
		malformed.rule, duplicate.rule, "unknown_field", "utf8", notTruth.rule, "required", ruleDate, "rule.failed",
		"repeated.max_items", "map.max_pairs", "string.max_len", "bytes.max_len",
	}, id)
}

// patterns looks at the regular expressions of a rule: CEL estimates them by
// their text, and a short text can be a large program.
func (c *ruleCosts) patterns(checked *cel.Ast, path, id string) {
	visitor := ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "matches" {
			return
		}
		args := e.AsCall().Args()
		pattern := args[len(args)-1]
		text, ok := "", pattern.Kind() == ast.LiteralKind
		if ok {
			text, ok = pattern.AsLiteral().Value().(string)
		}
		if !ok || programSize(text) > 256 {
			c.v.add(path, "rule.cost", "rule %s matches a pattern that is computed, or too large", id)
		}
	})
	ast.PostOrderVisit(checked.NativeRep().Expr(), visitor)
}

// charge adds a rule's cost, and finds the rule that goes over the limit.
func (c *ruleCosts) charge(path string, cost uint64) {
	if cost > MaxCost || c.total+cost > MaxCost {
		c.v.add(path, "rule.cost", "the rules may cost %d steps a record, the limit is %d; bound lists with max_items and texts with max_len", cost, MaxCost)
		return
	}
	c.total += cost
}

func allRules(rules []*validate.Rule, expressions []string) []*validate.Rule {
	all := append([]*validate.Rule(nil), rules...)
	for _, e := range expressions {
		// protovalidate names a bare expression by its text.
		all = append(all, validate.Rule_builder{Id: new(e), Expression: new(e)}.Build())
	}
	return all
}

// programSize is the number of instructions of a regular expression; that of
// one which does not parse is left to the validator.
func programSize(pattern string) uint64 {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	program, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return uint64(len(program.Inst))
}

// product multiplies and stays at the top.
func product(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if high > 0 {
		return 1<<64 - 1
	}
	return low
}

// itemBound is how many elements a field can have in a record.
func (f *field) itemBound() uint64 {
	if f.maxItems > 0 {
		return min(f.maxItems, MaxPayload/2)
	}
	return MaxPayload / 2
}

// byteBound is how long a value of a field can be.
func (f *field) byteBound() uint64 {
	if f.maxBytes > 0 {
		return min(f.maxBytes, MaxPayload)
	}
	return MaxPayload
}

// sizeOfType bounds a value that no field bounds, by its type.
func sizeOfType(t *types.Type) uint64 {
	switch t.Kind() {
	case types.StringKind, types.BytesKind, types.ListKind, types.MapKind, types.DynKind, types.AnyKind, types.TypeParamKind:
		return MaxPayload
	}
	return 1
}
