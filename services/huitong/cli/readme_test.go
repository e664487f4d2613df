package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestReadme runs the README's first steps as they are written there.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## First steps\n")
	steps, _, ended := strings.Cut(rest, "\n## ")
	if !found || !ended {
		t.Fatal("the README has no first steps")
	}
	script, data := readmeScript(steps)
	if strings.Count(script, "exec huitong") < 10 || data == "" {
		t.Fatalf("the first steps are not read:\n%s\n%s", script, data)
	}
	path := filepath.Join(t.TempDir(), "readme.txtar")
	if err := os.WriteFile(path, []byte(script+"\nterminate\nwait serve\n-- marriages.jsonl --\n"+data), 0o600); err != nil {
		t.Fatal(err)
	}
	p := params()
	p.Files = []string{path}
	testscript.Run(t, p)
}

var (
	block   = regexp.MustCompile("(?s)```[a-z]*\n(.*?)```")
	comment = regexp.MustCompile(`\s+#.*`)
)

// readmeScript makes a script of the commands in the blocks, and gives the block
// that is JSON.
func readmeScript(steps string) (script, data string) {
	for _, b := range block.FindAllStringSubmatch(steps, -1) {
		if strings.HasPrefix(b[1], "{") {
			data += b[1]
			continue
		}
		for text := range strings.SplitSeq(strings.ReplaceAll(b[1], "\\\n", " "), "\n") {
			text = strings.TrimPrefix(comment.ReplaceAllString(text, ""), "./")
			switch {
			case text == "huitong serve":
				script += "exec huitong serve --listen 127.0.0.1:0 --ready-file ready &serve&\nready ready\n"
			case strings.HasPrefix(text, "huitong "):
				script += commandScript(text)
			}
		}
	}
	return script, data
}

// commandScript writes "a > f && b" as a script does.
func commandScript(text string) (script string) {
	for command := range strings.SplitSeq(text, " && ") {
		command, file, redirected := strings.Cut(command, " > ")
		script += "exec " + command + "\n"
		if redirected {
			script += "cp stdout " + file + "\n"
		}
	}
	return script
}
