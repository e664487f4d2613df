package predicate

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// maxViolations bounds a verdict.
const maxViolations = 64

// verdict gathers what is wrong with a check.
type verdict struct{ found []fault.Violation }

func (v *verdict) add(field, rule, message string) {
	if len(v.found) < maxViolations {
		v.found = append(v.found, fault.Violation{Field: field, Rule: rule, Message: message})
	}
}

func (v *verdict) bad() bool { return len(v.found) > 0 }

func (v *verdict) err() error {
	first := v.found[0]
	return fault.New(fault.Invalid, first.Rule, "%s: %s", first.Field, first.Message).With(v.found...)
}

// indexed names an element of a list.
func indexed(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// under puts the fields of a check's verdict under the check's own, and names the
// version of the contract, if it has several.
func under(at string, version, versions int, err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Violations) == 0 {
		return err
	}
	var v verdict
	for _, one := range f.Violations {
		if versions > 1 {
			one.Message += " (version " + strconv.Itoa(version) + " of the contract)"
		}
		v.add(at+"."+one.Field, one.Rule, one.Message)
	}
	return v.err()
}

// form checks what needs no look at the contract.
func (v *verdict) form(check *accessv1.GrantCheck) {
	if !good(check.GetName()) {
		v.add("name", "check.name", nameMessage)
	}
	v.title("title", check.GetTitle())
	switch p := check.GetPredicate(); {
	case strings.TrimSpace(p) == "":
		v.add("predicate", "check.predicate", "a check has a predicate: a CEL expression that gives a bool")
	case len(p) > MaxExpression:
		v.add("predicate", "check.cost", "has more than "+strconv.Itoa(MaxExpression)+" bytes")
	case !utf8.ValidString(p):
		v.add("predicate", "check.predicate", "is no UTF-8 text")
	}
	if len(check.GetThresholds()) > MaxThresholds {
		v.add("thresholds", "check.threshold", "are more than "+strconv.Itoa(MaxThresholds))
		return
	}
	names, values := map[string]bool{}, map[int64]bool{}
	for i, t := range check.GetThresholds() {
		at := indexed("thresholds", i)
		switch {
		case !good(t.GetName()):
			v.add(at+".name", "check.threshold", nameMessage)
		case names[t.Name]:
			v.add(at+".name", "check.threshold", "two thresholds have that name")
		case values[t.Value]:
			v.add(at+".value", "check.threshold", "two thresholds have that value")
		}
		names[t.GetName()], values[t.GetValue()] = true, true
		v.title(at+".title", t.GetTitle())
	}
}

const nameMessage = `has lower-case letters, digits and "-", 1 to 64 of them, and names no person`

func good(name string) bool {
	return len(name) <= maxName && NameFormat.MatchString(name) && !contract.HoldsResidentID(name)
}

func (v *verdict) title(field, text string) {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if len(text) > maxTitle || !utf8.ValidString(text) || strings.ContainsFunc(text, control) || contract.HoldsResidentID(text) {
		v.add(field, "check.title", "is one line of at most "+strconv.Itoa(maxTitle)+" bytes and names no person")
	}
}

// fields gives the numbers of the fields that a check may read.
func (v *verdict) fields(names []string, k *contract.Contract) []uint32 {
	if len(names) == 0 {
		v.add("fields", "check.fields", "a check names the fields that it reads")
	}
	var numbers []uint32
	for i, name := range names {
		fd := k.Descriptor().Fields().ByName(protoreflect.Name(name))
		switch {
		case fd == nil:
			v.add(indexed("fields", i), "check.fields", "the contract has no such field at its top")
		case slices.Contains(numbers, uint32(fd.Number())):
			v.add(indexed("fields", i), "check.fields", "is named twice")
		default:
			numbers = append(numbers, uint32(fd.Number()))
		}
	}
	slices.Sort(numbers)
	return numbers
}
