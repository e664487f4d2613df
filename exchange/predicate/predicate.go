// Package predicate compiles and answers checks: questions over the records of
// one subject that are agreed in a grant, and of which only yes or no leaves.
//
// A check is a CEL expression that gives a bool. It sees
//
//	records    the subject's active records, of which only the fields that the
//	           check names are filled; never empty
//	threshold  the int of the threshold that the caller chose, where the check
//	           has any
//	today      the day in Asia/Shanghai, "YYYY-MM-DD"
//
// with CEL's operators, its macros (all, exists, exists_one, filter, map, has),
// size, contains, startsWith, endsWith, the conversions int, uint, double,
// timestamp and duration, and
//
//	sum(list)        of int, uint or double; 0 of an empty list
//	min(list)        of int, uint, double or string; of an empty list it fails
//	max(list)        likewise
//	age(birth, day)  whole years from one date to another
//	days(from, to)   days from one date to another
//
// Dates are texts "YYYY-MM-DD", so <, <= and == compare them. There is no regular
// expression and nothing that reads a clock: one check over the same records on
// the same day has one answer.
//
// It promises three things of each check that compiles. It reads no field of a
// record that the check does not name: the expression may not select one, and
// records are cut to the named fields before they are decoded. It ends: its cost
// over MaxRecords records of MaxBytes is estimated from the contract when it is
// agreed and is at most MaxCost, it is counted while it runs, and a deadline
// stands behind that. And what it says of a failure holds nothing of a record.
//
// A Condition is the same over one record, r.
package predicate

import (
	"regexp"

	"cel.dev/cel-go/cel"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// Bounds of checks.
const (
	// MaxChecks is how many checks a grant has, and MaxThresholds how many
	// thresholds a check.
	MaxChecks     = 32
	MaxThresholds = 32
	// MaxExpression is the longest predicate, in bytes.
	MaxExpression = 2000
	// MaxRecords is how many records a check looks at, and MaxBytes how large they
	// are together; a subject with more gets no answer.
	MaxRecords = 256
	MaxBytes   = 4 << 20
	// MaxCost bounds what a check may cost, in CEL's unit: about one step of an
	// expression, or ten bytes of text looked at.
	MaxCost = 1_000_000
	// maxNesting is how many macros may stand within each other.
	maxNesting = 3
	maxName    = 64
	maxTitle   = 200
)

// NameFormat is what names of checks and thresholds look like.
var NameFormat = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// Check is a check that is ready to be answered, over records of one version of
// a contract. It is safe for concurrent use.
type Check struct {
	contract   *contract.Contract
	fields     []uint32 // numbers, ascending
	thresholds map[string]int64
	program    cel.Program
}

// Compile makes a check ready. What is wrong with it is an Invalid fault that
// names each field of the check and the rule: check.name, check.title,
// check.predicate, check.fields, check.threshold or check.cost.
func Compile(check *accessv1.GrantCheck, k *contract.Contract) (*Check, error) {
	var v verdict
	v.form(check)
	if v.bad() {
		return nil, v.err()
	}
	fields := v.fields(check.Fields, k)
	if v.bad() {
		return nil, v.err()
	}
	c := &Check{contract: k, fields: fields, thresholds: map[string]int64{}}
	for _, t := range check.Thresholds {
		c.thresholds[t.Name] = t.Value
	}
	c.program = v.program(check, k)
	if v.bad() {
		return nil, v.err()
	}
	return c, nil
}

// Contracts are the versions of a contract; a *catalog.Topic has them.
type Contracts interface {
	Versions() int
	Contract(version uint32) (*contract.Contract, error)
	// Mask gives the numbers of the fields of these names that carry no other name
	// in any version.
	Mask(names []string) []uint32
}

// Validate refuses the checks of a grant if there are too many, two have one
// name, or one does not compile with every version of the topic's contract. What
// is wrong with the checks is an Invalid fault that names fields under field.
func Validate(field string, checks []*accessv1.GrantCheck, of Contracts) error {
	if len(checks) > MaxChecks {
		return fault.Field(field, "check.count", "are more than %d", MaxChecks)
	}
	names := map[string]bool{}
	for i, check := range checks {
		at := indexed(field, i)
		if names[check.GetName()] {
			return fault.Field(at+".name", "check.name", "two checks have that name")
		}
		names[check.GetName()] = true
		for version := of.Versions(); version >= 1; version-- {
			k, err := of.Contract(uint32(version))
			if err != nil {
				return err
			}
			if _, err := Compile(check, k); err != nil {
				return under(at, version, of.Versions(), err)
			}
		}
		if len(of.Mask(check.Fields)) != len(check.Fields) {
			return fault.Field(at+".fields", "check.fields", "names a field that stands elsewhere in another version of the contract")
		}
	}
	return nil
}
