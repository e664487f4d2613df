package predicate

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
)

// Bounds of conditions: many are asked for one case.
const (
	// MaxCondition is the longest condition, in bytes.
	MaxCondition = 1000
	// MaxConditionCost bounds what a condition may cost over one record, in the
	// unit of MaxCost.
	MaxConditionCost = 100_000

	varRecord = "r"
)

// Condition is a question over one record, in the language of checks: it sees the
// record as r, all of it, and today. It is safe for concurrent use.
type Condition struct {
	contract *contract.Contract
	fields   []string
	program  cel.Program
}

// CompileCondition makes a condition ready, over records of a contract. What is
// wrong with it is an Invalid fault whose rule is check.predicate, check.fields
// or check.cost.
func CompileCondition(text string, k *contract.Contract) (*Condition, error) {
	var v verdict
	switch {
	case strings.TrimSpace(text) == "":
		v.add("predicate", "check.predicate", "is empty; write a CEL expression over the record r that gives a bool")
	case len(text) > MaxCondition:
		v.add("predicate", "check.cost", "has more than "+strconv.Itoa(MaxCondition)+" bytes")
	case !utf8.ValidString(text):
		v.add("predicate", "check.predicate", "is no UTF-8 text")
	}
	if v.bad() {
		return nil, v.err()
	}
	c := &Condition{contract: k}
	c.program, _ = v.compile(&expression{
		text: text, contract: k, limit: MaxConditionCost, over: "a record",
		variables: []cel.EnvOption{cel.Variable(varRecord, record(k))},
		sizes:     k.RecordEstimator(varRecord),
		reads:     func(field string) { c.fields = append(c.fields, field) },
	})
	if v.bad() {
		return nil, v.err()
	}
	slices.Sort(c.fields)
	c.fields = slices.Compact(c.fields)
	return c, nil
}

// Fields are the names of the record's top-level fields that the condition
// reads, sorted. The caller does not change them.
func (c *Condition) Fields() []string { return c.fields }

// Holds answers the condition over a record's payload, on a day "YYYY-MM-DD".
// What keeps it from an answer is a Denied fault: check.cost if it ran too long,
// check.failed if it cannot be computed over this record.
func (c *Condition) Holds(ctx context.Context, payload []byte, today string) (bool, error) {
	if len(payload) > contract.MaxPayload {
		return false, fault.New(fault.Denied, "check.records", "the record is larger than %d bytes; a condition looks at no more", contract.MaxPayload)
	}
	m := dynamicpb.NewMessage(c.contract.Inner())
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(payload, m); err != nil {
		return false, errFailed()
	}
	return run(ctx, c.program, map[string]any{varRecord: m, varToday: today})
}
