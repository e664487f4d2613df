package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// flushAt is how many rows a table gathers before it fixes its widths: a long
// list is printed as it comes.
const flushAt = 500

// table aligns columns by the width that text has on a terminal, where a Chinese
// character takes two places.
type table struct {
	w      io.Writer
	head   []string
	rows   [][]string
	widths []int
}

func newTable(w io.Writer, head ...string) *table { return &table{w: w, head: head} }

// row adds a row; the last column is not padded.
func (t *table) row(cells ...string) error {
	for i, c := range cells {
		cells[i] = printable(c)
	}
	t.rows = append(t.rows, cells)
	if len(t.rows) < flushAt {
		return nil
	}
	return t.flush()
}

// flush prints what was gathered; the header only the first time.
func (t *table) flush() error {
	rows := t.rows
	if t.widths == nil {
		t.widths = make([]int, len(t.head))
		if strings.Join(t.head, "") != "" {
			rows = append([][]string{t.head}, rows...)
		}
	}
	for _, r := range rows {
		for i, c := range r {
			t.widths[i] = max(t.widths[i], runewidth.StringWidth(c))
		}
	}
	for _, r := range rows {
		if _, err := fmt.Fprintln(t.w, t.line(r)); err != nil {
			return err
		}
	}
	t.rows = nil
	return nil
}

func (t *table) line(cells []string) string {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(c)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", max(0, t.widths[i]-runewidth.StringWidth(c))))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// printable takes control characters out of text that others wrote: they could
// move the cursor or forge a row.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)
}
