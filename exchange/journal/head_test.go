package journal_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/journal"
	. "github.com/huitong-bus/huitong/exchange/journal/journaltest"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// TestPublishedStaysBehindEveryPublication: whoever looks for records waits for no
// entry that brings none, and for every one that does, whichever process wrote it.
func TestPublishedStaysBehindEveryPublication(t *testing.T) {
	l := New(t, 3)
	other := l.Open()
	enter := func(j *journal.Journal) uint64 {
		t.Helper()
		commit, err := j.Submit(t.Context(), &journal.Call{From: Provider, Entries: []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{Actor: Provider}}}})
		if err != nil {
			t.Fatal(err)
		}
		return commit.Index
	}
	published := l.One(l.Put(topic, "a", "甲")).Index
	for range 3 {
		if last := enter(l.Journal); l.Journal.Head().Published != published+1 || l.Journal.Head().Size != last+1 {
			t.Fatalf("publications are in at %d of %d entries; the last is entry %d", l.Journal.Head().Published, l.Journal.Head().Size, published)
		}
	}
	elsewhere, err := other.Submit(t.Context(), CallOf(Provider, l.Put(topic, "b", "乙")))
	if err != nil {
		t.Fatal(err)
	}
	enter(l.Journal) // the head that this process knows goes past the other's
	if h := l.Journal.Head(); h.Published <= elsewhere.Index {
		t.Fatalf("publications are said to be in at %d, and entry %d is one", h.Published, elsewhere.Index)
	}
	if h := l.Open().Head(); h.Published <= elsewhere.Index {
		t.Fatalf("after the start publications are said to be in at %d, and entry %d is one", h.Published, elsewhere.Index)
	}
}
