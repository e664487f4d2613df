package subscription

import (
	"container/heap"
	"slices"

	"github.com/huitong-bus/huitong/exchange/bus"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
)

// state is where a delivery is on its way.
type state uint8

const (
	// waiting: an earlier version of its record is not settled.
	waiting state = iota
	// ready to be put into the next release.
	ready
	// delayed until it is due.
	delayed
	// prepared is part of a release that is not committed yet.
	prepared
	// flying: sent, and not settled.
	flying
	// gone: settled, or no longer this member's.
	gone
)

// item is a delivery that is not settled.
type item struct {
	sequence uint64
	// key names the record within the topic.
	key   string
	index uint64 // of its entry
	lane  *lane
	state state
	// late: it comes beside what its lane reads: a dead letter once more, or what
	// is owed.
	late bool
	// owed: it settles an arrear.
	owed     bool
	enrolled int64 // the entry that it is owed for
	attempts uint32
	due      int64
	// row is what is to be sent; nil where it must be read from the journal.
	row *journal.Row
	// detail is the detail hash of the newest attempt, before of that before.
	detail, before [verify.HashSize]byte
	size           uint64
	flight         *flight
	place          int // in its flight
	// next is the next version of the same record that waits; the first of them
	// knows the last.
	next, last *item
}

// lane is a lane that this member holds.
type lane struct {
	number uint32
	epoch  int64
	// seen is the sequence up to which the lane was looked at; in the row it may
	// be less.
	seen, written uint64
	// high is the last sequence that was ever dealt with: what is after it and was
	// never sent may be left to be read again.
	high uint64
	// floor is the sequence up to which everything is settled, by the row.
	floor uint64
	// items are in the order of their sequences; those gone are dropped when the
	// row is encoded.
	items []*item
	count int
	// flying counts what is prepared or flying.
	flying int
	// dirty: the row does not say all that must be known of the lane.
	dirty bool
	// full: it reads on only when some of it is settled.
	full bool
	// leaving: it is given back once nothing of it is under way, or at that time.
	leaving int64
	// lost: the lane has another holder, or none; what was settled of it and is
	// not committed does not count.
	lost bool
}

// queues holds what a session knows of deliveries that are not settled.
type queues struct {
	lanes   map[uint32]*lane
	items   map[uint64]*item
	records map[string]*item
	// inOrder: deliveries go in the order of their sequences, and none waits for
	// another of its record.
	inOrder bool
	ready   []*item
	delayed delays
	// kept is the size of what is kept in memory for items that cannot go yet.
	kept int
}

func newQueues() queues {
	return queues{lanes: map[uint32]*lane{}, items: map[uint64]*item{}, records: map[string]*item{}}
}

// maxKept bounds what is kept in memory of waiting items; beyond, they are read
// from the journal once more.
const maxKept = 4 << 20

// add takes in a delivery. Of each record, the first goes and others wait.
func (q *queues) add(it *item) {
	q.items[it.sequence] = it
	it.lane.insert(it)
	if q.inOrder {
		q.goOn(it)
		return
	}
	head := q.records[it.key]
	if head == nil {
		q.records[it.key] = it
		it.last = it
		q.goOn(it)
		return
	}
	it.state = waiting
	head.last.next = it
	head.last = it
	q.keep(it)
}

// precede takes in a delivery that goes before the later versions of its record
// that are not under way.
func (q *queues) precede(it *item) {
	head := q.records[it.key]
	if q.inOrder || head == nil {
		q.add(it)
		return
	}
	q.items[it.sequence] = it
	it.lane.insert(it)
	if head.sequence > it.sequence && (head.state == ready || head.state == delayed) {
		// What is left of it among the ready or delayed is passed over there.
		head.state = waiting
		q.keep(head)
		it.next, it.last, head.last = head, head.last, nil
		q.records[it.key] = it
		q.goOn(it)
		return
	}
	it.state = waiting
	at := head
	for at.next != nil && at.next.sequence < it.sequence {
		at = at.next
	}
	if it.next, at.next = at.next, it; it.next == nil {
		head.last = it
	}
}

// keep counts what a waiting item keeps in memory.
func (q *queues) keep(it *item) {
	if it.row == nil {
		return
	}
	if q.kept += len(it.row.Body); q.kept > maxKept {
		q.kept -= len(it.row.Body)
		it.row = nil
	}
}

// insert keeps the items in order: nearly always at the end.
func (l *lane) insert(it *item) {
	l.count++
	i := len(l.items)
	for i > 0 && l.items[i-1].sequence > it.sequence {
		i--
	}
	l.items = append(l.items, nil)
	copy(l.items[i+1:], l.items[i:])
	l.items[i] = it
}

// behind says whether a delivery waits for one of its record that is under way.
func (q *queues) behind() bool {
	for _, head := range q.records {
		if head.next != nil && head.state == flying {
			return true
		}
	}
	return false
}

// goOn makes an item ready, now or when it is due. Where none waits for another,
// what is owed goes before what was read ahead of it.
func (q *queues) goOn(it *item) {
	if it.due != 0 {
		it.state = delayed
		heap.Push(&q.delayed, it)
		return
	}
	it.state = ready
	at := len(q.ready)
	for q.inOrder && at > 0 && q.ready[at-1].sequence > it.sequence {
		at--
	}
	q.ready = slices.Insert(q.ready, at, it)
}

// delay lets an item be sent again at a time.
func (q *queues) delay(it *item, due int64) {
	it.lane.dirty = true
	it.due = due
	q.goOn(it)
}

// release makes ready what is due.
func (q *queues) releaseDue(now int64) {
	for len(q.delayed) > 0 && q.delayed[0].due <= now {
		it := heap.Pop(&q.delayed).(*item)
		if it.state != delayed {
			continue
		}
		it.due, it.state = 0, ready
		q.ready = append(q.ready, it)
	}
}

// settle removes an item and lets the next version of its record go.
func (q *queues) settle(it *item) {
	it.state = gone
	it.lane.count--
	it.lane.dirty = true
	it.land()
	delete(q.items, it.sequence)
	next := it.next
	if next == nil {
		delete(q.records, it.key)
		return
	}
	next.last = it.last
	q.records[it.key] = next
	it.next = nil
	if next.row != nil {
		q.kept -= len(next.row.Body)
	}
	q.goOn(next)
}

// lane finds the lane of a record; nil if this member does not hold it.
func (q *queues) lane(keyToken []byte, lanes uint32) *lane {
	return q.lanes[bus.Lane(keyToken, lanes)]
}

// through gives the sequence that the row is to name as seen, and how many of
// the items it has to hold. What was never sent and lies behind all that was
// dealt with is left out: it is read again from there.
func (l *lane) through() (seen uint64, held int) {
	seen, held = l.seen, len(l.items)
	for held > 0 {
		it := l.items[held-1]
		if it.state != gone {
			if it.late && it.owed && it.attempts == 0 && it.due == 0 {
				held-- // it has a row of its own
				continue
			}
			if it.sequence <= l.high || it.attempts > 0 || it.due != 0 || it.late {
				break
			}
			seen = it.sequence - 1
		}
		held--
	}
	return seen, held
}

// encode gives the lane's row.
func (l *lane) encode() laneWrite {
	kept := l.items[:0]
	for _, it := range l.items {
		if it.state != gone {
			kept = append(kept, it)
		}
	}
	clear(l.items[len(kept):])
	l.items = kept
	seen, held := l.through()
	set := make([]unsettled, 0, held)
	for _, it := range kept[:held] {
		if it.sequence > seen {
			continue // owed, and ahead of what the lane has read
		}
		set = append(set, unsettled{sequence: it.sequence, attempts: it.attempts, due: it.due, late: it.late, owed: it.owed})
	}
	return laneWrite{lane: l, seen: seen, floor: floorOf(seen, set), row: encodeRow(seen, set)}
}

// lags says whether the row is behind what the lane has seen.
func (l *lane) lags() bool {
	if l.dirty || l.written >= l.seen {
		return l.dirty
	}
	seen, _ := l.through()
	return l.written < seen
}

// delays is a heap of items by the time they are due.
type delays []*item

func (d delays) Len() int           { return len(d) }
func (d delays) Less(i, j int) bool { return d[i].due < d[j].due }
func (d delays) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }

// Push is for container/heap.
func (d *delays) Push(x any) { *d = append(*d, x.(*item)) }

// Pop is for container/heap.
func (d *delays) Pop() any {
	old := *d
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	return it
}
