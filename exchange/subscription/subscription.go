// Package subscription delivers a topic's records to those who subscribed.
//
// A subscription reads its topic as a log. Its positions are rows and nothing
// else: it has one or more lanes, ranges of the 256 buckets that records are
// dealt by, and a lane's row says up to where the lane was looked at and what of
// that is not settled. A lane is held by one member at a time; each new holder
// has a larger epoch, and whatever an earlier holder still tries to write finds
// that its epoch has passed.
//
// What it promises:
//   - Nothing leaves before the ledger entry that says so is committed, under
//     the policy in force at that very commit.
//   - Each record is delivered until it is acknowledged or is a dead letter; an
//     acknowledgement counts once it is confirmed, and never comes undone.
//   - Versions of one record come one after the other: while one is not settled,
//     later ones wait and other records go on. A dead letter frees its record.
//   - Members share the lanes; the lanes of a member that ends, or of a process
//     that dies, go to the others.
//
// Positions outlive JetStream: a reader takes from the journal what the stream
// does not have.
package subscription

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/bus"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/release"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Refuser commits the entry of a denial before the caller hears of it.
type Refuser interface {
	Refuse(ctx context.Context, r access.Request, d access.Decision) error
}

// Index finds the records that a subject has. It follows the ledger by a moment.
type Index interface {
	// Wait returns once the index has followed the ledger to a size.
	Wait(ctx context.Context, size uint64) error
	// RecordsOfSubject gives the tokens of records of a topic whose present
	// payload names the subject, in ascending order behind after; fewer than
	// limit are the last.
	RecordsOfSubject(ctx context.Context, topic string, subject, after []byte, limit int) ([][]byte, error)
}

// Cases says how cases stand.
type Cases interface {
	// Standing answers, in the order asked, for cases of a participant by their
	// numbers, each with a subject that it may name. It reads in the transaction
	// of what rests on the answer.
	Standing(ctx context.Context, tx store.Tx, participant string, numbers []string, subjects []*ledgerv1.Subject) ([]access.CaseFacts, error)
}

// Config is what subscriptions need.
type Config struct {
	DB        *store.DB
	Journal   *journal.Journal
	Bus       *bus.Bus
	Catalogue *catalog.Catalogue
	Policy    *access.Policy
	Refusals  Refuser
	Keyring   *identity.Keyring
	// Marks knows which records are disputed; none if nil.
	Marks release.Marks
	// Index and Cases serve enrolment.
	Index Index
	Cases Cases
	// Instance names this process among those that share the database; empty
	// where it has the database for itself.
	Instance string
	// Lease is how long the members of a process that died keep their lanes;
	// DefaultLease if 0.
	Lease time.Duration
	// Idle is how long a topic is quiet before its readers let their consumers
	// go; DefaultIdle if 0.
	Idle  time.Duration
	Log   *slog.Logger
	Clock func() time.Time
}

const (
	// DefaultLease is longer than a process stands still in a bad moment.
	DefaultLease = 6 * time.Second
	// DefaultIdle is far more than opening a consumer anew costs.
	DefaultIdle = 10 * time.Second
)

// Manager serves the subscriptions of this process.
type Manager struct {
	Config
	instance string
	began    chan struct{} // closed once the lease is written
	cutter   release.Cutter
	cover    coverer
	dormant  dormant

	mu       sync.Mutex
	sessions map[string]map[*session]struct{}
	closing  bool
	running  sync.WaitGroup  // sessions
	ctx      context.Context // ends with the manager
	stop     context.CancelFunc
	done     sync.WaitGroup
}

// Sink takes what a member is sent. One goroutine calls it.
type Sink interface {
	Send(*exchangev1.SubscribeResponse) error
}

// Open starts the subscriptions.
func Open(c Config) *Manager {
	if c.Lease == 0 {
		c.Lease = DefaultLease
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	m := &Manager{Config: c, instance: randomName(), began: make(chan struct{}), sessions: map[string]map[*session]struct{}{}}
	m.cutter = release.Cutter{Sealer: c.Keyring, Origin: c.Journal.Head().Origin, Clock: c.Clock, Marks: c.Marks}
	m.cover.init()
	m.dormant.init()
	ctx, stop := context.WithCancel(context.Background())
	m.ctx, m.stop = ctx, stop
	m.done.Go(func() { m.keepLease(ctx) })
	m.done.Go(func() { m.runCover(ctx) })
	m.done.Go(func() { m.wakeDormant(ctx) })
	return m
}

// Close ends every stream as unavailable, gives the lanes back and covers what
// was acknowledged. The journal must still be open. ctx bounds it.
func (m *Manager) Close(ctx context.Context) {
	m.mu.Lock()
	m.closing = true
	for _, of := range m.sessions {
		for s := range of {
			s.end(errStopping())
		}
	}
	m.mu.Unlock()
	left := make(chan struct{})
	go func() { m.running.Wait(); close(left) }()
	select {
	case <-left:
	case <-ctx.Done():
	}
	m.stop()
	m.done.Wait()
	m.coverAll(ctx)
	m.endLease(ctx)
}

// now is the time in µs UTC.
func (m *Manager) now() int64 { return m.Clock().UnixMicro() }

func randomName() string {
	b := make([]byte, 10)
	// crypto/rand does not fail (Go 1.24 and later end the process instead).
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// add makes a session known; false once the manager is closing.
func (m *Manager) add(s *session) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return false
	}
	if m.sessions[s.id] == nil {
		m.sessions[s.id] = map[*session]struct{}{}
	}
	m.sessions[s.id][s] = struct{}{}
	m.running.Add(1)
	return true
}

func (m *Manager) remove(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions[s.id], s)
	if len(m.sessions[s.id]) == 0 {
		delete(m.sessions, s.id)
	}
	m.running.Done()
}

// touched tells the sessions of a subscription here that it changed.
func (m *Manager) touched(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.sessions[id] {
		s.ring()
	}
}

// touch notes in a transaction that a subscription changed, for other processes.
func touch(ctx context.Context, tx store.Tx, id string) error {
	var n int64
	if err := tx.QueryRowContext(ctx, "UPDATE subscription_changes SET n = n + 1 WHERE id = 1 RETURNING n").Scan(&n); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "UPDATE subscriptions SET changed = $1 WHERE id = $2", n, id)
	return err
}
