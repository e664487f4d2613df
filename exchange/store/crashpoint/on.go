//go:build crashpoints

// Package crashpoint kills the process at a named point, for crash tests.
package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Environment holds "<name>:<n>": die at the n-th passing of that point. While
// names a file, if it is set: passings count only while the file is there.
const (
	Environment = "HUITONG_CRASHPOINT"
	While       = "HUITONG_CRASHPOINT_WHILE"
)

var (
	armed          = os.Getenv(While)
	name, times, _ = strings.Cut(os.Getenv(Environment), ":")
	passes         atomic.Int64
)

// Here kills this process if the environment names this point and it was passed
// often enough.
func Here(point string) {
	if point != name {
		return
	}
	if _, err := os.Stat(armed); armed != "" && err != nil {
		return
	}
	n, _ := strconv.ParseInt(times, 10, 64)
	if passes.Add(1) == max(n, 1) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
