package bus

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/journal/journaltest"
)

const (
	topicA = "security.person"
	topicB = "housing.deed"
)

// site is a ledger with the directory of its embedded server.
type site struct {
	*journaltest.Ledger
	t   *testing.T
	dir string
	n   int
}

func newSite(t *testing.T, partitions int) *site {
	t.Helper()
	return &site{Ledger: journaltest.New(t, partitions), t: t, dir: t.TempDir()}
}

// open starts a bus; the test's end closes it, unless the test does.
func (s *site) open(change ...func(*Config)) *Bus {
	s.t.Helper()
	c := Config{Dir: s.dir, Journal: s.Journal, DB: s.DB}
	for _, f := range change {
		f(&c)
	}
	b := Open(c)
	s.t.Cleanup(b.Close)
	return b
}

// publish publishes n records of about a size to two topics.
func (s *site) publish(n, size int) {
	s.t.Helper()
	text := string(bytes.Repeat([]byte{'x'}, size))
	for n > 0 {
		var records []*journal.Record
		for range min(n, 50) {
			s.n++
			topic := topicA
			if s.n%3 == 0 {
				topic = topicB
			}
			records = append(records, s.Put(topic, "r"+strconv.Itoa(s.n%500), text))
		}
		for _, o := range s.Publish(records...).Records {
			must(s.t, o.Err)
		}
		n -= len(records)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rows gives the journal's publications of each partition, by sequence from 1.
func (s *site) rows() map[uint32][]journal.Row {
	s.t.Helper()
	all := map[uint32][]journal.Row{}
	for from := uint64(0); ; {
		rows, err := journal.After(s.t.Context(), s.DB.Reader(), from, 500)
		must(s.t, err)
		for i := range rows {
			p, err := publication(&rows[i])
			must(s.t, err)
			all[p.Partition] = append(all[p.Partition], rows[i])
			from = rows[i].Index + 1
		}
		if len(rows) < 500 {
			return all
		}
	}
}

// sameAsJournal waits until every stream is the journal's records, sequence by
// sequence, from the first record that the retention keeps.
func (s *site) sameAsJournal(b *Bus) {
	s.t.Helper()
	s.sameFrom(b, 1)
}

func (s *site) sameFrom(b *Bus, first uint64) {
	s.t.Helper()
	all, last := s.rows(), errors.New("never compared")
	defer func() {
		if s.t.Failed() {
			s.t.Log("the streams differ at the end: ", last)
		}
	}()
	journaltest.Within(s.t, "stream equals journal", func() bool {
		for p := range b.partitions {
			if last = s.compare(b.partitions[p], all[uint32(p)], first); last != nil {
				return false
			}
		}
		return true
	})
}

// compare compares one stream with its rows, message by message.
func (s *site) compare(p *partition, rows []journal.Row, first uint64) error {
	at := p.stream.Load()
	if at == nil {
		return fmt.Errorf("partition %d has no stream", p.number)
	}
	info, err := at.stream.Info(s.t.Context())
	if err != nil {
		return err
	}
	if info.State.LastSeq != uint64(len(rows)) {
		return fmt.Errorf("partition %d: the stream has %d to %d, the journal 1 to %d", p.number, info.State.FirstSeq, info.State.LastSeq, len(rows))
	}
	previous := map[int64]uint64{}
	for i := range rows {
		row := &rows[i]
		if row.Sequence >= first {
			if err := s.compareOne(at.stream, row, previous[row.Topic]); err != nil {
				return fmt.Errorf("partition %d, message %d: %w", p.number, row.Sequence, err)
			}
		}
		previous[row.Topic] = row.Sequence
	}
	return nil
}

func (s *site) compareOne(stream jetstream.Stream, row *journal.Row, previous uint64) error {
	m, err := stream.GetMsg(s.t.Context(), row.Sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		published, err := publication(row)
		if err != nil {
			return err
		}
		if _, erased, _ := journal.ErasedAt(s.t.Context(), s.DB.Reader(), published.Partition, row.Sequence); erased {
			return nil
		}
	}
	if err != nil {
		return err
	}
	if m.Header.Get(headerIndex) != strconv.FormatUint(row.Index, 10) || m.Header.Get(headerPrevious) != strconv.FormatUint(previous, 10) {
		return fmt.Errorf("headers %v of entry %d behind %d", m.Header, row.Index, previous)
	}
	if row.Body == nil {
		if m.Header.Get(headerErased) == "" || len(m.Data) != 0 {
			return fmt.Errorf("an erased record's content")
		}
		return nil
	}
	if !bytes.Equal(m.Data, pack(row)) {
		return fmt.Errorf("another content than entry %d", row.Index)
	}
	return nil
}

// readsAll reads a topic from its beginning, or behind a sequence, and compares
// with the journal.
func (s *site) readsAll(b *Bus, topic string, after uint64) {
	s.t.Helper()
	want, err := journal.TopicAfter(s.t.Context(), s.DB.Reader(), journal.Number(topic), after, 1<<20)
	must(s.t, err)
	r := b.Read(topic, s.Partition(topic), after)
	defer r.Close()
	s.reads(r, want)
}

// reads reads as many rows as are wanted, and these.
func (s *site) reads(r *Reader, want []journal.Row) {
	s.t.Helper()
	ctx, cancel := contextFor(s.t)
	defer cancel()
	for len(want) > 0 {
		rows, err := r.Next(ctx, 100)
		if err != nil {
			s.t.Fatalf("%d rows were not read, from sequence %d on: %v", len(want), want[0].Sequence, err)
		}
		for i := range rows {
			if err := sameRow(&rows[i], &want[0]); err != nil {
				s.t.Fatal(err)
			}
			want = want[1:]
		}
	}
}

func sameRow(got, want *journal.Row) error {
	if got.Index != want.Index || got.Sequence != want.Sequence || got.Topic != want.Topic || !bytes.Equal(got.Leaf, want.Leaf) ||
		!bytes.Equal(got.KeyToken, want.KeyToken) || (got.Body == nil) != (want.Body == nil) || !bytes.Equal(got.Body, want.Body) {
		return fmt.Errorf("read entry %d at sequence %d; it is entry %d at %d that comes next", got.Index, got.Sequence, want.Index, want.Sequence)
	}
	return nil
}

// blocks lists the files that hold a partition's messages, oldest first.
func (s *site) blocks(partition int) []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "jetstream", "*", "streams", "HT_RECORDS_"+strconv.Itoa(partition), "msgs", "*.blk"))
	must(s.t, err)
	if len(files) == 0 {
		s.t.Fatal("the server keeps its messages elsewhere")
	}
	sortByNumber(files)
	return files
}
