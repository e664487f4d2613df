package bus

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/journal/journaltest"
)

// stream waits for a partition's stream.
func (s *site) stream(b *Bus, partition int) jetstream.Stream {
	s.t.Helper()
	var at *streamAt
	journaltest.Within(s.t, "the stream is there", func() bool {
		at = b.partitions[partition].stream.Load()
		return at != nil
	})
	return at.stream
}

// state gives what the server says of a partition's stream.
func (s *site) state(b *Bus, partition int) jetstream.StreamState {
	s.t.Helper()
	var state jetstream.StreamState
	journaltest.Within(s.t, "the stream is there", func() bool {
		at := b.partitions[partition].stream.Load()
		if at == nil {
			return false
		}
		info, err := at.stream.Info(s.t.Context())
		if err != nil {
			return false
		}
		state = info.State
		return true
	})
	return state
}

func (b *Bus) incarnation(t *testing.T, partition int) string {
	t.Helper()
	var incarnation string
	journaltest.Within(t, "the stream is there", func() bool {
		at := b.partitions[partition].stream.Load()
		if at == nil {
			return false
		}
		info, err := at.stream.Info(t.Context())
		if err != nil {
			return false
		}
		incarnation = info.Config.Metadata[metaIncarnation]
		return true
	})
	return incarnation
}

// TestDamagedFiles does to the embedded server's files, while it is stopped,
// what disks and operators do. Each stream ends equal to the journal, and readers
// that start before, within and behind the damage miss nothing.
func TestDamagedFiles(t *testing.T) {
	edit := func(t *testing.T, file string, change func([]byte) []byte) {
		t.Helper()
		b, err := os.ReadFile(file)
		must(t, err)
		must(t, os.WriteFile(file, change(b), 0o600))
	}
	flip := func(b []byte) []byte {
		b[len(b)/2] ^= 0x40
		return b
	}
	last := func(files []string) string { return files[len(files)-1] }
	for name, damage := range map[string]func(t *testing.T, s *site){
		"directory lost": func(t *testing.T, s *site) { must(t, os.RemoveAll(filepath.Join(s.dir, "jetstream"))) },
		"last block cut": func(t *testing.T, s *site) {
			edit(t, last(s.blocks(0)), func(b []byte) []byte { return b[:len(b)*2/3] })
		},
		"last block emptied":  func(t *testing.T, s *site) { edit(t, last(s.blocks(0)), func(b []byte) []byte { return nil }) },
		"last block removed":  func(t *testing.T, s *site) { must(t, os.Remove(last(s.blocks(0)))) },
		"first block removed": func(t *testing.T, s *site) { must(t, os.Remove(s.blocks(0)[0])) },
		"middle block removed": func(t *testing.T, s *site) {
			must(t, os.Remove(s.blocks(0)[1]))
		},
		"byte of the first block flipped": func(t *testing.T, s *site) { edit(t, s.blocks(0)[0], flip) },
		"byte of a middle block flipped":  func(t *testing.T, s *site) { edit(t, s.blocks(0)[1], flip) },
		"byte of the last block flipped":  func(t *testing.T, s *site) { edit(t, last(s.blocks(0)), flip) },
		"last byte of everything flipped": func(t *testing.T, s *site) {
			edit(t, last(s.blocks(0)), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		},
		"rubbish behind the last message": func(t *testing.T, s *site) {
			edit(t, last(s.blocks(0)), func(b []byte) []byte { return append(b, "rubbish"...) })
		},
		"state file removed": func(t *testing.T, s *site) {
			must(t, os.Remove(filepath.Join(filepath.Dir(s.blocks(0)[0]), "index.db")))
		},
		"state file removed and block cut": func(t *testing.T, s *site) {
			must(t, os.Remove(filepath.Join(filepath.Dir(s.blocks(0)[0]), "index.db")))
			edit(t, last(s.blocks(0)), func(b []byte) []byte { return b[:len(b)/2] })
		},
		"stream's description garbled": func(t *testing.T, s *site) {
			edit(t, filepath.Join(filepath.Dir(filepath.Dir(s.blocks(0)[0])), "meta.inf"), flip)
		},
		"all messages lost": func(t *testing.T, s *site) { must(t, os.RemoveAll(filepath.Dir(s.blocks(0)[0]))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 1)
			b := s.open()
			s.publish(350, 60<<10)
			s.sameAsJournal(b)
			b.Close()
			if n := len(s.blocks(0)); n < 3 {
				t.Fatalf("%d blocks are too few to damage one in the middle", n)
			}
			damage(t, s)
			s.publish(5, 100) // what the damaged stream has not seen
			b = s.open()
			early := b.Read(topicA, 0, 0)
			defer early.Close()
			want, err := journal.TopicAfter(t.Context(), s.DB.Reader(), journal.Number(topicA), 0, 1<<20)
			must(t, err)
			s.reads(early, want)
			s.sameAsJournal(b)
			s.publish(5, 100)
			s.sameAsJournal(b)
			s.readsAll(b, topicA, 100)
			s.readsAll(b, topicB, 0)
		})
	}
}

// TestHoles: a message that goes from the running stream is missed by a reader,
// who reads on from the journal, and by the next comparison; then it is healed.
func TestHoles(t *testing.T) {
	s := newSite(t, 1)
	b := s.open()
	s.publish(100, 100)
	s.sameAsJournal(b)
	for _, gone := range []uint64{1, 50, 100} {
		must(t, s.stream(b, 0).DeleteMsg(t.Context(), gone))
		s.readsAll(b, topicA, 0)
		b.partitions[0].distrust(0)
		s.sameAsJournal(b)
	}
	// The reader's complaint is enough.
	must(t, s.stream(b, 0).DeleteMsg(t.Context(), 40))
	s.readsAll(b, topicA, 0)
	s.readsAll(b, topicB, 0)
	s.sameAsJournal(b)
}

// TestADoubtAboutAllIsNotLost: it takes the place of one about a message, and is not
// given up for one.
func TestADoubtAboutAllIsNotLost(t *testing.T) {
	p := newPartition(nil, 0)
	for _, doubts := range [][]uint64{{7, 0}, {0, 7}, {0, 0}} {
		for _, sequence := range doubts {
			p.distrust(sequence)
		}
		if got := <-p.suspect; got != 0 || len(p.suspect) != 0 {
			t.Errorf("of the doubts %v that about %d is left", doubts, got)
		}
	}
}

// TestGarbledMessage: a message in place of another is noticed by its reader.
func TestGarbledMessage(t *testing.T) {
	s := newSite(t, 1)
	b := s.open()
	s.publish(20, 100)
	s.sameAsJournal(b)
	p := b.partitions[0]
	js, err := jetstream.New(b.conn)
	must(t, err)
	_, err = js.PublishMsg(t.Context(), &nats.Msg{Subject: p.prefix() + topicA + ".7", Data: []byte("\x00\x01rubbish")})
	must(t, err)
	// The relay meets it with its next record.
	s.publish(3, 100)
	s.readsAll(b, topicA, 0)
	s.sameAsJournal(b)
}

// TestStreamOfAnotherPast: the stream is ahead of a restored journal, or as long
// and of other records, or shorter and of other records: it is made anew.
func TestStreamOfAnotherPast(t *testing.T) {
	for name, n := range map[string]int{"empty": 0, "shorter": 30, "as long": 60, "longer": 90} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 1)
			b := s.open()
			s.publish(60, 100)
			s.sameAsJournal(b)
			b.Close()
			restored := &site{Ledger: s.Twin(), t: t, dir: s.dir}
			restored.publish(n, 90)
			b = restored.open()
			restored.sameAsJournal(b)
			if b.incarnation(t, 0) != "2" {
				t.Fatal("incarnation", b.incarnation(t, 0))
			}
			restored.publish(40, 80)
			restored.sameAsJournal(b)
			restored.readsAll(b, topicA, 0)
		})
	}
}

// TestForeignStream: a stream of another ledger is refused and not touched;
// readers read the journal.
func TestForeignStream(t *testing.T) {
	s := newSite(t, 1)
	b := s.open()
	s.publish(20, 100)
	s.sameAsJournal(b)
	b.Close()
	foreign := &site{Ledger: journaltest.New(t, 1), t: t, dir: s.dir}
	foreign.publish(30, 100)
	b = foreign.open()
	foreign.readsAll(b, topicA, 0)
	foreign.publish(5, 100)
	foreign.readsAll(b, topicB, 0)
	if b.Ready() {
		t.Fatal("another ledger's stream is used")
	}
	b.Close()
	b = s.open()
	s.sameAsJournal(b)
	if b.incarnation(t, 0) != "1" {
		t.Fatal("the foreign exchange touched the stream")
	}
}
