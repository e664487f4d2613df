package store

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
)

const (
	indexFile = "index.db"
	// openMark stands in the directory while the index is open, and names the
	// boot of the machine. The index is written without fsync, so it may be
	// damaged after the machine, not just the process, went down.
	openMark = "index.open"
	bootFile = "/proc/sys/kernel/random/boot_id"
)

// dropDamagedIndex removes an index that cannot be read: it is derived, and
// made anew. All of it is looked at only where the machine went down under it;
// an index of a process that was killed is whole.
func (db *DB) dropDamagedIndex(ctx context.Context, dir string) error {
	path, mark := filepath.Join(dir, indexFile), filepath.Join(dir, openMark)
	boot := bootID()
	marked, err := os.ReadFile(mark)
	wentDown := err == nil && (string(marked) != boot || boot == "")
	if _, err := os.Stat(path); err == nil && damaged(ctx, path, wentDown) {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(path + suffix); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	db.closers = append(db.closers, func() error { return os.Remove(mark) })
	return os.WriteFile(mark, []byte(boot), 0o600)
}

func bootID() string {
	b, err := os.ReadFile(bootFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// damaged says whether the engine finds a file damaged; thorough reads all of
// it.
func damaged(ctx context.Context, path string, thorough bool) bool {
	file, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return false
	}
	defer file.Close()
	query := "SELECT CASE WHEN count(*) >= 0 THEN 'ok' END FROM sqlite_schema"
	if thorough {
		query = "PRAGMA quick_check(1)"
	}
	var found string
	err = file.QueryRowContext(ctx, query).Scan(&found)
	return Corrupt(err) || err == nil && found != "ok"
}
