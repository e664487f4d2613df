package correction

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

// Marks knows which records are disputed. Looking a record up costs nothing where
// its topic has no open dispute. The zero value knows of none; it is safe for
// concurrent use.
type Marks struct {
	now atomic.Pointer[marks]
	// reading lets one at a time read what changed.
	reading sync.Mutex
}

// marks are the disputed records of one moment.
type marks struct {
	// changed is the entry that changed a dispute last.
	changed uint64
	// topics has the disputed fields of each record, by topic and key token; nil is
	// the record as a whole.
	topics map[int64]map[string][]uint32
}

// Disputed says whether a record of a topic is disputed, and which of its fields,
// ascending; none is the record as a whole.
func (m *Marks) Disputed(topic string, keyToken []byte) (disputed bool, fields []uint32) {
	if m == nil {
		return false, nil
	}
	now := m.now.Load()
	if now == nil || len(now.topics) == 0 {
		return false, nil
	}
	records := now.topics[journal.Number(topic)]
	if len(records) == 0 {
		return false, nil
	}
	fields, disputed = records[string(keyToken)]
	return disputed, fields
}

// refresh reads the open disputes, if any changed since they were read last.
func (m *Marks) refresh(ctx context.Context, tx store.Tx) error {
	m.reading.Lock()
	defer m.reading.Unlock()
	next := &marks{topics: map[int64]map[string][]uint32{}}
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(changed), 0) FROM disputes").Scan(&next.changed); err != nil {
		return err
	}
	if now := m.now.Load(); now != nil && now.changed == next.changed {
		return nil
	}
	rows, err := tx.QueryContext(ctx, "SELECT topic, key_token, fields FROM disputes WHERE state = 1 AND key_token IS NOT NULL")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var topic string
		var token, fields []byte
		if err := rows.Scan(&topic, &token, &fields); err != nil {
			return err
		}
		next.add(journal.Number(topic), string(token), unpackFields(fields))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	m.now.Store(next)
	return nil
}

// add adds a dispute to those of its record: together they are about all that any
// is about.
func (m *marks) add(topic int64, token string, fields []uint32) {
	records := m.topics[topic]
	if records == nil {
		records = map[string][]uint32{}
		m.topics[topic] = records
	}
	if known, disputed := records[token]; disputed && (len(known) == 0 || len(fields) == 0) {
		fields = nil
	} else if disputed {
		fields = append(slices.Clone(known), fields...)
	}
	slices.Sort(fields)
	records[token] = slices.Compact(fields)
}
