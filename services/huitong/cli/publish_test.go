package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
)

func readLines(t *testing.T, r *lineReader) []string {
	t.Helper()
	var all []string
	for {
		l, err := r.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text := string(l.raw)
		if l.long {
			text = "long " + text
		}
		all = append(all, itoa(l.number)+" "+text)
	}
}

func TestLines(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"\n\n", ""},
		{"a\nb", "1 a|2 b"},
		{"\xef\xbb\xbfa\r\n\r\n  b  \n", "1 a|3 b"},
		{"12345678\n123456789\n1234567890123\nx", "1 12345678|2 long 12345678|3 long 12345678|4 x"},
		{"12345678\r\n12345678", "1 12345678|2 12345678"},
		{"123456789", "1 long 12345678"},
	} {
		if got := strings.Join(readLines(t, newLineReader(strings.NewReader(c.in), 8)), "|"); got != c.want {
			t.Errorf("%q: %q, not %q", c.in, got, c.want)
		}
	}
}

// FuzzLines: whatever comes, lines are bounded and counted as the file has them,
// and reading goes on at any mark with the same lines that a reading from the
// beginning gives.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"))
	f.Add([]byte("\xef\xbb\xbf\r\n" + strings.Repeat("x", 40) + "\n\xff\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newLineReader(bytes.NewReader(in), 16)
		r.every = 1
		var marks []*mark
		var lines []string
		for {
			l, err := r.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(l.raw) > 16 || bytes.ContainsRune(l.raw, '\n') {
				t.Fatalf("line %d is %q", l.number, l.raw)
			}
			marks, lines = append(marks, l.end), append(lines, itoa(l.number)+" "+string(l.raw)+yesNo(l.long, "long", ""))
		}
		if r.offset != int64(len(in)) {
			t.Fatalf("%d bytes read of %d", r.offset, len(in))
		}
		for i, m := range marks {
			again := newLineReader(bytes.NewReader(in), 16)
			same, err := again.skip(newPosition().at(m))
			if err != nil || !same {
				t.Fatalf("line %d is not found again: %v", m.line, err)
			}
			next, err := again.next()
			switch {
			case errors.Is(err, io.EOF) && i == len(marks)-1:
			case err != nil || i == len(marks)-1:
				t.Fatalf("after line %d: %v, %v", m.line, next, err)
			case itoa(next.number)+" "+string(next.raw)+yesNo(next.long, "long", "") != lines[i+1]:
				t.Fatalf("after line %d comes %q, not %q", m.line, next.raw, lines[i+1])
			}
		}
	})
}

// TestPositionIsOfOneFile: a file that was changed before the position, or is
// shorter, is another file.
func TestPositionIsOfOneFile(t *testing.T) {
	r := newLineReader(strings.NewReader("a\nb\nc\n"), 8)
	readLines(t, r)
	p := newPosition().at(r.mark())
	p, err := parsePosition(p.encode())
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]bool{"a\nb\nc\n": true, "a\nb\nc\nd\n": true, "a\nx\nc\nd\n": false, "a\nb\n": false, "": false} {
		if same, err := newLineReader(strings.NewReader(in), 8).skip(p); err != nil || same != want {
			t.Errorf("%q: %v, %v", in, same, err)
		}
	}
}

func TestPositionKeys(t *testing.T) {
	p := newPosition()
	if p.key(1) == p.key(2) || p.key(1) == newPosition().key(1) {
		t.Error("two lines have one key")
	}
	q, err := parsePosition(p.encode())
	if err != nil || q.key(7) != p.key(7) {
		t.Errorf("a run that goes on has other keys (%v)", err)
	}
	long := newPosition()
	long.Line, long.Offset = 1<<40, 1<<50
	if n := len(long.encode()); n > 1024 {
		t.Errorf("a position has %d bytes; the exchange takes 1,024", n)
	}
	if n := len(sourceName("topic", strings.Repeat("长", 200))); n > 128 {
		t.Errorf("a source's name has %d bytes; the exchange takes 128", n)
	}
}

func FuzzPosition(f *testing.F) {
	f.Add(newPosition().encode())
	f.Add([]byte(`{"run":"AAAAAAAAAAAAAAAAAAAAAA==","line":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePosition(text)
		if err != nil {
			return
		}
		q, err := parsePosition(p.encode())
		if err != nil || q.Line != p.Line || q.Offset != p.Offset || q.key(p.Line) != p.key(p.Line) {
			t.Fatalf("%s is not read as written: %v", text, err)
		}
	})
}

// TestRejectsOfARunThatGoesOn: what the file holds of lines after the position is
// written anew, for those lines are published anew.
func TestRejectsOfARunThatGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rejects.jsonl")
	write := func(after int64, lines ...int64) {
		t.Helper()
		f, err := openRejects(path, after)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range lines {
			if err := f.write(newReject(&line{number: n, raw: []byte(`{"a":1}`)}, fault.Field("a", "b", "c"))); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
	}
	held := func() (all string) {
		t.Helper()
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for text := range strings.SplitSeq(strings.TrimSpace(string(raw)), "\n") {
			var r reject
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			all += itoa(r.Line) + " "
		}
		return all
	}
	write(0, 3, 1007, 1020)
	write(1010, 1020, 1030)
	if got := held(); got != "3 1007 1020 1030 " {
		t.Errorf("the file holds lines %s", got)
	}
	write(0, 5)
	if got := held(); got != "5 " {
		t.Errorf("a new run's file holds lines %s", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of rejects is readable by others: %v", info.Mode())
	}
}

func TestRejectKeepsTheInput(t *testing.T) {
	refused := fault.New(fault.Invalid, "x", "y")
	for _, c := range []struct {
		raw  string
		long bool
		want string
	}{
		{`{"a": 1}`, false, `"input":{"a":1}`},
		{`nope`, false, `"input":"nope"`},
		{"a\xffb", false, `"input_bytes":"Yf9i"`},
		{strings.Repeat("z", 9000), true, `"input_cut":true`},
	} {
		text, err := json.Marshal(newReject(&line{number: 1, raw: []byte(c.raw), long: c.long}, refused))
		if err != nil || !strings.Contains(string(text), c.want) || len(text) > 6000 {
			t.Errorf("%.20q: %.300s, %v", c.raw, text, err)
		}
	}
}

func TestTally(t *testing.T) {
	all := tally{}
	all.add("r", nil)
	for _, field := range []string{"members[0].id", "members[17].id", "name"} {
		all.add("r", []fault.Violation{{Field: field, Rule: "check"}})
	}
	got, err := json.Marshal(all.sorted())
	if want := `[{"rule":"check","field":"members[].id","count":2},{"rule":"check","field":"name","count":1},{"rule":"r","count":1}]`; err != nil || string(got) != want {
		t.Errorf("%s, not %s", got, want)
	}
}
