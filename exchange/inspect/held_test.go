package inspect_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/inspect"
)

// TestFewStatements: lists of all lengths make a handful of statements, which ask
// for the same.
func TestFewStatements(t *testing.T) {
	lengths := map[int]bool{}
	for n := range inspect.MaxHeld + 1 {
		args := make([]any, n)
		for i := range args {
			args[i] = i
		}
		filled := inspect.FilledUp(args)
		for i, arg := range filled {
			if arg != min(i, n-1) {
				t.Fatalf("of %d arguments, the one at %d is %v", n, i, arg)
			}
		}
		lengths[len(filled)] = true
	}
	if len(lengths) > 10 {
		t.Fatalf("%d lengths: each is a statement", len(lengths))
	}
}
