package journal

import "sync"

// tailBytes bounds how much of what was just committed is kept in memory.
const tailBytes = 16 << 20

// tail keeps the publications just committed by this process, so that the relay
// need not read them back.
type tail struct {
	mu       sync.Mutex
	from, to uint64
	rows     []Row
	bytes    int
}

// add takes what a group committed.
func (t *tail) add(b *batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.to != b.start {
		t.from, t.rows, t.bytes = b.start, nil, 0
	}
	t.to = b.growth.Size()
	if len(b.erasures) > 0 {
		// What was erased must not be relayed from memory.
		t.from, t.rows, t.bytes = t.to, nil, 0
		return
	}
	s := &b.sealedRows
	for i, pos := range s.pos {
		if pos == 0 {
			continue
		}
		r := Row{
			Index: uint64(s.idx[i]), Topic: s.topic[i], Sequence: uint64(pos), KeyToken: s.keyToken[i],
			Leaf: b.ledgerRows.leaf[uint64(s.idx[i])-b.start], Body: s.body[i],
		}
		t.rows = append(t.rows, r)
		t.bytes += len(r.Leaf) + len(r.Body)
	}
	drop := 0
	for ; t.bytes > tailBytes; drop++ {
		t.bytes -= len(t.rows[drop].Leaf) + len(t.rows[drop].Body)
		t.from = t.rows[drop].Index + 1
	}
	// What is cut off goes with the next growth of the slice; till then it holds
	// nothing.
	clear(t.rows[:drop])
	t.rows = t.rows[drop:]
}

// Tail gives the publications from an entry on, if they are still in memory, and
// the index to go on from.
func (j *Journal) Tail(from uint64, limit int) (rows []Row, next uint64, ok bool) {
	t := &j.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if from < t.from || from > t.to {
		return nil, 0, false
	}
	low, high := 0, len(t.rows)
	for low < high {
		if mid := (low + high) / 2; t.rows[mid].Index < from {
			low = mid + 1
		} else {
			high = mid
		}
	}
	rows = t.rows[low:]
	next = t.to
	if len(rows) > limit {
		next = rows[limit].Index
		rows = rows[:limit]
	}
	return append([]Row(nil), rows...), next, true
}
