package subscription

import (
	"context"
	"sync"
	"time"

	"github.com/huitong-bus/huitong/exchange/journal"
)

// dormant knows the topics on which nothing happens and somebody waits: their
// readers hold no consumer, and one look at what was committed wakes them.
type dormant struct {
	mu     sync.Mutex
	topics map[int64]chan struct{}
	wake   chan struct{}
}

func (d *dormant) init() { d.topics, d.wake = map[int64]chan struct{}{}, make(chan struct{}, 1) }

// wait gives a channel that is closed once a record of the topic is committed.
func (d *dormant) wait(topic int64) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.topics[topic]
	if c == nil {
		c = make(chan struct{})
		d.topics[topic] = c
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	return c
}

func (d *dormant) woken(topic int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.topics[topic]; c != nil {
		close(c)
		delete(d.topics, topic)
	}
}

func (d *dormant) wakeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for topic, c := range d.topics {
		close(c)
		delete(d.topics, topic)
	}
}

func (d *dormant) empty() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.topics) == 0
}

// lookPage is how many publications are looked at at once.
const lookPage = 1000

// wakeDormant looks at what is committed, as long as anybody sleeps.
func (m *Manager) wakeDormant(ctx context.Context) {
	from := m.Journal.Head().Size
	for ctx.Err() == nil {
		if m.dormant.empty() {
			select {
			case <-ctx.Done():
				return
			case <-m.dormant.wake:
			}
			// Whoever sleeps looked for itself after it lay down.
			from = min(from, m.Journal.Head().Size)
		}
		changed := m.Journal.Changed()
		next, err := m.lookAt(ctx, from)
		if err != nil && ctx.Err() == nil {
			m.Log.Warn("subscriptions: what was committed could not be read", "error", err)
			m.dormant.wakeAll()
		}
		if from = next; from < m.Journal.Head().Size && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// lookAt wakes the topics of the publications from an entry on.
func (m *Manager) lookAt(ctx context.Context, from uint64) (next uint64, err error) {
	size := m.Journal.Head().Size
	if from >= size {
		return from, nil
	}
	rows, next, ok := m.Journal.Tail(from, lookPage)
	if !ok || next == from {
		// The tail ends here where another process wrote what follows.
		if size-from > 10*lookPage {
			// Far behind: looking costs more than waking.
			m.dormant.wakeAll()
			return size, nil
		}
		if rows, err = journal.After(ctx, m.DB.Reader(), from, lookPage); err != nil {
			return size, err
		}
		next = size
		if len(rows) == lookPage {
			next = rows[len(rows)-1].Index + 1
		}
	}
	for i := range rows {
		m.dormant.woken(rows[i].Topic)
	}
	return next, nil
}

// feedRows is how many records are read at once.
const feedRows = 256

// feed reads a topic for one session, ahead of it.
type feed struct {
	rows   chan []journal.Row
	cancel context.CancelFunc
}

func (m *Manager) feed(s *session, after uint64) *feed {
	ctx, cancel := context.WithCancel(s.ctx)
	f := &feed{rows: make(chan []journal.Row, 1), cancel: cancel}
	m.done.Go(func() { m.read(ctx, f, s.topic.Name, s.topic.Partition, after) })
	return f
}

func (m *Manager) read(ctx context.Context, f *feed, topic string, partition uint32, after uint64) {
	r := m.Bus.Read(topic, partition, after)
	defer r.Close()
	number := journal.Number(topic)
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, m.Idle)
		rows, err := r.Next(short, feedRows)
		idle := short.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			select {
			case f.rows <- rows:
			case <-ctx.Done():
				return
			}
		case idle:
			r.Close()
			m.sleep(ctx, number, r.Last())
		default:
			m.Log.Warn("a subscription's topic cannot be read", "topic", topic, "error", err)
			select {
			case <-time.After(persistEvery):
			case <-ctx.Done():
			}
		}
	}
}

// sleep waits until the topic has something after a sequence.
func (m *Manager) sleep(ctx context.Context, topic int64, after uint64) {
	woken := m.dormant.wait(topic)
	last, err := journal.SequenceBefore(ctx, m.DB.Reader(), topic, 1<<62)
	if err != nil || last > after {
		return
	}
	select {
	case <-woken:
	case <-ctx.Done():
	}
}
