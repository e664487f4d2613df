package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/huitong-bus/huitong/exchange/fault"
)

const (
	// shownRejects is how many refusals are printed where no file takes them.
	shownRejects = 10
	// shownInput is how much of a line that is too long is kept.
	shownInput = 4 << 10
)

// reject is one line that was refused, as the file of rejects holds it. It holds
// the record, and so may hold personal data.
type reject struct {
	Line       int64           `json:"line"`
	Kind       string          `json:"kind"`
	Rule       string          `json:"rule"`
	Field      string          `json:"field,omitempty"`
	Message    string          `json:"message"`
	Violations []violation     `json:"violations,omitempty"`
	Input      json.RawMessage `json:"input,omitempty"`
	// InputBytes takes the place of Input where that is not JSON.
	InputBytes []byte `json:"input_bytes,omitempty"`
	// Cut says that the input is longer than what is kept of it.
	Cut bool `json:"input_cut,omitempty"`
}

func newReject(l *line, f *fault.Error) *reject {
	r := &reject{Line: l.number, Kind: f.Kind.String(), Rule: f.Rule, Message: f.Message, Violations: violationsOf(f.Violations)}
	if len(f.Violations) > 0 {
		r.Rule, r.Field, r.Message = f.Violations[0].Rule, f.Violations[0].Field, f.Violations[0].Message
	}
	raw := l.raw
	if l.long {
		raw, r.Cut = raw[:min(len(raw), shownInput)], true
	}
	switch {
	case json.Valid(raw) && utf8.Valid(raw):
		r.Input = raw
	case utf8.Valid(raw):
		text, _ := json.Marshal(string(raw)) // a string always encodes
		r.Input = text
	default:
		r.InputBytes = raw
	}
	return r
}

// rejectFile takes the lines that were refused.
type rejectFile struct {
	file *os.File
	out  *bufio.Writer
}

// openRejects opens the file; with after it keeps what it holds of the lines up
// to there, for a later part of the same run.
func openRejects(path string, after int64) (*rejectFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	keep, err := rejectsThrough(f, after)
	if err == nil {
		err = f.Truncate(keep)
	}
	if err == nil {
		_, err = f.Seek(keep, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &rejectFile{f, bufio.NewWriter(f)}, nil
}

// rejectsThrough gives the length of the part that is of lines up to after.
func rejectsThrough(f io.Reader, after int64) (keep int64, err error) {
	if after == 0 {
		return 0, nil
	}
	// A reject holds its input and what is said of it.
	in := newLineReader(f, 2*maxLine)
	for {
		l, err := in.next()
		if errors.Is(err, io.EOF) {
			return keep, nil
		}
		if err != nil {
			return 0, err
		}
		var r reject
		if l.long || json.Unmarshal(l.raw, &r) != nil || r.Line > after {
			return keep, nil
		}
		keep = in.offset
	}
}

func (f *rejectFile) write(r *reject) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err = f.out.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write the rejects: %w", err)
	}
	return nil
}

func (f *rejectFile) flush() error {
	if f == nil {
		return nil
	}
	return f.out.Flush()
}

func (f *rejectFile) close() error {
	if f == nil {
		return nil
	}
	return errors.Join(f.out.Flush(), f.file.Sync(), f.file.Close())
}

// ruleCount counts how often a rule was broken by a field.
type ruleCount struct {
	Rule  string `json:"rule"`
	Field string `json:"field,omitempty"`
	Count int64  `json:"count"`
}

// tally counts by rule and field.
type tally map[ruleCount]int64

var elementIndex = regexp.MustCompile(`\[[^\]]*\]`)

// add counts a refusal's violations; elements of a list count as one field.
func (t tally) add(rule string, violations []fault.Violation) {
	if len(violations) == 0 {
		t[ruleCount{Rule: rule}]++
	}
	for _, v := range violations {
		t[ruleCount{Rule: v.Rule, Field: elementIndex.ReplaceAllString(v.Field, "[]")}]++
	}
}

// sorted gives the counts, the largest first.
func (t tally) sorted() []ruleCount {
	var all []ruleCount
	for c, n := range t {
		c.Count = n
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b ruleCount) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(a.Rule+" "+a.Field, b.Rule+" "+b.Field)
	})
	return all
}
