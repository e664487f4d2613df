package store

import (
	"context"
	"database/sql"
	"strings"
	"sync"
)

// writers hands out the connection of one writing transaction.
type writers interface {
	acquire(ctx context.Context) (tx Tx, release func(), err error)
}

// pooled takes each transaction's connection from a pool.
type pooled struct{ db *sql.DB }

func (p pooled) acquire(ctx context.Context) (Tx, func(), error) {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	return conn, func() { conn.Close() }, nil
}

// single is SQLite's one writing connection, with its prepared statements:
// preparing one anew costs more than running it. Its statements are not cut off
// by the end of a context, only not begun any more: they are short, and watching
// for it costs as much as running one.
type single struct {
	conn  *sql.Conn
	turn  chan struct{}
	cache map[string]*sql.Stmt
}

func newSingle(ctx context.Context, db *sql.DB) (*single, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &single{conn: conn, turn: make(chan struct{}, 1), cache: map[string]*sql.Stmt{}}, nil
}

func (s *single) acquire(ctx context.Context) (Tx, func(), error) {
	select {
	case s.turn <- struct{}{}:
		return s, func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// maxStatements bounds a cache; the hot paths have about two dozen.
const maxStatements = 128

// get gives the prepared statement of a query that is worth one; nil for others.
func (s *single) get(ctx context.Context, query string) *sql.Stmt {
	if prepared, ok := s.cache[query]; ok {
		return prepared
	}
	if len(s.cache) >= maxStatements || !worthPreparing(query) {
		return nil
	}
	prepared, err := s.conn.PrepareContext(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil
	}
	s.cache[query] = prepared
	return prepared
}

func (s *single) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	ctx = context.WithoutCancel(ctx)
	if prepared := s.get(ctx, query); prepared != nil {
		return prepared.ExecContext(ctx, args...)
	}
	return s.conn.ExecContext(ctx, query, args...)
}

func (s *single) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	ctx = context.WithoutCancel(ctx)
	if prepared := s.get(ctx, query); prepared != nil {
		return prepared.QueryContext(ctx, args...)
	}
	return s.conn.QueryContext(ctx, query, args...)
}

func (s *single) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if ctx.Err() == nil {
		ctx = context.WithoutCancel(ctx)
	}
	if prepared := s.get(ctx, query); prepared != nil {
		return prepared.QueryRowContext(ctx, args...)
	}
	return s.conn.QueryRowContext(ctx, query, args...)
}

// prepared is a pool of readers that prepares each query once a connection.
type prepared struct {
	*sql.DB
	cache sync.Map // query → *sql.Stmt
	mu    sync.Mutex
	n     int
}

func (p *prepared) get(ctx context.Context, query string) *sql.Stmt {
	if s, ok := p.cache.Load(query); ok {
		return s.(*sql.Stmt)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.cache.Load(query); ok {
		return s.(*sql.Stmt)
	}
	if p.n >= maxStatements || !worthPreparing(query) {
		return nil
	}
	s, err := p.DB.PrepareContext(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil
	}
	p.cache.Store(query, s)
	p.n++
	return s
}

func (p *prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s := p.get(ctx, query); s != nil {
		return s.QueryContext(ctx, args...)
	}
	return p.DB.QueryContext(ctx, query, args...)
}

func (p *prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s := p.get(ctx, query); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return p.DB.QueryRowContext(ctx, query, args...)
}

// unwatched are readers whose queries are not cut off by the end of a context, only
// not begun any more: the driver and database/sql watch for it by a goroutine
// each, which for a row or two takes as long as the query.
type unwatched struct{ *prepared }

func (u unwatched) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return u.prepared.QueryContext(context.WithoutCancel(ctx), query, args...)
}

func (u unwatched) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if ctx.Err() == nil {
		ctx = context.WithoutCancel(ctx)
	}
	return u.prepared.QueryRowContext(ctx, query, args...)
}

func worthPreparing(query string) bool {
	for _, word := range []string{"INSERT ", "SELECT ", "UPDATE ", "DELETE ", "SAVEPOINT ", "RELEASE "} {
		if strings.HasPrefix(query, word) {
			return true
		}
	}
	return false
}
