package bench

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processorTime is the processor time that the process used so far, on all cores
// (getrusage(2)).
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentMiB is the process's resident memory (proc_pid_status(5), VmRSS).
func residentMiB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		rest, ok := strings.CutPrefix(line, "VmRSS:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
		if err != nil {
			return 0
		}
		return kib / 1024
	}
	return 0
}
