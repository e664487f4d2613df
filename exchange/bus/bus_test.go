package bus

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/journal/journaltest"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func contextFor(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), journaltest.Patience)
}

func sortByNumber(files []string) {
	number := func(f string) int {
		n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(f), ".blk"))
		return n
	}
	slices.SortFunc(files, func(a, b string) int { return number(a) - number(b) })
}

func TestStreamsEqualTheJournal(t *testing.T) {
	s := newSite(t, 3)
	s.publish(40, 100) // before the bus
	b := s.open()
	s.publish(200, 100)
	s.sameAsJournal(b)
	s.readsAll(b, topicA, 0)
	s.readsAll(b, topicB, 7)
	// And on, after a stop.
	b.Close()
	s.publish(30, 100)
	b = s.open()
	s.sameAsJournal(b)
	s.publish(30, 100)
	s.sameAsJournal(b)
	s.readsAll(b, topicB, 0)
}

// TestReaderOfAQuietTopic: a reader of a topic without records waits, and gets
// the first one.
func TestReaderOfAQuietTopic(t *testing.T) {
	s := newSite(t, 1)
	s.publish(30, 10)
	b := s.open()
	s.sameAsJournal(b)
	r := b.Read("quiet", 0, 0)
	defer r.Close()
	s.One(s.Put("quiet", "a", "1"))
	want, err := journal.TopicAfter(t.Context(), s.DB.Reader(), journal.Number("quiet"), 0, 10)
	must(t, err)
	s.reads(r, want)
}

// TestRetention: what is older than the retention is not in the stream, and
// readers get it from the journal by the same call.
func TestRetention(t *testing.T) {
	s := newSite(t, 1)
	s.Move(-9 * 24 * time.Hour)
	s.publish(40, 100)
	s.Move(9 * 24 * time.Hour)
	b := s.open()
	journaltest.Within(t, "an empty stream is a copy of nothing recent", b.Ready)
	must(t, b.partitions[0].compare(t.Context()))
	// A reader of a topic whose records are all old waits without haste.
	r := b.Read(topicA, 0, 0)
	defer r.Close()
	want, err := journal.TopicAfter(t.Context(), s.DB.Reader(), journal.Number(topicA), 0, 1000)
	must(t, err)
	s.reads(r, want)
	s.publish(30, 100)
	s.sameFrom(b, 41)
	want, err = journal.TopicAfter(t.Context(), s.DB.Reader(), journal.Number(topicA), r.Last(), 1000)
	must(t, err)
	s.reads(r, want)
	s.readsAll(b, topicA, 0)
	s.readsAll(b, "none", 0)
	b.Close()
	b = s.open()
	s.sameFrom(b, 41)
	if info := s.state(b, 0); info.FirstSeq != 41 || b.incarnation(t, 0) != "1" {
		t.Fatalf("%+v", info)
	}
}

// TestErasedRecords: their messages go from the stream, and a stream made anew
// has placeholders, so that numbers never shift.
func TestErasedRecords(t *testing.T) {
	s := newSite(t, 1)
	b := s.open()
	for i := range 5 {
		s.One(s.Put(topicA, "gone", strconv.Itoa(i)))
		s.One(s.Put(topicA, "stays", strconv.Itoa(i)))
	}
	s.sameAsJournal(b)
	s.One(s.Record(topicA, "gone", ledgerv1.Operation_OPERATION_ERASE, ""))
	journaltest.Within(t, "no erased message is left", func() bool { return s.state(b, 0).Msgs == 6 })
	s.sameAsJournal(b)
	s.readsAll(b, topicA, 0)
	must(t, b.partitions[0].compare(t.Context()))
	b.Close()
	b = s.open()
	s.sameAsJournal(b)
	if b.incarnation(t, 0) != "1" {
		t.Fatal("a stream without its erased messages was made anew")
	}
	b.Close()
	must(t, os.RemoveAll(s.dir))
	b = s.open()
	s.sameAsJournal(b)
	if info := s.state(b, 0); info.Msgs != 11 {
		t.Fatalf("%d messages, with placeholders", info.Msgs)
	}
	s.readsAll(b, topicA, 0)
}

// TestErasedAtTheEnds: the first and the last message of a stream may be those
// that are erased.
func TestErasedAtTheEnds(t *testing.T) {
	s := newSite(t, 1)
	b := s.open()
	s.One(s.Put(topicA, "first", "1"))
	s.One(s.Put(topicA, "stays", "1"))
	s.One(s.Record(topicA, "first", ledgerv1.Operation_OPERATION_ERASE, ""))
	s.One(s.Put(topicA, "last", "1"))
	s.One(s.Record(topicA, "last", ledgerv1.Operation_OPERATION_ERASE, ""))
	journaltest.Within(t, "no erased message is left", func() bool { return s.state(b, 0).Msgs == 3 })
	b.Close()
	b = s.open()
	s.sameAsJournal(b)
	if b.incarnation(t, 0) != "1" {
		t.Fatal("made anew without need")
	}
	s.readsAll(b, topicA, 0)
}
