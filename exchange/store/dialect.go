package store

import (
	"context"
	"database/sql"
)

// dialect is what differs between engines.
type dialect interface {
	// schema adapts a migration, written for SQLite.
	schema(text string) string
	// insert runs s over the columns, and gives how many rows it wrote.
	insert(ctx context.Context, tx Tx, s *Insert, columns []Column) (int64, error)
	// lookup runs l over the pairs.
	lookup(ctx context.Context, tx Tx, l *Lookup, first Ints, second Blobs, scan func(*sql.Rows) error) error
	// commit runs COMMIT. Its error is ErrAmbiguous, ErrBroken, or a plain one
	// after which nothing is written.
	commit(ctx context.Context, tx Tx) error
	// refused says that the engine is there and did not like a statement, as
	// opposed to an engine that is away or a disk that fails.
	refused(err error) bool
	// lockRow is what follows a SELECT to lock its row.
	lockRow() string
	// clock selects the database's time in µs UTC; empty if it has none of its
	// own.
	clock() string
	// verify selects "ok", or what the engine finds wrong with its structures;
	// empty if it has no such check.
	verify() string
}

// Refused says that the engine answered, and what it answered is about the
// statements: without them the rest of a transaction may well be committed.
func (p *Part) Refused(err error) bool { return p.dialect.refused(err) }

// LockRow is what follows a SELECT of one row to hold it until COMMIT.
func (p *Part) LockRow() string { return p.dialect.lockRow() }
