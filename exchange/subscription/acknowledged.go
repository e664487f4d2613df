package subscription

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	// coverEvery is how often an entry covers a subscription's new
	// acknowledgements, at most.
	coverEvery = time.Second
	// coverBytes bounds what one entry covers.
	coverBytes = 2 << 20
)

// coverer knows whose acknowledgements no entry covers yet.
type coverer struct {
	mu   sync.Mutex
	due  map[string]struct{}
	wake chan struct{}
}

func (c *coverer) init() { c.due, c.wake = map[string]struct{}{}, make(chan struct{}, 1) }

func (c *coverer) add(ids ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		c.due[id] = struct{}{}
	}
	if len(c.due) > 0 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

func (c *coverer) take() map[string]struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	due := c.due
	c.due = map[string]struct{}{}
	return due
}

// runCover covers acknowledgements once a second, beginning with what an earlier
// run left.
func (m *Manager) runCover(ctx context.Context) {
	m.persist(ctx, "what was acknowledged could not be read", func(ctx context.Context) error {
		left, err := instances(ctx, m.DB.Reader(), "SELECT DISTINCT subscription FROM acknowledgements")
		m.cover.add(left...)
		return err
	})
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.cover.wake:
		}
		m.coverAll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(coverEvery):
		}
	}
}

// coverAll covers what is due. What cannot be written now is due again.
func (m *Manager) coverAll(ctx context.Context) {
	type begun struct {
		id   string
		p    *journal.Pending
		more *bool
	}
	var all []begun
	for id := range m.cover.take() {
		more := new(bool)
		p, err := m.Journal.Begin(ctx, m.coverCall(id, more))
		if err != nil {
			m.cover.add(id)
			continue
		}
		all = append(all, begun{id, p, more})
	}
	for _, b := range all {
		if _, err := b.p.Wait(ctx); err != nil || *b.more {
			m.cover.add(b.id)
			if err != nil && ctx.Err() == nil {
				m.Log.Warn("acknowledgements are not covered yet", "subscription", b.id, "error", err)
			}
		}
	}
}

// coverCall makes the call that covers a subscription's acknowledgements, unless
// another process did within the second.
func (m *Manager) coverCall(id string, more *bool) *journal.Call {
	return &journal.Call{Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) (entries []journal.Entry, err error) {
		*more = false
		s, err := load(ctx, tx, id)
		if err != nil || s == nil {
			return nil, err
		}
		if s.received > slot.At-coverEvery.Microseconds() {
			*more = true
			return nil, nil
		}
		t, err := m.topicOf(s)
		if err != nil {
			return nil, err
		}
		if entries, *more, err = received(ctx, tx, s, t.Provider); err != nil || len(entries) == 0 {
			return nil, err
		}
		_, err = tx.ExecContext(ctx, "UPDATE subscriptions SET received = $1 WHERE id = $2", slot.At, id)
		return entries, err
	}}
}

// received makes the entry that covers the oldest acknowledgements, whose
// openings move from their rows into the entry's.
func received(ctx context.Context, tx store.Tx, s *standing, provider string) (entries []journal.Entry, more bool, err error) {
	raw, last, more, err := uncovered(ctx, tx, s.id)
	if err != nil || len(raw) == 0 {
		return nil, false, err
	}
	rows, err := lanes(ctx, tx, s.id)
	if err != nil {
		return nil, false, err
	}
	hashes := make([][verify.HashSize]byte, len(raw))
	body := &ledgerv1.AcknowledgementsReceived{
		Subscription: s.id, Topic: s.topic, Provider: provider, Consumer: s.system,
		Floor: floorOfLanes(rows), Acknowledgements: uint32(len(raw)),
	}
	var one ledgerv1.Acknowledgement
	for i, b := range raw {
		hashes[i] = verify.LeafHash(b)
		if err := proto.Unmarshal(b, &one); err != nil {
			return nil, false, err
		}
		body.Records += uint64(len(one.Sequences) - len(one.Uncounted))
	}
	root := verify.Root(hashes)
	body.Root = root[:]
	if _, err := tx.ExecContext(ctx, "DELETE FROM acknowledgements WHERE subscription = $1 AND n <= $2", s.id, last); err != nil {
		return nil, false, err
	}
	return []journal.Entry{{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: s.system, ActorCertificate: one.Certificate, Body: &ledgerv1.LedgerEntry_Received{Received: body},
		},
		Opening: &ledgerv1.ReadOpening{Acknowledgements: raw},
	}}, more, nil
}

// keepAcknowledgement keeps an acknowledgement until an entry covers it.
func keepAcknowledgement(ctx context.Context, tx store.Tx, id string, body []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO acknowledgements (subscription, n, body)
		VALUES ($1, (SELECT coalesce(max(n), 0) + 1 FROM acknowledgements WHERE subscription = $1), $2)`, id, body)
	return err
}

// uncovered reads the oldest acknowledgements that no entry covers.
func uncovered(ctx context.Context, tx store.Tx, id string) (raw [][]byte, last int64, more bool, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT n, body FROM acknowledgements WHERE subscription = $1 ORDER BY n", id)
	if err != nil {
		return nil, 0, false, err
	}
	defer rows.Close()
	size := 0
	for rows.Next() {
		if size > coverBytes {
			return raw, last, true, nil
		}
		var body []byte
		if err := rows.Scan(&last, &body); err != nil {
			return nil, 0, false, err
		}
		raw, size = append(raw, body), size+len(body)
	}
	return raw, last, false, rows.Err()
}
