package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3 // the exchange knows the call and does not allow it
	exitPartly      = 4 // done, but some records were refused
	exitUnreachable = 5 // the exchange did not answer; the same call may be made again
	exitUnproven    = 6 // a check found something wrong
)

// usage is a mistake in how the command was called.
type usage struct{ message string }

func (u *usage) Error() string { return u.message }

func usageError(format string, args ...any) error { return &usage{fmt.Sprintf(format, args...)} }

// coded is an error with an exit code of its own.
type coded struct {
	error
	code int
}

func (c *coded) Unwrap() error { return c.error }

// advised is an error that knows better than its kind what to do next.
type advised struct {
	error
	advice string
}

func (a *advised) Unwrap() error { return a.error }

func advise(err error, format string, args ...any) error {
	return &advised{err, fmt.Sprintf(format, args...)}
}

// finish prints an error and gives the exit code.
func (a *app) finish(err error) int {
	if err == nil {
		return exitDone
	}
	if !a.started {
		var u *usage
		if !errors.As(err, &u) {
			err = &usage{err.Error()}
		}
	}
	r := reportOf(err)
	if a.output == "json" {
		a.printJSONError(r)
	} else {
		a.printError(r)
	}
	return codeOf(err)
}

func codeOf(err error) int {
	var u *usage
	var c *coded
	switch {
	case errors.As(err, &c):
		return c.code
	case errors.As(err, &u):
		return exitUsage
	case errors.Is(err, sdk.ErrUnproven):
		return exitUnproven
	}
	switch fault.KindOf(err) {
	case fault.Denied, fault.Unauthenticated, fault.Lapsed:
		return exitRefused
	case fault.Unavailable, fault.Timeout, fault.Limited:
		return exitUnreachable
	}
	return exitFailed
}

// report is an error as it is printed.
type report struct {
	Kind       string      `json:"kind"`
	Rule       string      `json:"rule,omitempty"`
	Message    string      `json:"message"`
	Violations []violation `json:"violations,omitempty"`
	Next       string      `json:"next,omitempty"`
}

type violation struct {
	Field   string `json:"field"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

func violationsOf(in []fault.Violation) []violation {
	var out []violation
	for _, v := range in {
		out = append(out, violation(v))
	}
	return out
}

func reportOf(err error) *report {
	r := &report{Kind: "FAILED", Message: err.Error()}
	var u *usage
	var f *fault.Error
	var ad *advised
	switch {
	case errors.As(err, &u):
		r.Kind, r.Next = "USAGE", "add --help to see how the command is used"
	case errors.As(err, &f):
		r.Kind, r.Rule, r.Violations = f.Kind.String(), f.Rule, violationsOf(f.Violations)
		r.Message = messageOf(err, f)
		r.Next = next[f.Kind]
		if f.Kind == fault.Denied {
			r.Next = orElse(nextOfRefusal[f.Rule], r.Next)
		}
	}
	if errors.As(err, &ad) {
		r.Next = ad.advice
	}
	r.Message = strings.ReplaceAll(r.Message, "\n", "; ")
	return r
}

// messageOf gives an error's text without the rule that Error puts in brackets,
// for the rule is printed on a line of its own.
func messageOf(err error, f *fault.Error) string {
	text := err.Error()
	if f.Rule != "" {
		text = strings.Replace(text, " ["+f.Rule+"]", "", 1)
	}
	return text
}

// next says what to do about each kind of error.
var next = map[fault.Kind]string{
	fault.Denied:          "ask the data authority for the permission that the rule names",
	fault.Unauthenticated: "look at the context's certificate: huitong context show; a new one comes from huitong system enrol",
	fault.Lapsed:          "the permission is no longer in force: huitong grant list",
	fault.Stale:           "the exchange holds a newer version of the record; read it first",
	fault.Conflict:        "look at the object as it stands now, then decide again",
	fault.Limited:         "try again later",
	fault.Unavailable:     "is the exchange running? start it with huitong serve, or choose another with --context or --address",
	fault.Timeout:         "try again; the same call may be made again",
	fault.Internal:        "the exchange's log says more",
	fault.Unsupported:     "the exchange is of another version than this command: huitong version",
}

// nextOfRefusal says it where the department itself can do something about it.
var nextOfRefusal = map[string]string{
	"case.unknown":        openCase,
	"case.closed":         openCase,
	"case.item":           "name the case's own service item, or open a case for this one: huitong case open",
	"case.subject":        "look whom the case names: huitong case show; whoever else is asked about needs a case of their own",
	"collect.choices":     "collect with the choices of before: huitong case collect --decline names what was declined then",
	"consent.required":    askConsent,
	"consent.elsewhere":   askConsent,
	"consent.expired":     askConsent,
	"consent.revoked":     askConsent,
	"consent.every_adult": askConsent,
}

const (
	openCase   = "open a case that names who is asked about: huitong case open"
	askConsent = "ask who is asked about: huitong consent prepare, then huitong consent give"
)

func (a *app) printError(r *report) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(a.err, format, args...) }
	p("huitong: %s\n", r.Message)
	if r.Rule != "" {
		p("  kind %s, rule %s\n", r.Kind, r.Rule)
	}
	for _, v := range r.Violations {
		// A fault of one field says the same in its message.
		if len(r.Violations) == 1 && strings.Contains(r.Message, v.Message) {
			break
		}
		p("  - %s: %s (%s)\n", v.Field, v.Message, v.Rule)
	}
	if r.Next != "" {
		p("  next: %s\n", r.Next)
	}
}

func (a *app) printJSONError(r *report) {
	e := json.NewEncoder(a.err)
	e.SetEscapeHTML(false)
	_ = e.Encode(map[string]*report{"error": r})
}
