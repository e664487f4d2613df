package contract

import (
	"slices"
	"strconv"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// maxViolations bounds an answer: a record made to be wrong everywhere shall
// not cost more than one that is wrong somewhere.
const (
	maxViolations = 64
	maxTries      = 512
)

// report gathers what one record breaks. The zero value, with the contract's
// set of warnings, is ready.
type report struct {
	// at is where the record is being looked at.
	at       trail
	tries    int // violations found, repeats of the same included
	warn     map[string]bool
	errors   []fault.Violation
	warnings []fault.Violation
}

// add adds a violation at the place that is being looked at.
func (r *report) add(p problem) {
	if r.warn[p.rule] && len(r.warnings) >= maxViolations {
		return
	}
	r.addText(r.at.String(), p)
}

// addText adds a violation, unless the same rule on the same field is there.
func (r *report) addText(field string, p problem) {
	r.tries++
	to := &r.errors
	if r.warn[p.rule] {
		to = &r.warnings
	}
	same := func(v fault.Violation) bool { return v.Field == field && v.Rule == p.rule }
	if len(*to) >= maxViolations || slices.ContainsFunc(*to, same) {
		return
	}
	*to = append(*to, fault.Violation{Field: field, Rule: p.rule, Message: p.message})
}

// full says that the record is refused and that more violations would not be
// told, or only repeat those that are.
func (r *report) full() bool {
	return len(r.errors) >= maxViolations || len(r.errors) > 0 && r.tries >= maxTries
}

// err gives the fault of the record; nil if it breaks no rule but warnings.
func (r *report) err() error {
	if len(r.errors) == 0 {
		return nil
	}
	first := r.errors[0]
	more := ""
	if n := len(r.errors) - 1; n > 0 {
		more = " (and " + strconv.Itoa(n) + " more)"
	}
	text := first.Message
	if first.Field != "" {
		text = first.Field + ": " + text
	}
	return fault.New(fault.Invalid, first.Rule, "%s%s", text, more).With(r.errors...)
}
