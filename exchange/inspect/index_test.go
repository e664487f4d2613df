package inspect_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// recordsOf gives the key tokens of the records of a subject, in pages.
func (w *world) recordsOf(t testing.TB, number string, page int) [][]byte {
	t.Helper()
	return w.recordsOfTopic(t, people, number, page)
}

func (w *world) recordsOfTopic(t testing.TB, topic, number string, page int) [][]byte {
	t.Helper()
	must(t, w.index.Wait(t.Context(), w.Journal.Head().Size))
	var found [][]byte
	for {
		var after []byte
		if len(found) > 0 {
			after = found[len(found)-1]
		}
		tokens, err := w.index.RecordsOfSubject(t.Context(), topic, w.token(number), after, page)
		must(t, err)
		found = append(found, tokens...)
		if len(tokens) < page {
			return found
		}
	}
}

func (w *world) keyToken(key string) []byte {
	return w.Identity.Keyring.Token(identity.TokenRecord, people, key)
}

func TestRecordsOfSubject(t *testing.T) {
	w := newWorld(t)
	w.publish(t, w.security, put("A1", "王芳"), put("B2", "李娜"))
	if got := w.recordsOf(t, "A1", 10); len(got) != 1 || !bytes.Equal(got[0], w.keyToken("A1")) {
		t.Fatalf("found %x", got)
	}
	if got := w.recordsOf(t, "C3", 10); len(got) != 0 {
		t.Fatalf("found %x for nobody", got)
	}
	w.publish(t, w.security, put("A1", "王芳芳"), operate(ledgerv1.Operation_OPERATION_SUSPEND, "A1"))
	if got := w.recordsOf(t, "A1", 10); len(got) != 1 {
		t.Fatalf("found %x after changes", got)
	}
	w.publish(t, w.security, operate(ledgerv1.Operation_OPERATION_ERASE, "A1"))
	if got := w.recordsOf(t, "A1", 10); len(got) != 0 {
		t.Fatalf("found %x after erasure", got)
	}
	if n := w.rows(t, w.DB.Index, "SELECT count(*) FROM index_tokens"); n != 1 {
		t.Fatalf("%d rows after erasure; only that of the other record may be left", n)
	}
	w.publish(t, w.security, put("A1", "王芳"))
	if got := w.recordsOf(t, "A1", 10); len(got) != 1 {
		t.Fatalf("found %x after it was published anew", got)
	}
}

// One subject may stand in many records of a topic: members of households.
func TestRecordsOfSubjectInPages(t *testing.T) {
	w := newWorld(t)
	w.households(t, "member", 25)
	all := w.recordsOfTopic(t, households, "member", 1000)
	if len(all) != 25 || !slices.IsSortedFunc(all, bytes.Compare) {
		t.Fatalf("%d records, in order: %v", len(all), slices.IsSortedFunc(all, bytes.Compare))
	}
	for _, page := range []int{1, 7, 25} {
		if got := w.recordsOfTopic(t, households, "member", page); !slices.EqualFunc(got, all, bytes.Equal) {
			t.Fatalf("in pages of %d: %d records", page, len(got))
		}
	}
}

// A record that came to be about somebody else is no longer found by whom it
// was about, though the entry still is.
func TestRecordOfAnotherSubject(t *testing.T) {
	w := newWorld(t)
	first := w.household(t, "H1", "left", "stays")
	w.household(t, "H1", "stays")
	if got := w.recordsOfTopic(t, households, "left", 10); len(got) != 0 {
		t.Fatalf("found %x", got)
	}
	if got := w.recordsOfTopic(t, households, "stays", 10); len(got) != 1 {
		t.Fatalf("found %x", got)
	}
	got := w.list(t, w.auditor, &ledgerv1.EntryFilter{Subject: subject("left")}, inspect.Page{})
	if !slices.Equal(got, []uint64{first}) {
		t.Fatalf("entries %v about whom it was about", got)
	}
}

func (w *world) rows(t testing.TB, p *store.Part, query string, args ...any) int {
	t.Helper()
	var n int
	must(t, p.Read().QueryRowContext(t.Context(), query, args...).Scan(&n))
	return n
}

// snapshot gives everything that the index holds.
func (w *world) snapshot(t testing.TB) map[string]string {
	t.Helper()
	must(t, w.index.Wait(t.Context(), w.Journal.Head().Size))
	return inspect.Snapshot(t, w.DB)
}

func TestIndexHeals(t *testing.T) {
	w := newWorld(t)
	w.publish(t, w.security, numbered("N", 0, 30)...)
	w.entered(t, w.queried(subject("N3"), "case-1"))
	w.publish(t, w.security, operate(ledgerv1.Operation_OPERATION_ERASE, "N4"))
	want := w.snapshot(t)
	harm := map[string]func(){
		"lost": func() {
			w.exec(t, "DELETE FROM index_position")
			w.exec(t, "DELETE FROM index_bits")
			w.exec(t, "DELETE FROM index_tokens")
			w.exec(t, "DELETE FROM index_entries")
		},
		"of another ledger":      func() { w.exec(t, "UPDATE index_position SET origin = 'other'") },
		"of another past":        func() { w.exec(t, "UPDATE index_position SET leaf = $1", []byte("another leaf")) },
		"ahead of the ledger":    func() { w.exec(t, "UPDATE index_position SET next = next + 100") },
		"behind what it follows": func() {},
	}
	for name, do := range harm {
		t.Run(name, func(t *testing.T) {
			w.index.Close()
			do()
			if name == "behind what it follows" {
				w.publish(t, w.security, numbered("M", 0, 5)...)
				want = nil
			}
			w.open(t)
			got := w.snapshot(t)
			if want == nil {
				must(t, inspect.Rebuild(t.Context(), w.DB, w.Identity.Keyring, nil))
				want = w.snapshot(t)
			}
			inspect.Compare(t, got, want)
		})
	}
}

// An index made in steps of one entry is that made at once.
func TestIndexInAnySteps(t *testing.T) {
	w := newWorld(t)
	for i := range 40 {
		w.publish(t, w.security, put(string(rune('A'+i%7)), "王芳"))
	}
	w.publish(t, w.security, operate(ledgerv1.Operation_OPERATION_ERASE, "B"))
	var many []*exchangev1.Publication
	for i := range 6 {
		many = append(many, numbered("X", 500*i, 500)...)
	}
	for len(many) > 0 {
		w.publish(t, w.security, many[:500]...)
		many = many[500:]
	}
	got := w.snapshot(t)
	w.index.Close()
	must(t, inspect.Rebuild(t.Context(), w.DB, w.Identity.Keyring, nil))
	inspect.Compare(t, got, inspect.Snapshot(t, w.DB))
}

// Two processes on one database follow side by side.
func TestTwoFollowers(t *testing.T) {
	w := newWorld(t)
	second, err := inspect.OpenIndex(t.Context(), inspect.IndexConfig{DB: w.DB, Journal: w.Journal, Keyring: w.Identity.Keyring})
	must(t, err)
	defer second.Close()
	for i := range 50 {
		w.publish(t, w.security, numbered("N", 10*i, 10)...)
	}
	must(t, second.Wait(t.Context(), w.Journal.Head().Size))
	got := w.snapshot(t)
	second.Close()
	w.index.Close()
	must(t, inspect.Rebuild(t.Context(), w.DB, w.Identity.Keyring, nil))
	inspect.Compare(t, got, inspect.Snapshot(t, w.DB))
}

// A process that hears late of what another commits does not take the index for
// that of another ledger because it is ahead, and empties it under who reads it.
func TestAFollowerThatHearsLate(t *testing.T) {
	w := newWorld(t)
	var said strings.Builder
	second, err := inspect.OpenIndex(t.Context(), inspect.IndexConfig{
		DB: w.DB, Journal: catalogtest.Join(t, w.DB, w.Identity).Journal, Keyring: w.Identity.Keyring,
		Log: slog.New(slog.NewTextHandler(&said, nil)),
	})
	must(t, err)
	for i := range 100 {
		number := fmt.Sprintf("N%d", i)
		w.publish(t, w.security, put(number, "王芳"))
		if got := w.recordsOf(t, number, 10); len(got) != 1 {
			t.Fatalf("record %d is not found", i)
		}
	}
	must(t, second.Wait(t.Context(), w.Journal.Head().Size))
	second.Close()
	if said.Len() > 0 {
		t.Errorf("it said:\n%s", said.String())
	}
}

func (w *world) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	execOn(t, w.DB.Index, query, args...)
}
