package inspect_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
)

// Bytes of the database file itself are changed, one at a time. Each is found,
// or nothing that the exchange reads is changed by it.
func TestCheckFindsAChangedByteOfTheFile(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), "sqlite:"+dir)
	must(t, err)
	w := worldOn(t, catalogtest.On(t, db))
	w.everything(t)
	w.close(t)
	before := w.contents(t)
	must(t, db.Close())
	path := filepath.Join(dir, "journal.db")
	good, err := os.ReadFile(path)
	must(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 40 {
		at := random.IntN(len(good))
		bad := append([]byte(nil), good...)
		bad[at] ^= 1 << random.IntN(8)
		must(t, os.WriteFile(path, bad, 0o600))
		if w.harmed(t, dir, before, at) {
			found++
		}
	}
	if found == 0 {
		t.Error("no change was found at all")
	}
}

// harmed checks a changed file and says whether the change was found.
func (w *world) harmed(t *testing.T, dir string, before map[string][]string, at int) bool {
	t.Helper()
	for _, suffix := range []string{"-wal", "-shm"} {
		_ = os.Remove(filepath.Join(dir, "journal.db"+suffix))
	}
	db, err := store.Open(context.Background(), "sqlite:"+dir)
	if err != nil {
		return true // it says so when it is opened
	}
	defer db.Close()
	report, err := inspect.Check(t.Context(), db, w.Identity.Keyring, inspect.CheckOptions{})
	if err != nil || report.Wrong != nil {
		return true
	}
	w.DB = db
	after := w.contents(t)
	for name, rows := range before {
		if len(after[name]) != len(rows) {
			t.Errorf("byte %d: %s has %d rows, it had %d; not found", at, name, len(after[name]), len(rows))
			continue
		}
		for i := range rows {
			if after[name][i] != rows[i] {
				t.Errorf("byte %d: a row of %s changed; not found", at, name)
			}
		}
	}
	return false
}

// contents gives what is in the columns that a check answers for.
func (w *world) contents(t testing.TB) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, of := range tables(nil) {
		var columns []string
		for _, c := range append(slices.Clone(of.key), of.columns...) {
			if of.proven(c) {
				columns = append(columns, c)
			}
		}
		if len(columns) == 0 {
			continue
		}
		from := of.name
		if of.name == "document_chunks" {
			// What an erased document leaves until it is swept, nobody can read.
			from += " WHERE " + of.where
		}
		all[of.name] = rowsOf(t, w.DB.Journal, "SELECT "+strings.Join(columns, ",")+" FROM "+from+" ORDER BY "+strings.Join(of.key, ","), len(columns))
	}
	return all
}

// close closes what stands on the database, and leaves that open.
func (w *world) close(t testing.TB) {
	t.Helper()
	ending, cancel := context.WithTimeout(context.Background(), catalogtest.Patience)
	defer cancel()
	w.refusals.Stop(ending)
	w.index.Close()
	w.policy.Close()
	w.Catalogue.Close()
	must(t, w.Journal.Close(ending))
}
