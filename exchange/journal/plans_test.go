package journal_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/journal"
	. "github.com/huitong-bus/huitong/exchange/journal/journaltest"
	"github.com/huitong-bus/huitong/exchange/ledger"
	"github.com/huitong-bus/huitong/exchange/store"
)

// explained fails the test when a query reads a whole table.
type explained struct {
	store.Tx
	t *testing.T
	n int
}

func (e *explained) explain(query string, args []any) {
	e.t.Helper()
	e.n++
	rows, err := e.Tx.QueryContext(e.t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		e.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			e.t.Fatal(err)
		}
		if strings.HasPrefix(detail, "SCAN") && !strings.HasSuffix(detail, " VALUES CLAUSE") || strings.Contains(detail, "TEMP B-TREE") {
			e.t.Errorf("%s\n%s", detail, query)
		}
	}
}

func (e *explained) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	e.explain(query, args)
	return e.Tx.QueryContext(ctx, query, args...)
}

func (e *explained) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	e.explain(query, args)
	return e.Tx.QueryRowContext(ctx, query, args...)
}

// TestReadsUseIndexes: no read of the journal looks at more rows than it gives,
// however large the ledger is.
func TestReadsUseIndexes(t *testing.T) {
	db, err := store.Open(t.Context(), "sqlite:"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l := On(t, db, 1)
	for n := range 3 {
		l.One(l.Put(topic, "a", string(rune('a'+n))))
	}
	e := &explained{Tx: db.Reader(), t: t}
	ctx, number := t.Context(), journal.Number(topic)
	for name, read := range map[string]func() error{
		"After":          func() error { _, err := journal.After(ctx, e, 0, 10); return err },
		"TopicAfter":     func() error { _, err := journal.TopicAfter(ctx, e, number, 0, 10); return err },
		"ByIndex":        func() error { _, err := journal.ByIndex(ctx, e, 1); return err },
		"BySequence":     func() error { _, err := journal.BySequence(ctx, e, number, 1); return err },
		"SequenceBefore": func() error { _, err := journal.SequenceBefore(ctx, e, number, 3); return err },
		"ErasedAt":       func() error { _, _, err := journal.ErasedAt(ctx, e, 0, 1); return err },
		"LastPosition":   func() error { _, _, err := journal.LastPosition(ctx, e, "a", "b"); return err },
		"PresentOf":      func() error { _, err := journal.PresentOf(ctx, db.Journal, e, number, make([][]byte, 40)); return err },
		"IndexAt":        func() error { _, err := journal.IndexAt(ctx, e, 3, 1); return err },
		"ReadHead":       func() error { _, err := journal.ReadHead(ctx, e); return err },
		"Inclusion":      func() error { _, err := ledger.NewTree(e).Inclusion(ctx, 1, 3); return err },
	} {
		before := e.n
		if err := read(); err != nil || e.n == before {
			t.Errorf("%s: %v, %d queries", name, err, e.n-before)
		}
	}
}
