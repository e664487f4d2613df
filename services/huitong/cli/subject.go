package cli

import (
	"strings"

	"github.com/huitong-bus/huitong/sdk"
)

// parseSubject reads TYPE:NUMBER or TYPE:NUMBER:ROLE, such as
// 111:999999199001010016. The exchange checks type and number; here only the
// form is read, so that a subject is never taken for a record key.
func parseSubject(text string) (sdk.Subject, error) {
	kind, rest, ok := strings.Cut(text, ":")
	number, role, _ := strings.Cut(rest, ":")
	if !ok || !threeDigits(kind) || strings.TrimSpace(number) == "" || strings.Contains(role, ":") {
		return sdk.Subject{}, usageError("name a subject as TYPE:NUMBER, such as 111:999999199001010016 " +
			"(111 resident identity number, 001 unified social credit code, 414 passport, 999 other), or a record with --key")
	}
	return sdk.Subject{Type: kind, Number: number, Role: role}, nil
}

func threeDigits(s string) bool {
	if len(s) != 3 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
