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
		r.Next = nextOf(f)
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
