package demo_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/services/huitong/demo"
)

// TestDemo plays the story; it asserts itself. Nothing stays in the directory
// for temporary files.
func TestDemo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var told bytes.Buffer
	if err := demo.Run(t.Context(), &told); err != nil {
		t.Fatalf("%v, after telling\n%s", err, told.String())
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
	if !strings.Contains(told.String(), "All as it should be") {
		t.Errorf("the story has no end:\n%s", told.String())
	}
}
