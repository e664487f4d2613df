package entry

import (
	"strings"

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
	case !contract.Lines(text):
		return fault.Field(field, field+".text", "is not printable text")
	case contract.HoldsResidentID(text):
		return fault.Field(field, field+".personal", "holds a resident identity number; name no person here")
	}
	return nil
}

// Name is Text for what stands in one line: names and titles.
func Name(field, text string) error {
	if err := Text(field, text, true); err != nil {
		return err
	}
	if !contract.OneLine(text) {
		return fault.Field(field, field+".text", "is no line of printable text")
	}
	return nil
}
