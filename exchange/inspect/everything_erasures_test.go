package inspect_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/erasure"
	"github.com/huitong-bus/huitong/exchange/hearing"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/notice"
)

// madeGood tells of erasures to those who relied on records, and erases again
// what a list says was erased by a later ledger: one record that is held, and one
// that never was.
func (w *world) madeGood(t testing.TB) {
	t.Helper()
	board, err := notice.Open(t.Context(), w.Catalogue, w.intake)
	must(t, err)
	execOn(t, w.DB.Journal, "INSERT INTO hearing (id, next) VALUES (1, 0)") // as if it had followed from the start
	h, err := hearing.Open(t.Context(), hearing.Config{DB: w.DB, Journal: w.Journal, Index: w.index, Topics: w.Catalogue, Board: board})
	must(t, err)
	w.publish(t, w.security, put("R1", "王芳"))
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, erasure.FileName))
	must(t, err)
	lines := json.NewEncoder(f)
	must(t, lines.Encode(erasure.Line{List: "f00d"}))
	for i, key := range []string{"R1", "R2"} {
		must(t, lines.Encode(erasure.Line{
			Origin: w.Journal.Head().Origin, Topic: people, Entry: uint64(1<<20 + i),
			Record: hex.EncodeToString(w.Identity.Keyring.Token(identity.TokenRecord, people, key)),
		}))
	}
	must(t, f.Close())
	again := w.Journal.Head().Size
	k, err := erasure.Open(t.Context(), erasure.Config{
		DB: w.DB, Journal: w.Journal, Index: w.index, Topics: w.Catalogue, Keys: w.Identity.Keyring, Dir: dir,
	})
	must(t, err)
	for _, query := range []string{"SELECT next FROM hearing", "SELECT coalesce(max(next), 0) FROM erasure_lists"} {
		catalogtest.Within(t, catalogtest.Patience, "the erasure is followed", func() bool {
			var next uint64
			must(t, w.DB.Reader().QueryRowContext(t.Context(), query).Scan(&next))
			return next > again
		})
	}
	must(t, k.Close())
	h.Close()
}
