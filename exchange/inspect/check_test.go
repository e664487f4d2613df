package inspect_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/inspect"
)

// check checks the world's database and gives what is wrong; nil if nothing is.
func (w *world) check(t testing.TB) *inspect.Finding {
	t.Helper()
	must(t, w.index.Wait(t.Context(), w.Journal.Head().Size))
	report, err := inspect.Check(t.Context(), w.DB, w.Identity.Keyring, inspect.CheckOptions{Index: true})
	must(t, err)
	return report.Wrong
}

func TestCheckOfAnEmptyExchange(t *testing.T) {
	w := newWorld(t)
	if f := w.check(t); f != nil {
		t.Fatal(f)
	}
}
