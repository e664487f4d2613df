package bench

import (
	"errors"
	"os"
	"slices"
	"time"
)

// syncs is how many writes the disk's floor is taken from.
const syncs = 200

// Disk is what the disk alone takes for one small write made durable: no commit
// on it can be faster.
type Disk struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// measureDisk appends 4 KiB and waits for the disk, again and again.
func measureDisk(dir string) (d Disk, err error) {
	f, err := os.CreateTemp(dir, "fsync-*")
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4096)
	took := make([]time.Duration, 0, syncs)
	for range syncs {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return d, err
		}
		if err := f.Sync(); err != nil {
			return d, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return Disk{quantile(took, 0.50), quantile(took, 0.99)}, nil
}
