package contract

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// separators may stand within a written number.
const separators = " \t\n-._:/·"

// HoldsResidentID says whether a text holds a resident identity number of 18
// characters, whatever stands around it and whatever separates its digits. It is
// asked of texts that stand in the ledger in the clear and cannot be erased. A
// longer row of digits is none: document numbers and codes of service items have
// such rows.
func HoldsResidentID(text string) bool {
	folded := strings.ToUpper(norm.NFKC.String(text))
	run := make([]byte, 0, len(folded))
	found := false
	end := func(last byte) {
		number := run
		if last == 'X' && len(run) == 17 {
			number = append(run, last)
		}
		found = found || len(number) == 18 && CheckResidentID(string(number)) == nil
		run = run[:0]
	}
	for i := range len(folded) {
		switch c := folded[i]; {
		case isDigit(c):
			run = append(run, c)
		case strings.IndexByte(separators, c) >= 0:
		default:
			end(c)
		}
	}
	end(0)
	return found
}
