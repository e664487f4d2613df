// Package store opens the database and hides what differs between engines.
//
// Two engines stand behind one portable SQL: SQLite, embedded, in a directory
// (WAL, synchronous=FULL: a commit is on disk), and PostgreSQL or CockroachDB by
// URL. SQL uses $n parameters, integers for times (µs UTC) and bytes for ids;
// what must differ is a method here.
//
// A database has two parts. The journal part holds what must last. The index
// part holds what can be derived from it again: its commits may be lost in a
// crash, together with the position they stand for, and it never makes the
// journal wait.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/cockroach-go/v2/crdb"
)

// Tx runs SQL; a transaction, or a pool for single reads.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// DB is an open database.
type DB struct {
	// Journal holds what must last.
	Journal *Part
	// Index holds what is derived.
	Index *Part

	closers []func() error
}

// Part is one part of a database, with one way to write and one to read.
type Part struct {
	dialect dialect
	write   writers
	read    Tx
	brief   Tx
	begin   string
	faults  atomic.Pointer[Faults]
	breathe func(ctx context.Context) error
}

// Faults lets a test fail a commit: before it, so that nothing is written, or
// after it, so that all is written and the answer is lost.
type Faults struct {
	BeforeCommit func() error
	AfterCommit  func() error
}

// ErrAmbiguous says that COMMIT failed without telling whether it took effect.
var ErrAmbiguous = errors.New("it is not known whether the commit took effect")

// ErrBroken says that the engine could not make a commit durable. The process
// must stop: what the operating system then holds of the file is unknown.
var ErrBroken = errors.New("the database could not write to its disk")

// Open opens the database that url names: "sqlite:<directory>" or
// "postgres://…". It creates and migrates an empty one, and refuses one whose
// schema is newer or unfinished.
func Open(ctx context.Context, url string) (*DB, error) {
	var db *DB
	var err error
	switch {
	case strings.HasPrefix(url, "sqlite:"):
		db, err = openSQLite(ctx, strings.TrimPrefix(url, "sqlite:"))
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		db, err = openPostgres(ctx, url)
	default:
		return nil, fmt.Errorf("database %q: use sqlite:<directory> or postgres://…", redact(url))
	}
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func redact(url string) string {
	if i := strings.Index(url, "@"); i >= 0 {
		return "…" + url[i:]
	}
	return url
}

// Close closes the database.
func (db *DB) Close() error {
	var errs []error
	for i := len(db.closers) - 1; i >= 0; i-- {
		errs = append(errs, db.closers[i]())
	}
	return errors.Join(errs...)
}

// Reader runs single reads of the journal part.
func (db *DB) Reader() Tx { return db.Journal.read }

// Read runs single reads. A query must be closed after one page: an open one
// keeps the write-ahead log from being reset.
func (p *Part) Read() Tx { return p.read }

// Brief runs single reads that find few rows by their keys. The end of a context
// does not cut them off where that costs more than to finish them; they are not
// begun behind it.
func (p *Part) Brief() Tx { return p.brief }

// Brief runs brief reads of the journal part.
func (db *DB) Brief() Tx { return db.Journal.brief }

// Fail makes commits fail as f says; for tests.
func (p *Part) Fail(f Faults) { p.faults.Store(&f) }

// Breathe gives the engine its turn between two commits of a busy writer.
func (p *Part) Breathe(ctx context.Context) error {
	if p.breathe == nil {
		return nil
	}
	return p.breathe(ctx)
}

// Update runs fn in one transaction and commits it durably. It retries what the
// engine asks to retry, so fn may run more than once. When the error is
// ErrAmbiguous the caller finds out by reading what fn would have written.
func (p *Part) Update(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error {
	return crdb.ExecuteCtx(ctx, func(ctx context.Context, _ ...any) error {
		return p.try(ctx, fn)
	})
}

// try is one BEGIN … COMMIT on one connection; it returns COMMIT's own error.
func (p *Part) try(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error {
	tx, release, err := p.write.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	// A caller that gives up must not leave a transaction open.
	hard := context.WithoutCancel(ctx)
	if _, err := tx.ExecContext(ctx, p.begin); err != nil {
		return err
	}
	if err := fn(ctx, tx); err != nil {
		if _, rollback := tx.ExecContext(hard, "ROLLBACK"); rollback != nil {
			return errors.Join(err, rollback)
		}
		return err
	}
	if f := p.faults.Load(); f != nil && f.BeforeCommit != nil {
		if err := f.BeforeCommit(); err != nil {
			_, rollback := tx.ExecContext(hard, "ROLLBACK")
			return errors.Join(err, rollback)
		}
	}
	if err := p.dialect.commit(hard, tx); err != nil {
		_, _ = tx.ExecContext(hard, "ROLLBACK")
		return err
	}
	if f := p.faults.Load(); f != nil && f.AfterCommit != nil {
		if err := f.AfterCommit(); err != nil {
			return fmt.Errorf("%w: %w", ErrAmbiguous, err)
		}
	}
	return nil
}

// ErrLost says that a savepoint could not be set, kept or undone: the whole
// transaction has to be given up.
var ErrLost = errors.New("the transaction is lost")

// Savepoint runs fn so that its error undoes only what it wrote, and is
// returned as it is. After ErrLost the transaction cannot go on.
func Savepoint(ctx context.Context, tx Tx, fn func() error) error {
	lost := func(err error) error {
		if err != nil {
			return fmt.Errorf("%w: %w", ErrLost, err)
		}
		return nil
	}
	if _, err := tx.ExecContext(ctx, "SAVEPOINT one"); err != nil {
		return lost(err)
	}
	err := fn()
	if err != nil {
		if _, undo := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT one"); undo != nil {
			return lost(errors.Join(err, undo))
		}
	}
	if _, release := tx.ExecContext(ctx, "RELEASE SAVEPOINT one"); release != nil {
		return lost(errors.Join(err, release))
	}
	return err
}
