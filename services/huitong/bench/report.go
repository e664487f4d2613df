package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Ratio compares a case with a reference of the same run.
type Ratio struct {
	Case      string  `json:"case"`
	Reference string  `json:"reference"`
	Value     float64 `json:"value"`
}

// Part is what one step of the work costs by itself, on one core.
type Part struct {
	Name        string  `json:"name"`
	Nanoseconds float64 `json:"ns_per_record"`
	Allocations float64 `json:"allocations"`
}

// Report is one table of the bench.
type Report struct {
	Title   string    `json:"title"`
	At      time.Time `json:"at"`
	Machine string    `json:"machine"`
	Disk    Disk      `json:"fsync"`
	Ratios  []Ratio   `json:"ratios"`
	Rows    []Row     `json:"rows"`
	Parts   []Part    `json:"parts,omitempty"`
}

func newReport(title, dir string) (*Report, error) {
	disk, err := measureDisk(dir)
	return &Report{
		Title: title, At: time.Now().UTC().Truncate(time.Second), Machine: machine(), Disk: disk,
	}, err
}

func machine() string {
	return fmt.Sprintf("%d cores, %s, %s/%s, %s", runtime.GOMAXPROCS(0), processor(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// processor names the processor where the system tells it.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// add takes a case's row.
func (r *Report) add(row Row) Row {
	r.Rows = append(r.Rows, row)
	return row
}

// reference takes a reference's row.
func (r *Report) reference(row Row) Row {
	row.Reference = true
	return r.add(row)
}

// compare adds the ratio of a case's rate to a reference's.
func (r *Report) compare(of, to Row) {
	if to.Rate > 0 {
		r.Ratios = append(r.Ratios, Ratio{of.Name, to.Name, of.Rate / to.Rate})
	}
}

// write prints the report as a person reads it.
func (r *Report) write(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s\n%s; one fsync takes %.2f ms, in one of a hundred %.2f ms or more\n",
		r.Title, strings.Repeat("=", len(r.Title)), r.Machine, r.Disk.P50, r.Disk.P99)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, ratio := range r.Ratios {
		fmt.Fprintf(t, "\n%.2f ×\t", ratio.Value)
		fmt.Fprintf(t, "  %s  /  %s", ratio.Case, ratio.Reference)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprint(w, "\n\n")
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "rate/s\tp50 ms\tp99 ms\tCPU µs\tallocs\tRSS MiB\trecords\t")
	for _, row := range r.Rows {
		kind := ""
		if row.Reference {
			kind = "(reference) "
		}
		note := row.Note
		if note != "" {
			note = "; " + note
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t  %s%s%s\n",
			figure(row.Rate, 0), figure(row.P50, 2), figure(row.P99, 2), figure(row.Processor, 0), figure(row.Allocations, 0),
			figure(row.Resident, 0), row.Records, kind, row.Name, note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return r.writeParts(w)
}

// figure is empty where nothing was measured.
func figure(v float64, decimals int) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

func (r *Report) writeParts(w io.Writer) error {
	if len(r.Parts) == 0 {
		_, err := fmt.Fprintln(w)
		return err
	}
	fmt.Fprint(w, "\nWhat each step costs by itself, on one core:\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "µs/record\tallocs\t")
	for _, p := range r.Parts {
		fmt.Fprintf(t, "%.2f\t%.1f\t  %s\n", p.Nanoseconds/1000, p.Allocations, p.Name)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

// writeJSON prints the report for programs.
func (r *Report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
