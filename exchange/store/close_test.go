package store_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/store"
)

// TestACopyOfAClosedDatabaseIsWhole: what was committed is in the database files
// themselves once the database is closed, so they can be copied alone.
func TestACopyOfAClosedDatabaseIsWhole(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), "sqlite:"+dir)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO positions (system, source, position, at) VALUES ($1, $2, $3, $4)", "a/b", "c", []byte{1}, int64(1))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM positions WHERE at = $1", int64(1)).Scan(&n); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*-wal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range logs {
		if info, err := os.Stat(log); err == nil && info.Size() > 0 && strings.Contains(log, "journal") {
			t.Errorf("%s still holds %d bytes", log, info.Size())
		}
	}
}
