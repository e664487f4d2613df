package bus

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/journal/journaltest"
	"github.com/huitong-bus/huitong/exchange/store"
)

// external is a NATS that several processes share.
type external struct {
	t      *testing.T
	dir    string
	port   int
	room   int64 // bytes that it may store
	server *server.Server
}

func newExternal(t *testing.T) *external { return newExternalWith(t, 1<<40) }

func newExternalWith(t *testing.T, room int64) *external {
	t.Helper()
	e := &external{t: t, dir: t.TempDir(), port: server.RANDOM_PORT, room: room}
	e.start()
	u, err := url.Parse(e.server.ClientURL())
	must(t, err)
	e.port, err = strconv.Atoi(u.Port())
	must(t, err)
	t.Cleanup(func() { e.stop() })
	return e
}

func (e *external) start() {
	e.t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: e.port, JetStream: true, StoreDir: e.dir, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
		JetStreamMaxStore: e.room, JetStreamMaxMemory: 64 << 20,
	})
	must(e.t, err)
	go s.Start()
	if !s.ReadyForConnections(journaltest.Patience) {
		e.t.Fatal("NATS does not come up")
	}
	e.server = s
}

func (e *external) stop() {
	e.server.Shutdown()
	e.server.WaitForShutdown()
}

// at opens a bus of one process on the shared NATS.
func (s *site) at(e *external, instance string, j *journal.Journal) *Bus {
	s.t.Helper()
	return s.open(func(c *Config) { c.URL, c.Instance, c.Journal, c.Dir = e.server.ClientURL(), instance, j, "" })
}

// TestTwoProcesses: two processes publish to one database and share one NATS; one
// of them relays at a time, and the other goes on when it stops.
func TestTwoProcesses(t *testing.T) {
	s, e := newSite(t, 2), newExternal(t)
	other := s.Open()
	a, b := s.at(e, "a", s.Journal), s.at(e, "b", other)
	var all sync.WaitGroup
	for n, j := range []*journal.Journal{s.Journal, other} {
		all.Go(func() {
			for i := range 60 {
				call := journaltest.CallOf(fmt.Sprint(journaltest.Provider, n), s.Put(topicA, fmt.Sprint(i%9), "x"), s.Put(topicB, fmt.Sprint(n, i), "y"))
				if _, err := j.Submit(t.Context(), call); err != nil {
					t.Error(err)
				}
			}
		})
	}
	// A reader at each, from the beginning, while all that goes on.
	for _, bus := range []*Bus{a, b} {
		all.Go(func() {
			ctx, cancel := contextFor(t)
			defer cancel()
			r := bus.Read(topicB, s.Partition(topicB), 0)
			defer r.Close()
			for n := 0; n < 120; {
				rows, err := r.Next(ctx, 50)
				if err != nil {
					t.Error(n, err)
					return
				}
				n += len(rows)
			}
		})
	}
	all.Wait()
	s.sameAsJournal(a)
	s.sameAsJournal(b)
	a.Close()
	s.publish(20, 100)
	s.sameAsJournal(b)
	s.readsAll(b, topicA, 0)
	// Another takes the place of the first, and the second goes.
	c := s.at(e, "c", s.Journal)
	s.publish(20, 100)
	b.Close()
	s.publish(20, 100)
	s.sameAsJournal(c)
	s.readsAll(c, topicB, 0)
}

// TestLeaseOfADeadProcess: the lease that a dead process left runs out, and its
// place is taken; meanwhile readers read the journal.
func TestLeaseOfADeadProcess(t *testing.T) {
	s, e := newSite(t, 1), newExternal(t)
	must(t, s.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO relay_leases (part, holder, until) VALUES (0, 'dead', $1)", time.Now().Add(leaseFor).UnixMicro())
		return err
	}))
	s.publish(20, 100)
	b := s.at(e, "b", s.Journal)
	s.readsAll(b, topicA, 0)
	s.sameAsJournal(b)
}

// TestFollowerNoticesDamage: a message that a reader elsewhere misses is made
// good by whoever holds the lease.
func TestFollowerNoticesDamage(t *testing.T) {
	s, e := newSite(t, 1), newExternal(t)
	a := s.at(e, "a", s.Journal)
	s.publish(30, 100)
	s.sameAsJournal(a)
	b := s.at(e, "b", s.Open())
	s.sameAsJournal(b)
	must(t, s.stream(a, 0).DeleteMsg(t.Context(), 10))
	s.readsAll(b, topicA, 0)
	s.readsAll(b, topicB, 0)
	s.sameAsJournal(a)
	s.sameAsJournal(b)
}

// TestTwoRelaysAtOnce: safety does not rest on the lease. Two that both think
// they hold it refuse each other's messages, and the stream stays a copy.
func TestTwoRelaysAtOnce(t *testing.T) {
	s, e := newSite(t, 1), newExternal(t)
	a, b := s.at(e, "", s.Journal), s.at(e, "", s.Journal)
	for range 20 {
		s.publish(10, 100)
	}
	s.sameAsJournal(a)
	s.sameAsJournal(b)
	s.readsAll(a, topicA, 0)
	s.readsAll(b, topicB, 0)
	if n := a.incarnation(t, 0); n != "1" {
		t.Fatalf("the stream was made anew: incarnation %s", n)
	}
}

// TestNATSGoesAndComes: without NATS readers get everything from the journal, and
// when it is there again, with its data or without, its streams are made good.
func TestNATSGoesAndComes(t *testing.T) {
	s, e := newSite(t, 2), newExternal(t)
	b := s.at(e, "", s.Journal)
	s.publish(30, 100)
	s.sameAsJournal(b)
	r := b.Read(topicA, s.Partition(topicA), 0)
	defer r.Close()
	on := func() {
		t.Helper()
		want, err := journal.TopicAfter(t.Context(), s.DB.Reader(), journal.Number(topicA), r.Last(), 1000)
		must(t, err)
		s.reads(r, want)
	}
	on()
	for _, lost := range []bool{false, true} {
		e.stop()
		s.publish(30, 100)
		on()
		if lost {
			e.dir = t.TempDir()
		}
		e.start()
		s.publish(30, 100)
		on()
		s.sameAsJournal(b)
		s.readsAll(b, topicB, 0)
	}
}
