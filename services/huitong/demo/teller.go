package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// teller writes the story. It keeps the first error of its writer.
type teller struct {
	w     io.Writer
	began time.Time
	err   error
}

func newTeller(w io.Writer) *teller { return &teller{w: w, began: time.Now()} }

func (t *teller) write(line string) {
	if t.err == nil {
		_, t.err = io.WriteString(t.w, line+"\n")
	}
}

// heading begins a step.
func (t *teller) heading(n int, title string) { t.write(fmt.Sprintf("\n%2d  %s", n, title)) }

// say writes one line.
func (t *teller) say(format string, args ...any) { t.write(fmt.Sprintf(format, args...)) }

// tell writes one line of a step.
func (t *teller) tell(format string, args ...any) { t.write("    " + fmt.Sprintf(format, args...)) }

func (t *teller) sinceStart() string { return short(time.Since(t.began)) }

// short writes a duration with as many digits as anybody reads.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	default:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
}

// count writes a number with commas.
func count[N int | uint64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// column fills a text up to a width; a Chinese character takes two columns.
func column(text string, width int) string {
	for _, r := range text {
		width--
		if unicode.Is(unicode.Han, r) {
			width--
		}
	}
	return text + strings.Repeat(" ", max(0, width))
}

// veiled hides the middle of an identity number.
func veiled(number string) string {
	if len(number) < 10 {
		return number
	}
	return number[:6] + strings.Repeat("*", len(number)-10) + number[len(number)-4:]
}
