package entry

import (
	"strings"
	"unicode/utf8"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
)

// maxText bounds texts of the catalogue, in bytes.
const maxText = 2000

// Text refuses a text that is missing, too long or not printable, or that holds
// a person's identity number: texts of the catalogue can be read by many, and
// some stand in the ledger for good.
func Text(field, text string, required bool) error {
	switch {
	case required && strings.TrimSpace(text) == "":
		return fault.Field(field, field+".required", "is required")
	case len(text) > maxText:
		return fault.Field(field, field+".size", "has more than %d bytes", maxText)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' }):
		return fault.Field(field, field+".text", "is not printable text")
	case contract.HoldsResidentID(text):
		return fault.Field(field, field+".personal", "holds a resident identity number; name no person here")
	}
	return nil
}
