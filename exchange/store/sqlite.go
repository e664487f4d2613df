package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// walSoft is the size of the write-ahead log past which it is copied into
	// the database beside the writer.
	walSoft = 16 << 20
	// walHard is the size past which the writer waits for that and starts the
	// log anew.
	walHard = 64 << 20
	// walLook is how often the size is looked at.
	walLook = 100 * time.Millisecond
)

type sqliteDialect struct{}

// openSQLite opens a directory with two database files, locked against a second
// process.
func openSQLite(ctx context.Context, dir string) (*DB, error) {
	if dir == "" {
		return nil, errors.New("sqlite: a directory is needed")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lockDirectory(dir)
	if err != nil {
		return nil, err
	}
	db := &DB{closers: []func() error{unlock}}
	if db.Journal, err = db.openFile(ctx, filepath.Join(dir, "journal.db"), "FULL", 8); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if db.Index, err = db.openFile(ctx, filepath.Join(dir, "index.db"), "OFF", 4); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) openFile(ctx context.Context, path, synchronous string, readers int) (*Part, error) {
	pragmas := "?_pragma=busy_timeout(10000)&_pragma=foreign_keys(0)&_pragma=journal_mode(WAL)" +
		"&_pragma=page_size(8192)&_pragma=wal_autocheckpoint(0)&_pragma=temp_store(2)"
	write, err := sql.Open("sqlite", "file:"+path+pragmas+"&_pragma=cache_size(-49152)&_pragma=synchronous("+synchronous+")")
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	db.closers = append(db.closers, write.Close, func() error {
		// Nobody reads any more: the log goes into the database, whole.
		_, err := write.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		return err
	})
	if err := write.Ping(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	read, err := sql.Open("sqlite", "file:"+path+pragmas+"&_pragma=cache_size(-4096)&_pragma=query_only(1)&_pragma=synchronous("+synchronous+")")
	if err != nil {
		return nil, err
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	db.closers = append(db.closers, read.Close)
	writer, err := newSingle(ctx, write)
	if err != nil {
		return nil, err
	}
	p := &Part{dialect: sqliteDialect{}, write: writer, read: &prepared{DB: read}, begin: "BEGIN IMMEDIATE"}
	stop := make(chan struct{})
	p.breathe = keepLogSmall(p, path+"-wal", stop)
	db.closers = append(db.closers, func() error {
		close(stop)
		return writer.conn.Close()
	})
	return p, nil
}

// keepLogSmall copies the log into the database beside the writer and returns
// what the writer calls between two commits.
func keepLogSmall(p *Part, wal string, stop <-chan struct{}) func(context.Context) error {
	var full atomic.Bool
	size := func() int64 {
		info, err := os.Stat(wal)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	checkpoint := func(ctx context.Context, tx Tx, mode string) error {
		_, err := tx.ExecContext(ctx, "PRAGMA wal_checkpoint("+mode+")")
		return err
	}
	go func() {
		tick := time.NewTicker(walLook)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			switch n := size(); {
			case n > walHard:
				full.Store(true)
			case n > walSoft:
				// PASSIVE waits for nobody; an error is met again at the next look.
				_ = checkpoint(context.Background(), p.read, "PASSIVE")
			}
		}
	}()
	return func(ctx context.Context) error {
		if !full.Load() {
			return nil
		}
		tx, release, err := p.write.acquire(ctx)
		if err != nil {
			return err
		}
		defer release()
		err = checkpoint(ctx, tx, "TRUNCATE")
		full.Store(false)
		return err
	}
}

func (sqliteDialect) schema(text string) string { return text }
func (sqliteDialect) lockRow() string           { return "" }
func (sqliteDialect) clock() string             { return "" }

// commit: what SQLite could not commit is rolled back, unless the disk failed,
// after which nothing about the file is certain.
func (sqliteDialect) commit(ctx context.Context, tx Tx) error {
	_, err := tx.ExecContext(ctx, "COMMIT")
	if sqliteCode(err) == sqlite3.SQLITE_IOERR {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return err
}

func (sqliteDialect) refused(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return false
	}
	return true
}

// sqliteCode gives SQLite's primary result code; 0 if the error is none of its
// own.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

func (sqliteDialect) insert(ctx context.Context, tx Tx, s *Insert, columns []Column) error {
	rows := columns[0].len()
	args := make([]any, 0, chunk*len(columns))
	run := func(query string, from, to int) error {
		args = args[:0]
		for i := from; i < to; i++ {
			for _, c := range columns {
				args = append(args, c.at(i))
			}
		}
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}
	i := 0
	for ; i+chunk <= rows; i += chunk {
		if err := run(s.many, i, i+chunk); err != nil {
			return err
		}
	}
	for ; i < rows; i++ {
		if err := run(s.single, i, i+1); err != nil {
			return err
		}
	}
	return nil
}

func (sqliteDialect) lookup(ctx context.Context, tx Tx, l *Lookup, first Ints, second Blobs, scan func(*sql.Rows) error) error {
	args := make([]any, 0, 2*lookupChunk)
	i := 0
	for ; i+lookupChunk <= len(first); i += lookupChunk {
		args = args[:0]
		for j := i; j < i+lookupChunk; j++ {
			args = append(args, first[j], second[j])
		}
		rows, err := tx.QueryContext(ctx, l.many, args...)
		if err := scanAll(rows, err, scan); err != nil {
			return err
		}
	}
	for ; i < len(first); i++ {
		rows, err := tx.QueryContext(ctx, l.single, first[i], second[i])
		if err := scanAll(rows, err, scan); err != nil {
			return err
		}
	}
	return nil
}
