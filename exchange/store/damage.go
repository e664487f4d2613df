package store

import (
	"context"

	sqlite3 "modernc.org/sqlite/lib"
)

// Corrupt says whether an error is the engine's word that its file is damaged.
func Corrupt(err error) bool {
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// Verify has the engine check its own structures and says what it found; empty
// if nothing is wrong, or if the engine has no such check.
func (p *Part) Verify(ctx context.Context) (string, error) {
	query := p.dialect.verify()
	if query == "" {
		return "", nil
	}
	var found string
	if err := p.read.QueryRowContext(ctx, query).Scan(&found); err != nil {
		return "", err
	}
	if found == "ok" {
		found = ""
	}
	return found, nil
}
