// Package fault is the closed list of what can go wrong on the exchange, as a
// caller sees it.
//
// A fault has a kind, from which a program decides what to do; a rule, a stable
// name of what refused it; and a message for people that says what to do next.
// It crosses the wire as a gRPC status with an ErrorInfo whose reason is the
// kind, and comes out of FromStatus on the other side as it went in, so
// errors.Is and errors.As work on both. The cause, which may hold engine text,
// never leaves the process.
package fault

import (
	"errors"
	"fmt"
	"slices"
)

// Kind is a kind of error. The list is append-only.
type Kind uint8

// The kinds of error, each with what a caller should do.
const (
	// Internal: a defect or a broken engine. The call may have had no effect;
	// a retry with the same idempotency key is safe.
	Internal Kind = iota
	// Invalid: the input breaks a rule; the violations name the fields.
	Invalid
	// NotFound: no such object, or none that the caller may know of.
	NotFound
	// AlreadyExists: another object has that name.
	AlreadyExists
	// Denied: the caller may not; the rule says why.
	Denied
	// Unauthenticated: the exchange does not know the caller, or no longer.
	Unauthenticated
	// Stale: the source version is not larger than the record's.
	Stale
	// Conflict: a stated precondition does not hold, or the object is in use.
	Conflict
	// TooLarge: over a limit of size or number.
	TooLarge
	// Limited: over a limit of rate; try again later.
	Limited
	// Lapsed: a permission that was relied on is no longer in force.
	Lapsed
	// Unavailable: try again, with the same idempotency key.
	Unavailable
	// Timeout: the deadline passed; whether it had an effect is not known.
	Timeout
	// Canceled: the caller gave up.
	Canceled
	// Unsupported: the exchange does not do this.
	Unsupported
	kinds
)

var names = [kinds]string{
	"INTERNAL", "INVALID", "NOT_FOUND", "ALREADY_EXISTS", "DENIED",
	"UNAUTHENTICATED", "STALE", "CONFLICT", "TOO_LARGE", "LIMITED", "LAPSED",
	"UNAVAILABLE", "TIMEOUT", "CANCELED", "UNSUPPORTED",
}

// String gives the kind's name on the wire.
func (k Kind) String() string {
	if k < kinds {
		return names[k]
	}
	return names[Internal]
}

// Kinds lists every kind.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// ParseKind is the inverse of String; an unknown name is Internal.
func ParseKind(name string) Kind {
	if i := slices.Index(names[:], name); i >= 0 {
		return Kind(i)
	}
	return Internal
}

// Retryable says whether the same request, with the same idempotency keys, may
// simply be sent again.
func (k Kind) Retryable() bool {
	return k == Unavailable || k == Limited || k == Timeout
}

// Violation is one rule that one field breaks. The message never holds the
// field's value.
type Violation struct {
	Field   string
	Rule    string
	Message string
}

// Error is a fault.
type Error struct {
	Kind       Kind
	Rule       string
	Message    string
	Violations []Violation
	cause      error
}

// New makes a fault.
func New(kind Kind, rule, format string, args ...any) *Error {
	return &Error{Kind: kind, Rule: rule, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes a fault of an error, which stays in this process.
func Wrap(kind Kind, rule string, cause error, format string, args ...any) *Error {
	e := New(kind, rule, format, args...)
	e.cause = cause
	return e
}

// With adds violations.
func (e *Error) With(v ...Violation) *Error {
	e.Violations = append(e.Violations, v...)
	return e
}

// Field makes an Invalid fault of one field.
func Field(field, rule, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	return New(Invalid, rule, "%s: %s", field, message).With(Violation{field, rule, message})
}

// Error gives message, rule and violations; with the cause, for logs of this
// process only.
func (e *Error) Error() string {
	text := e.Message
	if e.Rule != "" {
		text += " [" + e.Rule + "]"
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is a fault of the same kind and, if target names
// one, the same rule.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && (t.Rule == "" || t.Rule == e.Rule)
}

// KindOf gives an error's kind; Internal if it is no fault.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// RuleOf gives the name of the rule that refused; empty if it is no fault.
func RuleOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Rule
	}
	return ""
}
