package predicate

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	celcost "cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/huitong-bus/huitong/exchange/contract"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

const (
	varRecords   = "records"
	varThreshold = "threshold"
	varToday     = "today"
	// interruptEvery is after how many steps of a macro the deadline is looked at.
	interruptEvery = 256
	// maxNodes and maxDepth bound an expression before it is looked at closer.
	maxNodes = 1000
	maxDepth = 64
)

// functions are what a predicate may use of CEL's own library. Left out are
// those that search by pattern, that hide a type, or that look up a time zone.
var functions = strings.Fields(`_&&_ _||_ !_ _?_:_ _==_ _!=_ _<_ _<=_ _>_ _>=_ _+_ _-_ _*_ _/_ _%_ -_ @in _[_]
	@not_strictly_false size contains startsWith endsWith int uint double timestamp duration`)

// base is the environment that all predicates share, made once.
var base = sync.OnceValues(func() (*cel.Env, error) {
	subset := env.NewLibrarySubset()
	for _, name := range functions {
		subset.AddIncludedFunctions(env.NewFunction(name))
	}
	return cel.NewCustomEnv(
		cel.StdLib(cel.StdLibSubset(subset)),
		cel.CrossTypeNumericComparisons(true),
		cel.ExpressionNodeLimit(maxNodes), cel.ExpressionNestingDepthLimit(maxDepth), cel.ParserRecursionLimit(maxDepth),
		cel.Variable(varToday, cel.StringType),
		cel.Lib(library{}),
	)
})

// expression is one expression, and what it is asked over.
type expression struct {
	text      string
	contract  *contract.Contract
	variables []cel.EnvOption
	sizes     celcost.Estimator
	limit     uint64
	over      string // what the cost is estimated over, for people
	// reads hears of each field of a record that the expression selects.
	reads func(field string)
}

// record is the CEL type of a contract's records.
func record(k *contract.Contract) *cel.Type { return cel.ObjectType(string(k.Inner().FullName())) }

// program compiles a check's expression and refuses one that reads or costs more
// than it may.
func (v *verdict) program(check *accessv1.GrantCheck, k *contract.Contract) cel.Program {
	e := expression{
		text: check.Predicate, contract: k, limit: MaxCost, over: strconv.Itoa(MaxRecords) + " records",
		variables: []cel.EnvOption{cel.Variable(varRecords, cel.ListType(record(k)))},
		sizes:     k.Estimator(varRecords, MaxRecords, MaxBytes/MaxRecords),
		reads: func(field string) {
			if !slices.Contains(check.Fields, field) {
				v.add("predicate", "check.fields", "reads the field "+field+", which the check does not name")
			}
		},
	}
	if len(check.Thresholds) > 0 {
		e.variables = append(e.variables, cel.Variable(varThreshold, cel.IntType))
	}
	p, used := v.compile(&e)
	if len(check.Thresholds) > 0 && p != nil && !used[varThreshold] {
		v.add("predicate", "check.threshold", "does not use the threshold that the caller chooses")
	}
	return p
}

// compile makes an expression ready, and says which variables it uses; nil if
// something is wrong with it.
func (v *verdict) compile(e *expression) (cel.Program, map[string]bool) {
	fail := func(err error) (cel.Program, map[string]bool) {
		v.add("predicate", "check.predicate", firstLine(contract.OwnText(err.Error())))
		return nil, nil
	}
	shared, err := base()
	if err != nil {
		return fail(err)
	}
	inner := e.contract.Inner()
	in, err := shared.Extend(append(e.variables, cel.Types(dynamicpb.NewMessage(inner)), cel.Container(string(inner.ParentFile().Package())))...)
	if err != nil {
		return fail(err)
	}
	checked, issues := in.Compile(e.text)
	if issues.Err() != nil {
		return fail(issues.Err())
	}
	if checked.OutputType() != cel.BoolType {
		v.add("predicate", "check.predicate", "gives no bool")
		return nil, nil
	}
	used := v.look(e, checked)
	if v.bad() {
		return nil, nil
	}
	v.cost(e, in, checked)
	if v.bad() {
		return nil, nil
	}
	p, err := in.Program(checked,
		cel.CostLimit(e.limit), cel.CostTracking(runtimeCosts{}), cel.InterruptCheckFrequency(interruptEvery))
	if err != nil {
		return fail(err)
	}
	return p, used
}

// cost refuses an expression that may cost too much.
func (v *verdict) cost(e *expression, in *cel.Env, checked *cel.Ast) {
	cost, err := in.EstimateCost(checked, &staticCosts{e.sizes})
	switch {
	case err != nil:
		v.add("predicate", "check.predicate", "its cost cannot be estimated")
	case cost.Max > e.limit:
		v.add("predicate", "check.cost", "may cost "+strconv.FormatUint(cost.Max, 10)+" steps over "+e.over+
			", the limit is "+strconv.FormatUint(e.limit, 10)+"; go over lists fewer times, or bound the contract's lists with max_items and its texts with max_len")
	}
}

// look tells which fields of a record and which variables an expression uses. It
// refuses one that hides the type of what it selects from, that makes messages,
// or that nests macros too deep.
func (v *verdict) look(e *expression, checked *cel.Ast) (used map[string]bool) {
	native := checked.NativeRep()
	used = map[string]bool{}
	ast.PostOrderVisit(native.Expr(), ast.NewExprVisitor(func(at ast.Expr) {
		switch at.Kind() {
		case ast.IdentKind:
			used[at.AsIdent()] = true
		case ast.StructKind:
			v.add("predicate", "check.predicate", "makes a message; a predicate only reads")
		case ast.CallKind:
			v.compares(native, at.AsCall())
		case ast.SelectKind:
			s := at.AsSelect()
			switch t := native.GetType(s.Operand().ID()); {
			case t.Kind() == types.DynKind || t.Kind() == types.AnyKind:
				v.add("predicate", "check.fields", "selects a field of a value whose type is not known beforehand")
			case t.IsExactType(record(e.contract)):
				e.reads(s.FieldName())
			}
		}
	}))
	if nesting(ast.NavigateAST(native)) > maxNesting {
		v.add("predicate", "check.cost", "has more than "+strconv.Itoa(maxNesting)+" macros within each other")
	}
	return used
}

// compares refuses comparing what has no bounded size: messages, and lists.
func (v *verdict) compares(native *ast.AST, call ast.CallExpr) {
	switch call.FunctionName() {
	case operators.Equals, operators.NotEquals, operators.In:
	default:
		return
	}
	switch t := native.GetType(call.Args()[0].ID()); t.Kind() {
	case types.StructKind, types.ListKind, types.MapKind, types.DynKind, types.AnyKind:
		v.add("predicate", "check.cost", "compares whole records or lists; compare single values")
	}
}

// nesting is how many comprehensions stand within each other.
func nesting(e ast.NavigableExpr) int {
	deepest := 0
	for _, c := range ast.MatchDescendants(e, ast.KindMatcher(ast.ComprehensionKind)) {
		depth := 0
		for at, ok := c, true; ok; at, ok = at.Parent() {
			if at.Kind() == ast.ComprehensionKind {
				depth++
			}
		}
		deepest = max(deepest, depth)
	}
	return deepest
}

// firstLine gives the first of the compiler's lines, without its place.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if _, rest, found := strings.Cut(line, "<input>:"); found {
		line = rest
	}
	if r := []rune(line); len(r) > 200 {
		line = string(r[:200]) + "…"
	}
	return line
}
