package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

// short runs one table of the command with little of everything.
func short(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	c := Command()
	c.SetOut(&out)
	c.SetArgs(append(args, "--dir", t.TempDir(), "--records", "1000", "--duration", "100ms"))
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestTablesCompareWithReferences: a figure without a reference of the same run
// says nothing, so each ratio is there and comes before the rates.
func TestTablesCompareWithReferences(t *testing.T) {
	for name, want := range map[string]struct{ ratios, rates []string }{
		"publish": {
			[]string{"SDK, 64 callers  /  JetStream", "unary calls", "gRPC echo", "batches of 1,000", "fsync"},
			[]string{thousands.name, hundreds.name, allCallers.name, plainCalls.name, oneCaller.name, "validation", "relay"},
		},
		"deliver": {[]string{"catch-up of a new subscription  /  JetStream", "fsync"}, []string{"200/s", "2000/s"}},
		"suspend": {[]string{"fsync"}, []string{"10 running subscriptions", "all have heard"}},
		"query":   {[]string{"check, 64 callers", "query by subject", "gRPC echo", "fsync"}, []string{"by key, 1 caller", "check, 1 caller"}},
		"reuse":   {[]string{"p50 of prepare", "collect five, 64 callers  /  gRPC echo", "fsync"}, []string{"prepare, 1 callers", "prepare, 16 callers", "collect five", "a revocation that 100 cases relied on"}},
		"decide":  {[]string{"fsync"}, []string{"1 grant on the topic", "50 grants on the topic"}},
		"ledger":  {[]string{"entries, 64 callers  /  JetStream", "fsync"}, []string{"inclusion proofs", "export"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := short(t, name)
			ratios, rates, ok := strings.Cut(out, "rate/s")
			if !ok {
				t.Fatalf("no table in\n%s", out)
			}
			for _, w := range want.ratios {
				if !strings.Contains(ratios, w) {
					t.Errorf("%q is not before the rates in\n%s", w, out)
				}
			}
			for _, w := range want.rates {
				if !strings.Contains(rates, w) {
					t.Errorf("%q was not measured:\n%s", w, out)
				}
			}
		})
	}
}

// TestCertificatesAreOneKiB: the records are as large as the tables say, and
// each is another one.
func TestCertificatesAreOneKiB(t *testing.T) {
	seen := map[string]bool{}
	for n := range 3000 {
		m := certificate(n)
		if size := proto.Size(m); size < recordBytes-4 || size > recordBytes {
			t.Fatalf("certificate %d has %d bytes", n, size)
		}
		if seen[m.Identifier] || seen[m.HolderNumber] {
			t.Fatalf("certificate %d is there already", n)
		}
		seen[m.Identifier], seen[m.HolderNumber] = true, true
		if n > 20 {
			continue
		}
		content, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := standard().Read(content); err != nil || len(r.Warnings) > 0 {
			t.Fatalf("certificate %d: %v, %v", n, err, r)
		}
	}
}

// TestStartAfterACrash: the copy that stands for a crash starts, and has its
// records.
func TestStartAfterACrash(t *testing.T) {
	out := short(t, "start")
	for _, want := range []string{"first receipt, after a crash", "JetStream holds everything, after an orderly stop"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q was not measured:\n%s", want, out)
		}
	}
}

// TestARateIsKept: no operation begins before it is due, and all of them are done.
func TestARateIsKept(t *testing.T) {
	row, err := load(t.Context(), "", 4, 1, Limit{Records: 21, Rate: 1000}, func(context.Context, int, int) error { return nil })
	if err != nil || row.Records != 21 || row.Seconds < 0.020 {
		t.Errorf("%d operations in %v s: %v", row.Records, row.Seconds, err)
	}
}

func TestReportAsJSON(t *testing.T) {
	r := &Report{Title: "t", Rows: []Row{{Name: "a", Rate: 2}}, Ratios: []Ratio{{"a", "b", 2}}}
	var out bytes.Buffer
	if err := r.writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Rows) != 1 || back.Rows[0].Name != "a" || len(back.Ratios) != 1 {
		t.Fatalf("%+v", back)
	}
}

// TestFlagsAreChecked: a wrong flag is refused before anything is made.
func TestFlagsAreChecked(t *testing.T) {
	for _, args := range [][]string{{"publish", "--records", "0"}, {"publish", "--duration", "1ms"}, {"publish", "-o", "xml"}} {
		c := Command()
		c.SetOut(new(bytes.Buffer))
		c.SetErr(new(bytes.Buffer))
		c.SetArgs(args)
		if err := c.ExecuteContext(t.Context()); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}
