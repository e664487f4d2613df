package contract

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// Holder code types whose numbers carry check digits.
const (
	// TypeResidentID is a resident identity number.
	TypeResidentID = "111"
	// TypeCreditCode is a unified social credit code.
	TypeCreditCode = "001"
)

// subjectTypes are the holder code types of GB/T 36902 that public code lists:
// resident identity number, unified social credit code, passport, travel and
// residence permits, other. Only the first two have numbers that can be checked.
var subjectTypes = []string{"001", "111", "414", "511", "516", "553", "999"}

var typeList = strings.Join(subjectTypes, ", ")

// SubjectTypes lists the holder code types that a subject may have, ascending.
func SubjectTypes() []string { return slices.Clone(subjectTypes) }

// Subject is whom a record is about: its type and number normalised, so that
// one subject has one spelling.
type Subject struct {
	Type   string
	Number string
	Role   string
}

// maxSubjectNumber bounds a normalised number, in bytes.
const (
	maxSubjectNumber = 128
	tooLong          = "is longer than 128 bytes"
)

// Normalise gives the one spelling of an identifying number: surrounding space
// off, compatibility forms (NFKC) and lower case folded, a resident identity
// number of 15 digits brought to 18. The error, a fault of kind Invalid, names
// the rule and never the number.
func Normalise(kind, number string) (string, error) {
	n, p := normalise(kind, number)
	if p.rule != "" {
		return "", fault.Field("number", p.rule, "%s", p.message)
	}
	return n, nil
}

// normalise gives the spelling even where the number breaks a rule, for callers
// to whom that is a warning.
func normalise(kind, number string) (string, problem) {
	if !slices.Contains(subjectTypes, kind) {
		return number, problem{"subject.type", "its holder code type is not one of " + typeList}
	}
	if len(number) > 8*maxSubjectNumber {
		return number, problem{"subject.number", tooLong}
	}
	n := fold(number)
	switch {
	case n == "":
		return n, problem{"subject.number", "is empty"}
	case len(n) > maxSubjectNumber:
		return n, problem{"subject.number", tooLong}
	case kind == TypeResidentID:
		return residentSubject(n)
	case kind == TypeCreditCode:
		return n, problemOf("identifier.credit_code", CheckCreditCode(n))
	case strings.ContainsFunc(n, unseen):
		return n, problem{"subject.number", "has characters that do not show"}
	}
	return n, problem{}
}

// unseen says whether a character does not show: two numbers that look alike
// must not be two subjects.
func unseen(r rune) bool { return !unicode.IsGraphic(r) }

func residentSubject(n string) (string, problem) {
	if err := CheckResidentID(n); err != nil {
		return n, problemOf(ruleResidentID, err)
	}
	if len(n) == 15 {
		n, _ = upgradeResidentID(n)
	}
	return n, problem{}
}

// fold takes surrounding space, compatibility forms and lower case out of a
// number. Most numbers need nothing, and cost nothing.
func fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c >= 'a' && c <= 'z' {
			return strings.TrimSpace(norm.NFKC.String(strings.ToUpper(norm.NFKC.String(s))))
		}
	}
	return s
}
