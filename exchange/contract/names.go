package contract

import (
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// naming collects what a record calls one subject.
type naming struct {
	kind, number string
	names        []string
}

func (n *naming) take(kind, number, name string) {
	if kind != n.kind || number != n.number {
		return
	}
	if name = foldName(name); name != "" && !slices.Contains(n.names, name) {
		n.names = append(n.names, name)
	}
}

// foldName takes out of a name what is written now one way and now another: width,
// case, space and marks between its parts.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) {
			return r
		}
		return -1
	}, fold(strings.Clone(name)))
}

// Names gives what a record that was accepted calls one of its subjects, by the
// subject's normalised number: names in one spelling, to compare and not to show.
// There are none where the contract does not say which field names the subject.
func (c *Contract) Names(payload []byte, kind, number string) ([]string, error) {
	rd := reader{record: &Record{}, report: &report{}, naming: &naming{kind: kind, number: number}}
	// The fast decoder is safe only with bytes that were scanned just now; these
	// were when they were stored.
	err := (&plainDecoder{c.inner}).decode(payload, func(m protoreflect.Message) {
		for _, s := range c.options.subjects {
			if s.nameFrom != nil {
				rd.along[0] = m
				rd.walk(s, 0)
			}
		}
	})
	return rd.naming.names, err
}
