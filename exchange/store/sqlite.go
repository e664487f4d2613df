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
	// pageSize is that of the database. Larger pages make the log longer: a
	// commit writes every page that it touched, and each record touches one that
	// no other does.
	pageSize = 4096
	// writeCache and readCache are each connection's page cache. A commit that
	// split a page has SQLite look through the whole cache, so the writer's is no
	// larger than what comes again soon.
	writeCache = 16 << 20
	readCache  = 4 << 20
	// logSoft is how many pages of the write-ahead log may wait to be copied into
	// the database. The more wait, the more often one copy stands for several
	// changes of a page, and the longer a commit waits for the disk beside it.
	logSoft = 8 << 20 / pageSize
	// logHard is the length past which the writer pauses and starts the log anew.
	logHard = 64 << 20 / pageSize
	// logLook is how often the log is looked at.
	logLook = 50 * time.Millisecond
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
	if err := db.dropDamagedIndex(ctx, dir); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if db.Index, err = db.openFile(ctx, filepath.Join(dir, indexFile), "OFF", 4); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) openFile(ctx context.Context, path, synchronous string, most int) (*Part, error) {
	// The page size comes before the journal mode, which creates the file; the
	// driver runs _pragma in the order of their names, and _journal_mode last.
	pragmas := fmt.Sprintf("?_pragma=busy_timeout(10000)&_pragma=foreign_keys(0)&_pragma=page_size(%d)&_journal_mode=WAL"+
		"&_pragma=wal_autocheckpoint(0)&_pragma=temp_store(2)&_pragma=journal_size_limit(%d)", pageSize, 2*logHard*pageSize)
	flush, err := db.flusher(path, synchronous)
	if err != nil {
		return nil, err
	}
	// What is erased is overwritten where it was, not only let go of.
	write, err := sql.Open("sqlite", "file:"+path+pragmas+cacheOf(writeCache)+"&_pragma=secure_delete(1)&_pragma=synchronous("+synchronous+")")
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
	read, err := sql.Open("sqlite", "file:"+path+pragmas+cacheOf(readCache)+"&_pragma=query_only(1)&_pragma=synchronous("+synchronous+")")
	if err != nil {
		return nil, err
	}
	read.SetMaxOpenConns(most)
	read.SetMaxIdleConns(most)
	db.closers = append(db.closers, read.Close)
	writer, err := newSingle(ctx, write)
	if err != nil {
		return nil, err
	}
	readers := &prepared{DB: read}
	p := &Part{dialect: sqliteDialect{}, write: writer, read: readers, brief: unwatched{readers}, begin: "BEGIN IMMEDIATE"}
	stop := make(chan struct{})
	p.breathe = keepLogShort(p, flush, stop)
	db.closers = append(db.closers, func() error {
		close(stop)
		return writer.conn.Close()
	})
	return p, nil
}

// cacheOf sets a page cache, which SQLite takes in KiB where it is negative.
func cacheOf(bytes int) string { return fmt.Sprintf("&_pragma=cache_size(-%d)", bytes>>10) }

// flusher gives what puts on disk what was copied into a database file. The file
// stays open until SQLite is done with it: closing it earlier would drop SQLite's
// locks (POSIX, fcntl).
func (db *DB) flusher(path, synchronous string) (func() error, error) {
	if synchronous == "OFF" {
		return func() error { return nil }, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	db.closers = append(db.closers, f.Close)
	return f.Sync, nil
}

// checkpoint runs a checkpoint of the write-ahead log and gives its length and
// how much of it was copied, in pages. NOOP only looks.
func checkpoint(ctx context.Context, tx Tx, mode string) (length, copied int, err error) {
	var busy int
	err = tx.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &length, &copied)
	return length, copied, err
}

// keepLogShort copies the log into the database beside the writer and returns
// what the writer calls between two commits. A log that is started anew is
// written over: that is quicker to sync than a file that grows. What was copied is
// flushed here too, or the writer would wait for all of it when it starts the log
// anew.
func keepLogShort(p *Part, flush func() error, stop <-chan struct{}) func(context.Context) error {
	var full atomic.Bool
	look := func(ctx context.Context) {
		if full.Load() {
			return // the writer has not come by yet
		}
		length, copied, err := checkpoint(ctx, p.read, "NOOP")
		if err != nil || length <= logHard && length-copied <= logSoft {
			return
		}
		// PASSIVE waits for nobody; an error is met again at the next look.
		if _, _, err = checkpoint(ctx, p.read, "PASSIVE"); err == nil {
			err = flush()
		}
		if err == nil && length > logHard {
			// Little is left to copy while the writer pauses.
			full.Store(true)
		}
	}
	go func() {
		tick := time.NewTicker(logLook)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				look(context.Background())
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
		_, _, err = checkpoint(ctx, tx, "RESTART")
		full.Store(false)
		return err
	}
}

func (sqliteDialect) schema(text string) string { return text }
func (sqliteDialect) lockRow() string           { return "" }
func (sqliteDialect) clock() string             { return "" }
func (sqliteDialect) verify() string            { return "PRAGMA integrity_check(1)" }

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

func (sqliteDialect) insert(ctx context.Context, tx Tx, s *Insert, columns []Column) (written int64, err error) {
	args := make([]any, 0, chunkRows[0]*len(columns))
	next, rows := 0, columns[0].len()
	for i, take := range chunkRows {
		for ; next+take <= rows; next += take {
			args = args[:0]
			for row := next; row < next+take; row++ {
				for _, c := range columns {
					args = append(args, c.at(row))
				}
			}
			result, err := tx.ExecContext(ctx, s.chunks[i], args...)
			if err != nil {
				return written, err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return written, err
			}
			written += n
		}
	}
	return written, nil
}

// lookup fills its last statement up with the last pair again: one longer
// statement is quicker than many short ones.
func (sqliteDialect) lookup(ctx context.Context, tx Tx, l *Lookup, first Ints, second Blobs, scan func(*sql.Rows) error) error {
	args := make([]any, 0, 2*chunkPairs[len(chunkPairs)-1])
	for next := 0; next < len(first); {
		i := 0
		for i < len(chunkPairs)-1 && chunkPairs[i] < len(first)-next {
			i++
		}
		args = args[:0]
		for range chunkPairs[i] {
			pair := min(next, len(first)-1)
			args = append(args, first[pair], second[pair])
			next++
		}
		rows, err := tx.QueryContext(ctx, l.chunks[i], args...)
		if err := scanAll(rows, err, scan); err != nil {
			return err
		}
	}
	return nil
}
