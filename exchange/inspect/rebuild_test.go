package inspect_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/inspect"
)

func TestRebuildMakesWhatIsDerived(t *testing.T) {
	w := newWorld(t)
	w.everything(t)
	want := w.snapshot(t)
	before := w.contents(t)
	w.index.Close()
	for _, table := range []string{"tiles", "records", "idempotency"} {
		execOn(t, w.DB.Journal, "DELETE FROM "+table)
	}
	for _, table := range []string{"index_bits", "index_tokens", "index_entries", "index_position"} {
		w.exec(t, "DELETE FROM "+table)
	}
	last := uint64(0)
	must(t, inspect.Rebuild(t.Context(), w.DB, w.Identity.Keyring, func(done, total uint64) {
		if done < last || done > total {
			t.Errorf("%d of %d done after %d", done, total, last)
		}
		last = done
	}))
	after := w.contents(t)
	for name, rows := range before {
		if len(rows) != len(after[name]) {
			t.Errorf("%s has %d rows, it had %d", name, len(after[name]), len(rows))
			continue
		}
		for i := range rows {
			if rows[i] != after[name][i] {
				t.Errorf("%s: another row", name)
			}
		}
	}
	inspect.Compare(t, inspect.Snapshot(t, w.DB), want)
	if f := w.found(t); f != nil {
		t.Error(f)
	}
}

// Entries that were changed are not made look right.
func TestRebuildKeepsEvidence(t *testing.T) {
	w := newWorld(t)
	at := w.everything(t)
	w.index.Close()
	execOn(t, w.DB.Journal, "UPDATE ledger SET leaf = (SELECT leaf FROM ledger WHERE idx = $1) WHERE idx = $2", int64(at["published"]), int64(at["signed"]))
	err := inspect.Rebuild(t.Context(), w.DB, w.Identity.Keyring, nil)
	if fault.RuleOf(err) != "rebuild.evidence" {
		t.Fatalf("rebuilt: %v", err)
	}
	if w.rows(t, w.DB.Journal, "SELECT count(*) FROM tiles") == 0 {
		t.Error("tiles are gone")
	}
}
