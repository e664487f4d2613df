package contract

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/descriptorpb"
)

var update = flag.Bool("update", false, "write the verdicts into testdata/changes.txt")

// change is one row of the table.
type change struct {
	name      string
	edit      []string
	buf, ours string
	why       string
}

// readChanges reads testdata/changes.txt; head is what stands before the rows.
func readChanges(t testing.TB) (head string, rows []*change) {
	t.Helper()
	head, rest, _ := strings.Cut(readTestdata(t, "changes.txt"), "\n## ")
	for _, part := range strings.Split(rest, "\n## ") {
		lines := strings.Split(strings.TrimSpace(part), "\n")
		row := &change{name: lines[0]}
		for _, line := range lines[1:] {
			switch {
			case strings.HasPrefix(line, "buf:"):
				row.buf = strings.TrimSpace(line[len("buf:"):])
			case strings.HasPrefix(line, "ours:"):
				row.ours = strings.TrimSpace(line[len("ours:"):])
			case strings.HasPrefix(line, "why:"):
				row.why = strings.TrimSpace(line[len("why:"):])
			case line != "":
				row.edit = append(row.edit, line)
			}
		}
		rows = append(rows, row)
	}
	return head, rows
}

// apply edits the base.
func (c *change) apply(t testing.TB, base string) string {
	t.Helper()
	lines := strings.Split(base, "\n")
	at := 1 + slices.Index(lines, "message Record {")
	for _, e := range c.edit {
		text := strings.TrimSpace(e[1:])
		if e[0] == '+' {
			lines = slices.Insert(lines, at, text)
			at++
			continue
		}
		i := slices.IndexFunc(lines, func(l string) bool { return strings.TrimSpace(l) == text })
		if i < 0 {
			t.Fatalf("%s: base.proto has no line %q", c.name, text)
		}
		lines = slices.Delete(lines, i, i+1)
		at = i
	}
	return strings.Join(lines, "\n")
}

// ourVerdict gives the rules that Compare finds broken, each with what it
// breaks.
func ourVerdict(old, next *Contract) string {
	found := map[string]bool{}
	for _, d := range differences(old, next) {
		found[d.finding.Rule+" ("+d.breaks.String()+")"] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), ", ")
}

func TestVerdictsOnChanges(t *testing.T) {
	base := readTestdata(t, "base.proto")
	head, rows := readChanges(t)
	if len(rows) < 40 {
		t.Errorf("the table has %d rows", len(rows))
	}
	old := compiled(t, base, 1)
	for _, row := range rows {
		next := compiled(t, row.apply(t, base), 2)
		ours := ourVerdict(old, next)
		if *update {
			row.ours = ours
			continue
		}
		if ours != row.ours {
			t.Errorf("%s: we find %q, the table says %q", row.name, ours, row.ours)
		}
		if (row.buf == "") != (row.ours == "") && row.why == "" {
			t.Errorf("%s: buf finds %q and we %q, and the table does not say why", row.name, row.buf, row.ours)
		}
		if (row.buf == "") == (row.ours == "") && row.why != "" {
			t.Errorf("%s: the verdicts agree, and the table says why they do not", row.name)
		}
	}
	if *update {
		writeChanges(t, head, rows)
	}
}

// TestBufAgrees compares the table with buf itself. HUITONG_BUF names the
// program; the project's CI sets it, and fails if it does not.
func TestBufAgrees(t *testing.T) {
	program := os.Getenv("HUITONG_BUF")
	if program == "" {
		t.Log("HUITONG_BUF is not set: the table is taken at its word")
		return
	}
	base := readTestdata(t, "base.proto")
	head, rows := readChanges(t)
	all := bufVerdicts(t, program, base, rows)
	for i, row := range rows {
		if *update {
			row.buf = all[i]
		} else if row.buf != all[i] {
			t.Errorf("%s: buf finds %q, the table says %q", row.name, all[i], row.buf)
		}
	}
	if *update {
		writeChanges(t, head, rows)
	}
}

// bufVerdicts runs buf once over all rows, each a package of its own.
func bufVerdicts(t *testing.T, program, base string, rows []*change) []string {
	t.Helper()
	dir := t.TempDir()
	was, is := &descriptorpb.FileDescriptorSet{}, &descriptorpb.FileDescriptorSet{}
	for i, row := range rows {
		path := rowPath(i)
		name := strings.TrimSuffix(path, ".proto")
		in := func(text string) string { return strings.Replace(text, "change.v1", name, 1) }
		merge(was, setFrom(compileProto(t, path, in(base))))
		merge(is, setFrom(compileProto(t, path, in(row.apply(t, base)))))
	}
	for name, set := range map[string]*descriptorpb.FileDescriptorSet{"was.binpb": was, "is.binpb": is} {
		if err := os.WriteFile(filepath.Join(dir, name), marshal(t, set), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "breaking", "is.binpb", "--against", "was.binpb", "--error-format", "json",
		"--config", `{"version":"v2","breaking":{"use":["WIRE_JSON"]}}`)
	cmd.Dir = dir
	out, err := cmd.Output()
	if len(out) == 0 {
		t.Fatalf("buf found nothing: %v", err)
	}
	verdicts := make([]map[string]bool, len(rows))
	for line := range strings.Lines(string(out)) {
		var a struct{ Path, Type string }
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		i := slices.IndexFunc(rows, func(r *change) bool { return rowPath(slices.Index(rows, r)) == a.Path })
		if i < 0 {
			t.Fatalf("buf names a file that it was not given: %s", line)
		}
		if verdicts[i] == nil {
			verdicts[i] = map[string]bool{}
		}
		verdicts[i][a.Type] = true
	}
	texts := make([]string, len(rows))
	for i, v := range verdicts {
		texts[i] = strings.Join(slices.Sorted(maps.Keys(v)), ", ")
	}
	return texts
}

func rowPath(i int) string { return "row" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + ".proto" }

// merge adds the files of a set that another does not have yet.
func merge(to, from *descriptorpb.FileDescriptorSet) {
	for _, f := range from.GetFile() {
		if !slices.ContainsFunc(to.GetFile(), func(g *descriptorpb.FileDescriptorProto) bool { return g.GetName() == f.GetName() }) {
			to.File = append(to.File, f)
		}
	}
}

func writeChanges(t *testing.T, head string, rows []*change) {
	t.Helper()
	var b strings.Builder
	b.WriteString(head)
	for _, row := range rows {
		b.WriteString("\n## " + row.name + "\n")
		for _, line := range [][2]string{{"buf:", row.buf}, {"ours:", row.ours}, {"why:", row.why}} {
			if line[0] != "why:" || line[1] != "" {
				b.WriteString(strings.TrimSpace(line[0]+" "+line[1]) + "\n")
			}
		}
		b.WriteString(strings.Join(row.edit, "\n") + "\n")
	}
	if err := os.WriteFile("testdata/changes.txt", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compiled compiles the first message of a .proto file as a contract.
func compiled(t testing.TB, text string, version uint32) *Contract {
	t.Helper()
	file := compileProto(t, "test.proto", text)
	c, findings := Compile(setFrom(file), string(file.Messages().Get(0).FullName()), version)
	if c == nil {
		t.Fatalf("%+v", findings)
	}
	return c
}
