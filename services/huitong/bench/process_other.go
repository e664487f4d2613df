//go:build !linux

package bench

import (
	"runtime/metrics"
	"time"
)

// processorTime is not told in one way by other systems; the column stays empty.
func processorTime() time.Duration { return 0 }

// residentMiB is what the Go runtime holds of the system's memory: close to the
// resident memory, which other systems do not tell as a file.
func residentMiB() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64()-sample[1].Value.Uint64()) / (1 << 20)
}
