package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed indexes/*.sql
var indexes embed.FS

// migrate brings both parts to the schema this binary understands.
func (db *DB) migrate(ctx context.Context) error {
	if err := db.Journal.migrate(ctx, "schema_journal", migrations); err != nil {
		return err
	}
	return db.Index.migrate(ctx, "schema_index", indexes)
}

// migrate migrates one part. Of processes that start at once on an empty
// database one wins; the others find its work done when they look again.
func (p *Part) migrate(ctx context.Context, table string, files fs.FS) error {
	names, err := fs.Glob(files, "*/*.sql")
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		if err = p.migrateTo(ctx, table, names, files); err == nil || !lostRace(err) || try == 8 {
			return err
		}
	}
}

func (p *Part) migrateTo(ctx context.Context, table string, names []string, files fs.FS) error {
	return p.Update(ctx, func(ctx context.Context, tx Tx) error {
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+table+" (version "+p.dialect.schema("INTEGER")+" PRIMARY KEY)"); err != nil {
			return err
		}
		have, newest, err := applied(ctx, tx, table)
		if err != nil {
			return err
		}
		understood := 0
		for _, name := range names {
			version, err := versionOf(name)
			if err != nil {
				return err
			}
			if understood = max(understood, version); have[version] {
				continue
			}
			if err := p.apply(ctx, tx, table, name, files); err != nil {
				return fmt.Errorf("migration %s: %w", name, err)
			}
		}
		if newest > understood {
			return fmt.Errorf("the database has schema %d, this binary understands %d; use a newer one", newest, understood)
		}
		return nil
	})
}

// applied gives the versions that the database has: their numbers may have gaps,
// and what fills one later is applied then.
func applied(ctx context.Context, tx Tx, table string) (have map[int]bool, newest int, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT version FROM "+table)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	have = map[int]bool{}
	for rows.Next() {
		var version int
		if err := rows.Scan(&version); err != nil {
			return nil, 0, err
		}
		have[version], newest = true, max(newest, version)
	}
	return have, newest, rows.Err()
}

// versionOf is the number that a migration's file name begins with.
func versionOf(name string) (int, error) {
	return strconv.Atoi(name[strings.LastIndex(name, "/")+1:][:4])
}

func (p *Part) apply(ctx context.Context, tx Tx, table, name string, files fs.FS) error {
	version, err := versionOf(name)
	if err != nil {
		return err
	}
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	for _, statement := range splitStatements(p.dialect.schema(string(text))) {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO "+table+" (version) VALUES ($1)", version)
	return err
}

// splitStatements cuts a migration at the semicolons that end a line; comments
// go.
func splitStatements(text string) []string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			kept = append(kept, line)
		}
	}
	var statements []string
	for _, s := range strings.Split(strings.Join(kept, ""), ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			statements = append(statements, s)
		}
	}
	return statements
}
