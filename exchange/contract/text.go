package contract

import (
	"strings"
	"unicode"
	"unicode/utf8"
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
