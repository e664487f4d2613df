package contract

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Finding is one reason why a message is no contract, or why a version is not
// compatible with an earlier one.
type Finding struct {
	// Field is a path from the contract message ("members.id_number"), or the
	// message's name where no one field is to blame.
	Field string
	// Rule is stable; the package documentation lists them.
	Rule string
	// Message says what is wrong, for people.
	Message string
	// AgainstVersion is the earlier version that it is incompatible with; 0 if
	// it is wrong by itself.
	AgainstVersion uint32
}

// maxFindings bounds a verdict: a descriptor set made to be wrong everywhere
// shall not cost more than one that is wrong somewhere.
const maxFindings = 256

// verdict gathers findings.
type verdict struct {
	name     string
	findings []Finding
}

func (v *verdict) add(field, rule, format string, args ...any) {
	if len(v.findings) >= maxFindings {
		return
	}
	if field == "" {
		field = v.name
	}
	v.findings = append(v.findings, Finding{Field: field, Rule: rule, Message: ownText(fmt.Sprintf(format, args...))})
}

func (v *verdict) bad() bool { return len(v.findings) > 0 }

// join makes the path of a field within what has path parent.
func join(parent string, name protoreflect.Name) string {
	if parent == "" {
		return string(name)
	}
	return parent + "." + string(name)
}
