package contract

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// OneLine says whether a text is UTF-8 in one line without characters that people
// cannot see: controls, and what turns the direction of writing, by which a text
// reads as another than it is.
func OneLine(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, hidden)
}

// Lines is OneLine for a text that may have several lines.
func Lines(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(c rune) bool { return c != '\n' && c != '\t' && hidden(c) })
}

func hidden(c rune) bool {
	return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' || c >= 0x80 && unicode.Is(unicode.Bidi_Control, c)
}

// prose are the names of fields that hold what people write in several lines.
var prose = map[protoreflect.Name]bool{
	"abstract": true, "basis": true, "conditions": true, "format": true, "legal_basis": true, "message": true, "missing": true,
	"note": true, "outcome": true, "reason": true, "scenario": true, "standing_legal_basis": true,
}

// CheckTexts refuses a message with a text, in it or in a message of it, that is
// not as people see it, or not in one line where it is none that people write in
// several. What leave holds, of fields and of messages, is not looked at: it is
// no text, or is checked elsewhere. at is where the message stands, for the
// refusal.
func CheckTexts(at string, m protoreflect.Message, leave map[protoreflect.FullName]bool) error {
	var err error
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		err = checkTextsOf(join(at, f.Name()), f, v, leave)
		return err == nil
	})
	return err
}

func checkTextsOf(at string, f protoreflect.FieldDescriptor, v protoreflect.Value, leave map[protoreflect.FullName]bool) error {
	text := f.Kind() == protoreflect.StringKind
	if leave[f.FullName()] || f.IsMap() || !text && (f.Message() == nil || leave[f.Message().FullName()]) {
		return nil
	}
	if !f.IsList() {
		return checkText(at, f, v, leave)
	}
	for i := range v.List().Len() {
		if err := checkText(fmt.Sprintf("%s[%d]", at, i), f, v.List().Get(i), leave); err != nil {
			return err
		}
	}
	return nil
}

func checkText(at string, f protoreflect.FieldDescriptor, v protoreflect.Value, leave map[protoreflect.FullName]bool) error {
	switch {
	case f.Message() != nil:
		return CheckTexts(at, v.Message(), leave)
	case prose[f.Name()]:
		if !Lines(v.String()) {
			return fault.Field(at, string(f.Name())+".text", "is no printable text; write it without control characters and marks of the writing direction")
		}
	case !OneLine(v.String()):
		return fault.Field(at, string(f.Name())+".text", "is no line of printable text; write it in one line, without control characters and marks of the writing direction")
	}
	return nil
}
