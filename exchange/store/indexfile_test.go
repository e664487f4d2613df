package store_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/huitong-bus/huitong/exchange/store"
)

// An index that is damaged goes, with its position; the journal stays.
func TestDamagedIndexIsDropped(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(raw []byte) []byte
		mark string // what the directory says of the boot that had it open
	}{
		"no database":              {func([]byte) []byte { return []byte("this is not a database, and long enough to be read as one") }, ""},
		"the machine went down":    {func(raw []byte) []byte { return overwrite(raw[:len(raw):len(raw)]) }, "another boot"},
		"cut to nothing readable":  {func(raw []byte) []byte { return raw[:len(raw)/2+100] }, "another boot"},
		"nothing is wrong with it": {func(raw []byte) []byte { return raw }, "another boot"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir)
			path := filepath.Join(dir, "index.db")
			raw, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, c.harm(raw), 0o600))
			if c.mark != "" {
				must(t, os.WriteFile(filepath.Join(dir, "index.open"), []byte(c.mark), 0o600))
			}
			db, err := store.Open(t.Context(), "sqlite:"+dir)
			must(t, err)
			defer db.Close()
			want := 0
			if name == "nothing is wrong with it" {
				want = 5000
			}
			var n int
			must(t, db.Index.Read().QueryRowContext(t.Context(), "SELECT count(*) FROM index_entries").Scan(&n))
			if n != want {
				t.Errorf("%d rows, not %d", n, want)
			}
			must(t, db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM positions").Scan(&n))
			if n != 1 {
				t.Errorf("the journal has %d rows", n)
			}
		})
	}
}

// fill makes a database with rows in both parts.
func fill(t *testing.T, dir string) {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+dir)
	must(t, err)
	insert := &store.Insert{Into: "INTO index_entries (idx, topic, record, tokens)"}
	var idx, topic, record store.Ints
	var tokens store.Blobs
	for i := range int64(5000) {
		idx, topic, record, tokens = append(idx, i), append(topic, 1), append(record, i), append(tokens, make([]byte, 16))
	}
	must(t, db.Index.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return insert.Run(ctx, db.Index, tx, idx, topic, record, tokens)
	}))
	must(t, db.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO positions (system, source, position, at) VALUES ('a', 'b', $1, 1)", []byte{1})
		return err
	}))
	must(t, db.Close())
}

// overwrite zeroes the pages behind the first half.
func overwrite(raw []byte) []byte {
	raw = append([]byte(nil), raw...)
	clear(raw[len(raw)/2:])
	return raw
}
