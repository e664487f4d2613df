package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

type postgresDialect struct{}

// openPostgres opens PostgreSQL or CockroachDB. Writers run READ COMMITTED on
// PostgreSQL: the group commit locks the head row first, which serialises it.
func openPostgres(ctx context.Context, url string) (*DB, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("database: the postgres URL cannot be read")
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(24)
	pool.SetMaxIdleConns(12)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("database at %s:%d: %w", config.Host, config.Port, err), pool.Close())
	}
	begin := "BEGIN ISOLATION LEVEL READ COMMITTED"
	var version string
	if err := pool.QueryRowContext(ctx, "SELECT version()").Scan(&version); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	lazy := begin + "; SET LOCAL synchronous_commit TO off"
	if strings.Contains(version, "CockroachDB") {
		begin = "BEGIN ISOLATION LEVEL SERIALIZABLE"
		lazy = begin
	}
	d := postgresDialect{}
	return &DB{
		Journal: &Part{dialect: d, write: pooled{pool}, read: pool, brief: pool, begin: begin},
		Index:   &Part{dialect: d, write: pooled{pool}, read: pool, brief: pool, begin: lazy},
		closers: []func() error{pool.Close},
	}, nil
}

var toPostgres = strings.NewReplacer("INTEGER", "BIGINT", "BLOB", "BYTEA", "WITHOUT ROWID", "")

func (postgresDialect) schema(text string) string { return toPostgres.Replace(text) }
func (postgresDialect) clock() string {
	return "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
}
func (postgresDialect) lockRow() string { return " FOR UPDATE" }
func (postgresDialect) verify() string  { return "" }

var errRolledBack = errors.New("a statement had failed, so COMMIT rolled the transaction back")

// commit: what PostgreSQL answered is certain; a lost connection is not. COMMIT
// after a failed statement is no error to PostgreSQL: only its tag says that it
// rolled back, and database/sql does not show the tag.
func (d postgresDialect) commit(ctx context.Context, tx Tx) error {
	conn, ok := tx.(*sql.Conn)
	if !ok {
		return fmt.Errorf("COMMIT on a %T", tx)
	}
	return conn.Raw(func(raw any) error {
		tag, err := raw.(*stdlib.Conn).Conn().Exec(ctx, "COMMIT")
		switch {
		case err != nil:
			return commitError(err)
		case tag.String() != "COMMIT":
			return errRolledBack
		}
		return nil
	})
}

// refused: classes 22, 23, 25 and 42 are about statements; a connection that
// went, a server that shuts down or has no room (08, 53, 57, 58) is not.
func (postgresDialect) refused(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return strings.Contains("22 23 25 42", answer.Code[:2])
	}
	var network net.Error
	return !errors.As(err, &network) && !errors.Is(err, driver.ErrBadConn) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF)
}

func commitError(err error) error {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		if answer.Code == "40003" {
			return fmt.Errorf("%w: %w", ErrAmbiguous, err)
		}
		return err
	}
	return fmt.Errorf("%w: %w", ErrAmbiguous, err)
}

// lostRace: another transaction made the same table, type or row first.
func lostRace(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && (answer.Code == "23505" || answer.Code == "42P07" || answer.Code == "42710")
}

func (postgresDialect) insert(ctx context.Context, tx Tx, s *Insert, columns []Column) (int64, error) {
	args := make([]any, len(columns))
	for i, c := range columns {
		args[i] = c.array()
	}
	result, err := tx.ExecContext(ctx, s.array, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (postgresDialect) lookup(ctx context.Context, tx Tx, l *Lookup, first Ints, second Blobs, scan func(*sql.Rows) error) error {
	rows, err := tx.QueryContext(ctx, l.array, first.array(), second.array())
	return scanAll(rows, err, scan)
}
