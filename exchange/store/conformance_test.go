package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
)

func exec(t *testing.T, db *store.DB, query string, args ...any) error {
	t.Helper()
	return db.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var insertSealed = &store.Insert{Into: "INTO sealed (idx, topic, pos, prev, key_token, tokens, body)"}

// TestNullAndEmptyBytesDiffer: nil is NULL, empty is empty, in rows one by one
// and in bulk, and nothing of a row meets another's.
func TestNullAndEmptyBytesDiffer(t *testing.T) {
	db := storetest.Open(t)
	const rows = 37
	var idx, topic, pos, prev store.Ints
	var token, tokens, body store.Blobs
	for i := range rows {
		idx, topic, pos, prev = append(idx, int64(i)), append(topic, 1<<62+int64(i)), append(pos, int64(i)), append(prev, -int64(i))
		token, tokens = append(token, nil), append(tokens, []byte{})
		body = append(body, [][]byte{nil, {}, {0, 0xff, byte(i)}}[i%3])
	}
	must(t, db.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return insertSealed.Run(ctx, db.Journal, tx, idx, topic, pos, prev, token, tokens, body)
	}))
	found, err := db.Reader().QueryContext(t.Context(), `SELECT idx, topic, prev, key_token IS NULL, tokens IS NULL, body IS NULL, body
		FROM sealed ORDER BY idx`)
	must(t, err)
	defer found.Close()
	n := 0
	for ; found.Next(); n++ {
		var i, top, p int64
		var noToken, noTokens, noBody bool
		var b []byte
		must(t, found.Scan(&i, &top, &p, &noToken, &noTokens, &noBody, &b))
		want := body[n]
		if i != int64(n) || top != topic[n] || p != -i || !noToken || noTokens || noBody != (want == nil) || !bytes.Equal(b, want) {
			t.Fatalf("row %d: %d %d %d %v %v %v %v", n, i, top, p, noToken, noTokens, noBody, b)
		}
	}
	if n != rows || found.Err() != nil {
		t.Fatal(n, found.Err())
	}
}

// TestRunNewSaysWhetherEachRowWasNew: over the bounds of every chunk, one row that is
// there already is enough, and the others are written.
func TestRunNewSaysWhetherEachRowWasNew(t *testing.T) {
	db := storetest.Open(t)
	insert := &store.Insert{Into: "INTO preparations (case_token, subject_token, idx)", Then: "ON CONFLICT DO NOTHING"}
	run := func(from, to int, want bool) {
		t.Helper()
		var cases, subjects store.Blobs
		var idx store.Ints
		for i := from; i < to; i++ {
			cases, subjects, idx = append(cases, []byte{byte(i)}), append(subjects, []byte("s")), append(idx, int64(i))
		}
		must(t, db.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			fresh, err := insert.RunNew(ctx, db.Journal, tx, cases, subjects, idx)
			if fresh != want {
				t.Errorf("rows %d to %d: new %v", from, to, fresh)
			}
			return err
		}))
	}
	run(0, 0, true)
	run(0, 23, true)
	run(22, 40, false)
	run(40, 41, true)
	run(23, 40, false)
	var n int
	must(t, db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM preparations").Scan(&n))
	if n != 41 {
		t.Errorf("%d rows", n)
	}
}

// TestLookupFindsPairs: only the pairs asked for are found, not one's first with
// another's second, over the bounds of every chunk.
func TestLookupFindsPairs(t *testing.T) {
	db := storetest.Open(t)
	insert := &store.Insert{Into: "INTO idempotency (system, key, idx)"}
	lookup := &store.Lookup{Select: "SELECT system, key, idx FROM idempotency", Keys: [2]string{"system", "key"}}
	var systems, index store.Ints
	var keys store.Blobs
	for i := range 100 {
		systems, keys, index = append(systems, int64(i%10)), append(keys, []byte{byte(i)}), append(index, int64(i))
	}
	must(t, db.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return insert.Run(ctx, db.Journal, tx, systems, keys, index)
	}))
	for _, n := range []int{0, 1, 31, 32, 33, 64, 65, 100} {
		var first store.Ints
		var second store.Blobs
		for i := range n {
			// Every other pair exists.
			first, second = append(first, int64((i+i%2)%10)), append(second, []byte{byte(i)})
		}
		got := map[int64]bool{}
		must(t, lookup.Run(t.Context(), db.Journal, db.Reader(), first, second, func(rows *sql.Rows) error {
			var system, idx int64
			var key []byte
			err := rows.Scan(&system, &key, &idx)
			got[idx] = true
			return err
		}))
		if len(got) != (n+1)/2 {
			t.Fatalf("%d pairs: found %d", n, len(got))
		}
		for i := 0; i < n; i += 2 {
			if !got[int64(i)] {
				t.Fatalf("%d pairs: %d is missing", n, i)
			}
		}
	}
}

// TestSwallowedErrorIsNoCommit: an Update whose function hides the failure of a
// statement either keeps the rest or says that it did not.
func TestSwallowedErrorIsNoCommit(t *testing.T) {
	db := storetest.Open(t)
	const put = "INSERT INTO positions (system, source, position, at) VALUES ($1, 's', $2, 1)"
	must(t, exec(t, db, put, "a", []byte{1}))
	err := db.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if _, err := tx.ExecContext(ctx, put, "b", []byte{1}); err != nil {
			return err
		}
		_, _ = tx.ExecContext(ctx, put, "a", []byte{1})
		return nil
	})
	var n int
	must(t, db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM positions").Scan(&n))
	if err == nil && n != 2 || err != nil && n != 1 {
		t.Fatalf("%v, with %d rows", err, n)
	}
}

// TestLostSavepoint: a savepoint that cannot be undone says so, and the whole
// transaction goes.
func TestLostSavepoint(t *testing.T) {
	db := storetest.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Journal.Update(t.Context(), func(_ context.Context, tx store.Tx) error {
		err := store.Savepoint(ctx, tx, func() error {
			cancel()
			return errors.New("own")
		})
		if !errors.Is(err, store.ErrLost) {
			t.Errorf("got %v", err)
		}
		return err
	})
	if !errors.Is(err, store.ErrLost) {
		t.Fatal(err)
	}
	must(t, exec(t, db, "DELETE FROM positions"))
}

// TestRefusedStatements: what the engine says of a statement is told from an
// engine that is not there.
func TestRefusedStatements(t *testing.T) {
	url := storetest.URL(t)
	db, err := store.Open(t.Context(), url)
	must(t, err)
	const put = "INSERT INTO positions (system, source, position, at) VALUES ('a', 's', $1, 1)"
	must(t, exec(t, db, put, []byte{1}))
	for _, query := range []string{put, "SELECT nonsense"} {
		args := []any{[]byte{1}}
		if query != put {
			args = nil
		}
		if err := exec(t, db, query, args...); err == nil || !db.Journal.Refused(err) {
			t.Fatalf("%s: %v", query, err)
		}
	}
	must(t, db.Close())
	if err := exec(t, db, put, []byte{1}); err == nil {
		t.Fatal("a closed database took a row")
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	for _, table := range []string{"schema_journal", "schema_index"} {
		url := storetest.URL(t)
		db, err := store.Open(t.Context(), url)
		must(t, err)
		part := db.Journal
		if table == "schema_index" {
			part = db.Index
		}
		must(t, part.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO "+table+" (version) VALUES (999)")
			return err
		}))
		must(t, db.Close())
		if again, err := store.Open(t.Context(), url); err == nil {
			again.Close()
			t.Fatalf("%s: a schema of the future was opened", table)
		}
	}
}

// TestAGapOfTheSchemaIsFilled: a migration that came to be after a later one.
func TestAGapOfTheSchemaIsFilled(t *testing.T) {
	url := storetest.URL(t)
	db, err := store.Open(t.Context(), url)
	must(t, err)
	for _, statement := range []string{"DROP TABLE expiry_sweep", "DROP INDEX records_until", "DELETE FROM schema_journal WHERE version = 17"} {
		must(t, exec(t, db, statement))
	}
	must(t, db.Close())
	db, err = store.Open(t.Context(), url)
	must(t, err)
	must(t, exec(t, db, "DELETE FROM expiry_sweep"))
	must(t, db.Close())
}

// TestOpenedAgain: an existing database opens without a migration, and keeps
// what it holds.
func TestOpenedAgain(t *testing.T) {
	url := storetest.URL(t)
	for n := range 3 {
		db, err := store.Open(t.Context(), url)
		must(t, err)
		must(t, exec(t, db, "INSERT INTO positions (system, source, position, at) VALUES ($1, 's', $2, 1)", fmt.Sprint(n), []byte{1}))
		var count int
		must(t, db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM positions").Scan(&count))
		if count != n+1 {
			t.Fatalf("%d rows at opening %d", count, n)
		}
		must(t, db.Close())
	}
}

func TestUnknownURL(t *testing.T) {
	for _, url := range []string{"", "mysql://u:secret@h/d", "sqlite:", "postgres://u:secret@127.0.0.1:1/d?connect_timeout=1"} {
		db, err := store.Open(t.Context(), url)
		if err == nil {
			db.Close()
			t.Fatalf("%q was opened", url)
		}
		if bytes.Contains([]byte(err.Error()), []byte("secret")) {
			t.Fatalf("the error shows the password: %v", err)
		}
	}
}

// TestUpdatesAreAlone: a counter read and written in concurrent Updates that lock
// its row misses nothing.
func TestUpdatesAreAlone(t *testing.T) {
	db := storetest.Open(t)
	must(t, exec(t, db, "INSERT INTO relay_leases (part, holder, until) VALUES (1, 'x', 0)"))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 25 {
				err := db.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
					var n int64
					if err := tx.QueryRowContext(ctx, "SELECT until FROM relay_leases WHERE part = 1"+db.Journal.LockRow()).Scan(&n); err != nil {
						return err
					}
					_, err := tx.ExecContext(ctx, "UPDATE relay_leases SET until = $1 WHERE part = 1", n+1)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var n int
	must(t, db.Reader().QueryRowContext(t.Context(), "SELECT until FROM relay_leases WHERE part = 1").Scan(&n))
	if n != 200 {
		t.Fatalf("counted %d of 200", n)
	}
}

// TestTwoOpenAnEmptyDatabase: two processes that start on one empty PostgreSQL
// both come up; on SQLite one is refused, and comes up later.
func TestTwoOpenAnEmptyDatabase(t *testing.T) {
	for range 3 {
		url := storetest.URL(t)
		var all sync.WaitGroup
		errs := make([]error, 4)
		opened := make([]*store.DB, 4)
		for i := range errs {
			all.Go(func() { opened[i], errs[i] = store.Open(t.Context(), url) })
		}
		all.Wait()
		good := 0
		for i, db := range opened {
			if errs[i] == nil {
				good++
				must(t, db.Close())
			}
		}
		if want := 4; good != want && url[:6] != "sqlite" || good == 0 {
			t.Fatalf("%d of %d came up: %v", good, want, errs)
		}
	}
}
