package store

import (
	"context"
	"database/sql"
)

// dialect is what differs between engines.
type dialect interface {
	// schema adapts a migration, written for SQLite.
	schema(text string) string
	// insert runs s over the columns.
	insert(ctx context.Context, tx Tx, s *Insert, columns []Column) error
	// lookup runs l over the pairs.
	lookup(ctx context.Context, tx Tx, l *Lookup, first Ints, second Blobs, scan func(*sql.Rows) error) error
	// commitError tells an ambiguous or fatal COMMIT error from a plain one.
	commitError(err error) error
	// lockRow is what follows a SELECT to lock its row.
	lockRow() string
	// clock selects the database's time in µs UTC; empty if it has none of its
	// own.
	clock() string
}

// LockRow is what follows a SELECT of one row to hold it until COMMIT.
func (p *Part) LockRow() string { return p.dialect.lockRow() }
