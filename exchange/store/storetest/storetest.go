// Package storetest gives tests a database of their own: SQLite in a temporary
// directory, or a schema of the PostgreSQL that HUITONG_TEST_DATABASE names.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"net/url"
	"os"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver for the schema's own connection

	"github.com/huitong-bus/huitong/exchange/store"
)

// Environment names the database that tests run on instead of SQLite.
const Environment = "HUITONG_TEST_DATABASE"

// URL gives the URL of a new, empty database.
func URL(t testing.TB) string {
	t.Helper()
	base := os.Getenv(Environment)
	if base == "" {
		return "sqlite:" + t.TempDir()
	}
	name := make([]byte, 8)
	if _, err := rand.Read(name); err != nil {
		t.Fatal(err)
	}
	schema := "t" + hex.EncodeToString(name)
	db, err := sql.Open("pgx", base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP SCHEMA " + schema + " CASCADE"); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	if _, err := db.Exec("CREATE SCHEMA " + schema); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// Open opens a new, empty database; the test's end closes it.
func Open(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
