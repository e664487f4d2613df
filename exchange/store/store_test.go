package store_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
)

func TestFailedCommitIsToldFromLostAnswer(t *testing.T) {
	db := storetest.Open(t)
	ctx := context.Background()
	put := func(system string) error {
		return db.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO positions (system, source, position, at) VALUES ($1, 's', $2, 1)", system, []byte{1})
			return err
		})
	}
	count := func() (n int) {
		if err := db.Reader().QueryRowContext(ctx, "SELECT count(*) FROM positions").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	lost := errors.New("lost")
	db.Journal.Fail(store.Faults{BeforeCommit: func() error { return lost }})
	if err := put("a"); !errors.Is(err, lost) || count() != 0 {
		t.Fatalf("before commit: %v, %d rows", err, count())
	}
	db.Journal.Fail(store.Faults{AfterCommit: func() error { return lost }})
	if err := put("b"); !errors.Is(err, store.ErrAmbiguous) || count() != 1 {
		t.Fatalf("after commit: %v, %d rows", err, count())
	}
	db.Journal.Fail(store.Faults{})
	if err := put("c"); err != nil || count() != 2 {
		t.Fatalf("%v, %d rows", err, count())
	}
}

func TestBulk(t *testing.T) {
	db := storetest.Open(t)
	ctx := context.Background()
	insert := &store.Insert{Into: "INTO idempotency (system, key, idx)", Then: "ON CONFLICT (system, key) DO UPDATE SET idx = excluded.idx"}
	lookup := &store.Lookup{Select: "SELECT key, idx FROM idempotency", Keys: [2]string{"system", "key"}}
	for _, n := range []int{1, 7, 8, 9, 100} {
		var systems, index store.Ints
		var keys store.Blobs
		for i := range n {
			systems, keys, index = append(systems, 7), append(keys, []byte{byte(n), byte(i)}), append(index, int64(i))
		}
		got := 0
		err := db.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			if err := insert.Run(ctx, db.Journal, tx, systems, keys, index); err != nil {
				return err
			}
			if err := insert.Run(ctx, db.Journal, tx, systems, keys, index); err != nil {
				return err
			}
			got = 0
			return lookup.Run(ctx, db.Journal, tx, append(systems, 8), append(keys, []byte{1}), func(rows *sql.Rows) error {
				got++
				var key []byte
				var idx int
				return rows.Scan(&key, &idx)
			})
		})
		if err != nil || got != n {
			t.Fatalf("%d rows: %v, found %d", n, err, got)
		}
	}
}

func TestSavepointUndoesAlone(t *testing.T) {
	db := storetest.Open(t)
	bad := errors.New("bad")
	err := db.Journal.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		put := func(s string) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO positions (system, source, position, at) VALUES ($1, 's', $2, 1)", s, []byte{1})
			return err
		}
		if err := put("a"); err != nil {
			return err
		}
		if err := store.Savepoint(ctx, tx, func() error { return errors.Join(put("b"), bad) }); !errors.Is(err, bad) {
			t.Errorf("got %v", err)
		}
		return store.Savepoint(ctx, tx, func() error { return put("c") })
	})
	var n int
	if scan := db.Reader().QueryRowContext(context.Background(), "SELECT count(*) FROM positions").Scan(&n); err != nil || scan != nil || n != 2 {
		t.Fatal(err, scan, n)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := "sqlite:" + t.TempDir()
	db, err := store.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(context.Background(), dir); err == nil {
		t.Fatal("opened twice")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err = store.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
}

// TestBriefReads: a brief read is not begun once its caller has gone.
func TestBriefReads(t *testing.T) {
	db := storetest.Open(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err := db.Brief().QueryContext(gone, "SELECT version FROM guards WHERE kind = $1", int64(1))
	var n int
	one := db.Brief().QueryRowContext(gone, "SELECT count(*) FROM guards").Scan(&n)
	if !errors.Is(err, context.Canceled) || !errors.Is(one, context.Canceled) {
		t.Fatalf("begun for a caller that has gone: %v, %v", err, one)
	}
	must(t, db.Brief().QueryRowContext(t.Context(), "SELECT count(*) FROM guards").Scan(&n))
}
