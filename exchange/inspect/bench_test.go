package inspect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/inspect"
)

// BenchmarkCheck checks a ledger of 20,000 publications, and makes its index.
func BenchmarkCheck(b *testing.B) {
	const records = 20_000
	w := newWorld(b)
	for i := range records / 1000 {
		w.publish(b, w.security, numbered(fmt.Sprintf("R%d-", i), 0, 1000)...)
	}
	must(b, w.index.Wait(b.Context(), w.Journal.Head().Size))
	w.index.Close()
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			report, err := inspect.Check(b.Context(), w.DB, w.Identity.Keyring, inspect.CheckOptions{Index: true})
			must(b, err)
			if report.Wrong != nil {
				b.Fatal(report.Wrong)
			}
		}
		b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("index", func(b *testing.B) {
		for b.Loop() {
			for _, table := range []string{"index_bits", "index_tokens", "index_entries", "index_position"} {
				w.exec(b, "DELETE FROM "+table)
			}
			began := time.Now()
			x, err := inspect.OpenIndex(b.Context(), inspect.IndexConfig{DB: w.DB, Journal: w.Journal, Keyring: w.Identity.Keyring})
			must(b, err)
			must(b, x.Wait(b.Context(), w.Journal.Head().Size))
			b.ReportMetric(records/time.Since(began).Seconds(), "followed/s")
			x.Close()
		}
	})
}
