package bench

import (
	"context"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limit ends a case: at a number of records or a time, whichever comes first.
// Zero is no limit; one of the two is needed.
type Limit struct {
	Records int
	Time    time.Duration
	// Rate is how many operations begin a second, over all callers; as many as there
	// is room for if 0. A latency is then from when the operation was due.
	Rate int
}

// due waits until the n-th operation of a case is due, and gives when that was.
func (l Limit) due(ctx context.Context, since time.Time, n int) time.Time {
	if l.Rate == 0 {
		return time.Now()
	}
	at := since.Add(time.Duration(n) * time.Second / time.Duration(l.Rate))
	wait := time.NewTimer(time.Until(at))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
	return at
}

// Row is what one case measured.
type Row struct {
	Name    string  `json:"name"`
	Records int     `json:"records"`
	Seconds float64 `json:"seconds"`
	// Rate is records a second.
	Rate float64 `json:"rate"`
	// P50 and P99 are of one operation as its caller sees it, in milliseconds.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	// Processor is the processor time a record took, in microseconds, of the
	// whole process: with the number of cores it gives the highest rate.
	Processor float64 `json:"processor_us"`
	// Allocations a record, of the whole process: exchange and callers.
	Allocations float64 `json:"allocations"`
	// Resident is the process's resident memory at the end, in MiB.
	Resident float64 `json:"resident_mib"`
	// Reference says that this is not the exchange.
	Reference bool   `json:"reference,omitempty"`
	Note      string `json:"note,omitempty"`
}

// meter measures one case, in one go or in turns with others.
type meter struct {
	// The present turn's beginning, and what it began at.
	began     time.Time
	processor time.Duration
	objects   uint64
	// What earlier turns took.
	took, spent time.Duration
	allocated   uint64

	operations, records atomic.Int64

	mu        sync.Mutex
	latencies []time.Duration
}

func newMeter() *meter {
	m := &meter{}
	m.begin()
	return m
}

// begin begins a turn.
func (m *meter) begin() {
	m.began, m.processor, m.objects = time.Now(), processorTime(), allocated()
}

// pause ends a turn.
func (m *meter) pause() {
	m.took += time.Since(m.began)
	m.spent += processorTime() - m.processor
	m.allocated += allocated() - m.objects
}

// add takes latencies and the records that they brought.
func (m *meter) add(records int, latencies ...time.Duration) {
	m.records.Add(int64(records))
	m.mu.Lock()
	m.latencies = append(m.latencies, latencies...)
	m.mu.Unlock()
}

// row ends the measurement.
func (m *meter) row(name string) Row {
	m.pause()
	return m.result(name)
}

// result is what all turns measured.
func (m *meter) result(name string) Row {
	n := int(m.records.Load())
	r := Row{
		Name: name, Records: n, Seconds: m.took.Seconds(), Rate: float64(n) / m.took.Seconds(),
		Processor: float64(m.spent.Microseconds()) / float64(max(n, 1)), Allocations: float64(m.allocated) / float64(max(n, 1)),
		Resident: residentMiB(),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.Sort(m.latencies)
	r.P50, r.P99 = quantile(m.latencies, 0.50), quantile(m.latencies, 0.99)
	return r
}

// quantile of sorted durations, in milliseconds.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[at].Nanoseconds()) / 1e6
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// work does one operation for one of the callers. n counts up over all callers.
type work func(ctx context.Context, caller, n int) error

// load lets callers work at once, each waiting for its answer before its next
// operation, each operation bringing batch records.
func load(ctx context.Context, name string, callers, batch int, limit Limit, do work) (Row, error) {
	m := newMeter()
	err := m.load(ctx, callers, batch, limit, do)
	return m.row(name), err
}

// load is one turn of a case, which goes on counting where the last one ended.
func (m *meter) load(ctx context.Context, callers, batch int, limit Limit, do work) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var once sync.Once
	var failed error
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			var latencies []time.Duration
			defer func() { m.add(len(latencies)*batch, latencies...) }()
			for ctx.Err() == nil && (limit.Time == 0 || time.Since(m.began) < limit.Time) {
				n := int(m.operations.Add(1)) - 1
				if limit.Records > 0 && (n+1)*batch > limit.Records {
					return
				}
				began := limit.due(ctx, m.began, n)
				if err := do(ctx, caller, n); err != nil {
					once.Do(func() { failed = err; cancel() })
					return
				}
				latencies = append(latencies, time.Since(began))
			}
		})
	}
	all.Wait()
	if failed == nil {
		failed = ctx.Err() // the caller's, for nothing here has ended it
	}
	return failed
}

// contestant is a case that is measured beside others.
type contestant struct {
	name    string
	callers int
	do      work
}

// turns is how often each contestant has its turn.
const turns = 5

// inTurns measures cases that are compared with one another, each for a time in
// all: in short turns, so that what the disk and the machine do meanwhile falls on
// all of them.
func inTurns(ctx context.Context, time time.Duration, cases []contestant) ([]Row, error) {
	meters := make([]meter, len(cases))
	for range turns {
		for i, c := range cases {
			meters[i].begin()
			if err := meters[i].load(ctx, c.callers, 1, Limit{Time: time / turns}, c.do); err != nil {
				return nil, err
			}
			meters[i].pause()
		}
	}
	rows := make([]Row, len(cases))
	for i, c := range cases {
		rows[i] = meters[i].result(c.name)
	}
	return rows, nil
}
