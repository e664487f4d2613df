package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"
)

// Column is one column of many rows.
type Column interface {
	at(i int) any
	len() int
	array() any
	cast() string
}

// Ints is a column of integers.
type Ints []int64

func (c Ints) at(i int) any { return c[i] }
func (c Ints) len() int     { return len(c) }
func (c Ints) array() any   { return []int64(c) }
func (c Ints) cast() string { return "::bigint[]" }

// Blobs is a column of bytes; nil is NULL.
type Blobs [][]byte

func (c Blobs) at(i int) any {
	if c[i] == nil {
		return nil
	}
	return c[i]
}
func (c Blobs) len() int     { return len(c) }
func (c Blobs) array() any   { return [][]byte(c) }
func (c Blobs) cast() string { return "::bytea[]" }

// Texts is a column of text.
type Texts []string

func (c Texts) at(i int) any { return c[i] }
func (c Texts) len() int     { return len(c) }
func (c Texts) array() any   { return []string(c) }
func (c Texts) cast() string { return "::text[]" }

// Insert is an INSERT of many rows: "INTO table (columns)" and what follows the
// rows ("ON CONFLICT …").
type Insert struct {
	Into string
	Then string

	once sync.Once
	// chunks are the statements of as many rows as chunkRows says.
	chunks [len(chunkRows)]string
	array  string
}

// chunkRows are the numbers of rows that one statement takes on SQLite: past the
// first, longer statements gain nothing; the others make up what is left.
var chunkRows = [...]int{8, 4, 2, 1}

func (s *Insert) prepare(columns []Column) {
	s.once.Do(func() {
		marks := "(" + strings.TrimSuffix(strings.Repeat("?,", len(columns)), ",") + ")"
		for i, rows := range chunkRows {
			s.chunks[i] = "INSERT " + s.Into + " VALUES " + strings.Repeat(marks+",", rows-1) + marks + " " + s.Then
		}
		casts := make([]string, len(columns))
		for i, c := range columns {
			casts[i] = "$" + strconv.Itoa(i+1) + c.cast()
		}
		s.array = "INSERT " + s.Into + " SELECT * FROM unnest(" + strings.Join(casts, ",") + ") " + s.Then
	})
}

// Run inserts the rows.
func (s *Insert) Run(ctx context.Context, p *Part, tx Tx, columns ...Column) error {
	_, err := s.RunNew(ctx, p, tx, columns...)
	return err
}

// RunNew inserts the rows, and says whether each was new: one that ON CONFLICT left
// alone was not.
func (s *Insert) RunNew(ctx context.Context, p *Part, tx Tx, columns ...Column) (bool, error) {
	if len(columns) == 0 || columns[0].len() == 0 {
		return true, nil
	}
	s.prepare(columns)
	n, err := p.dialect.insert(ctx, tx, s, columns)
	return n == int64(columns[0].len()), err
}

// Lookup is a SELECT of the rows whose two key columns are among many pairs:
// "SELECT columns FROM table" and the names of the key columns.
type Lookup struct {
	Select string
	Keys   [2]string

	once sync.Once
	// chunks are the statements of as many pairs as chunkPairs says.
	chunks [len(chunkPairs)]string
	array  string
}

func (l *Lookup) prepare() {
	l.once.Do(func() {
		where := l.Select + " WHERE (" + l.Keys[0] + "," + l.Keys[1] + ") IN ("
		for i, pairs := range chunkPairs {
			if pairs == 1 {
				// Without a list to walk, SQLite takes half the time.
				l.chunks[i] = l.Select + " WHERE " + l.Keys[0] + "=? AND " + l.Keys[1] + "=?"
				continue
			}
			l.chunks[i] = where + "VALUES " + strings.Repeat("(?,?),", pairs-1) + "(?,?))"
		}
		l.array = where + "SELECT * FROM unnest($1::bigint[],$2::bytea[]))"
	})
}

// chunkPairs are the numbers of pairs that one statement looks for on SQLite.
var chunkPairs = [...]int{1, 8, 32}

// Run gives scan each row found, in no order.
func (l *Lookup) Run(ctx context.Context, p *Part, tx Tx, first Ints, second Blobs, scan func(*sql.Rows) error) error {
	if len(first) == 0 {
		return nil
	}
	l.prepare()
	return p.dialect.lookup(ctx, tx, l, first, second, scan)
}

func scanAll(rows *sql.Rows, err error, scan func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
