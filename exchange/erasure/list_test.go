package erasure

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func opened(t *testing.T, dir string) *file {
	t.Helper()
	l, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.f.Close() })
	return l
}

// TestTheListKeepsItsNameAndItsLines: opened again it is the same list, each erasure
// is written once, and what a crash left in part is taken off.
func TestTheListKeepsItsNameAndItsLines(t *testing.T) {
	dir := t.TempDir()
	one := Line{Origin: "o", Topic: "people", Record: "aa", Entry: 7, At: time.Unix(1, 0).UTC()}
	two := Line{Origin: "o", Topic: "people", Record: "bb", Entry: 9, At: time.Unix(2, 0).UTC()}
	l := opened(t, dir)
	later := one
	later.At = time.Unix(3, 0).UTC()
	for _, lines := range [][]Line{{one}, {later, two}, {{List: "another"}}} {
		if err := l.add(lines...); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, FileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(whole), "\n"); n != 3 {
		t.Errorf("%d lines, not the name and two erasures:\n%s", n, whole)
	}
	if err := os.WriteFile(path, append(whole, `{"origin":"o","topic":"`+strings.Repeat("p", 500)...), 0o600); err != nil {
		t.Fatal(err)
	}
	again := opened(t, dir)
	if again.name != l.name || !reflect.DeepEqual(again.lines, []Line{one, two}) {
		t.Errorf("%s %v, not %s with both", again.name, again.lines, l.name)
	}
	three := Line{Origin: "o", Topic: "people", Record: "cc", Entry: 11}
	if err := again.add(three); err != nil {
		t.Fatal(err)
	}
	read, err := Read(path)
	if err != nil || len(read) != 4 || read[3] != three {
		t.Errorf("behind a line that was in part: %v, %v", read, err)
	}
}

// TestABrokenListIsNotUsed: what is whole and no erasure is named, and not passed
// over, for an erasure might be lost with it.
func TestABrokenListIsNotUsed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := os.WriteFile(path, []byte("{\"list\":\"a\"}\n{\"topic\":\n{\"topic\":\"people\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(dir); err == nil || !strings.Contains(err.Error(), "line 2 is no erasure") {
		t.Errorf("opened: %v", err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "line 2 is no erasure") {
		t.Errorf("read: %v", err)
	}
	if lines, err := Read(filepath.Join(dir, "none")); err != nil || lines != nil {
		t.Errorf("none: %v, %v", lines, err)
	}
}
