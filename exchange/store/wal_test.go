package store_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/huitong-bus/huitong/exchange/store"
)

// TestWriteAheadLogStaysSmall: under a writer that never rests and readers that
// read page after page, the log is written over before it grows without bound,
// and nothing is missing afterwards.
func TestWriteAheadLogStaysSmall(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(t.Context(), "sqlite:"+dir)
	must(t, err)
	defer db.Close()
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for ctx.Err() == nil {
				rows, err := db.Reader().QueryContext(t.Context(), "SELECT idx, leaf FROM ledger ORDER BY idx DESC LIMIT 2")
				if err != nil {
					t.Error(err)
					return
				}
				for rows.Next() {
				}
				if err := rows.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	const groups, each = 48, 4 << 20
	leaf := make([]byte, each)
	largest := int64(0)
	for n := range groups {
		must(t, db.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO ledger (idx, leaf) VALUES ($1, $2)", n, leaf)
			return err
		}))
		must(t, db.Journal.Breathe(t.Context()))
		info, err := os.Stat(filepath.Join(dir, "journal.db-wal"))
		must(t, err)
		largest = max(largest, info.Size())
	}
	stop()
	readers.Wait()
	if largest > 150<<20 {
		t.Fatalf("%d MiB written: the log grew to %d MiB", groups*each>>20, largest>>20)
	}
	var n int
	must(t, db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM ledger").Scan(&n))
	if n != groups {
		t.Fatalf("%d rows of %d", n, groups)
	}
}
