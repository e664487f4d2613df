package bus

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/huitong-bus/huitong/exchange/journal/journaltest"
)

// logged is a log that a test reads while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// TestNATSWithoutRoom: a stream larger than NATS may store is told once, with
// what to do, however often it is tried; readers read the journal; and a smaller
// one is made.
func TestNATSWithoutRoom(t *testing.T) {
	s, e := newSite(t, 1), newExternalWith(t, 1<<30)
	s.publish(20, 100)
	log := &logged{}
	b := s.open(func(c *Config) {
		c.URL, c.Dir, c.Log = e.server.ClientURL(), "", slog.New(slog.NewTextHandler(log, nil))
	})
	journaltest.Within(t, "advice", func() bool { return log.count("cannot set 8192 MiB aside") > 0 && log.count("--stream-bytes") > 0 })
	s.readsAll(b, topicA, 0)
	b.Close()
	if n := log.count("msg=relay"); n != 1 {
		t.Errorf("told %d times", n)
	}
	s.sameAsJournal(s.open(func(c *Config) { c.URL, c.Dir, c.MaxBytes = e.server.ClientURL(), "", 64<<20 }))
}

// TestTroubleIsToldOnce: what goes on is not logged at every try, what is new is.
func TestTroubleIsToldOnce(t *testing.T) {
	log := &logged{}
	p := &partition{bus: &Bus{Config: Config{Log: slog.New(slog.NewTextHandler(log, nil))}}}
	for _, trouble := range []string{"one", "one", "one", "two", "two", "one"} {
		p.warn(errors.New(trouble))
	}
	if one, two := log.count("error=one"), log.count("error=two"); one != 2 || two != 1 {
		t.Errorf("told %d and %d times", one, two)
	}
}

// TestLimitsOfAStreamChange: an exchange that is started with other limits gives
// them to the stream that is there, and to what is in it.
func TestLimitsOfAStreamChange(t *testing.T) {
	s, e := newSite(t, 1), newExternal(t)
	s.publish(50, 100)
	of := func(limit int64) *Bus {
		return s.open(func(c *Config) { c.URL, c.Dir, c.MaxBytes = e.server.ClientURL(), "", limit })
	}
	for _, limit := range []int64{64 << 20, 32 << 20, 128 << 20} {
		b := of(limit)
		s.sameAsJournal(b)
		info, err := b.partitions[0].stream.Load().stream.Info(t.Context())
		must(t, err)
		if info.Config.MaxBytes != limit {
			t.Errorf("the stream may have %d bytes, not %d", info.Config.MaxBytes, limit)
		}
		if made := info.Config.Metadata[metaIncarnation]; made != "1" {
			t.Errorf("made anew: incarnation %s", made)
		}
		b.Close()
	}
}
