package sdk

import (
	"slices"
	"sync"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
)

// parcel is a delivery from its arrival until its settlement is confirmed.
type parcel struct {
	Delivery
	// detail is the detail hash of the newest attempt that came: the one an
	// acknowledgement has to name.
	detail [verify.HashSize]byte
	// lane is equal for deliveries of one record.
	lane uint64
	// handled says that the handler is done with it; only its confirmation is
	// still due.
	handled bool
}

// dispatcher hands parcels to workers, those of one record one after the other
// in the order in which they came.
type dispatcher struct {
	mu    sync.Mutex
	more  sync.Cond
	ready []*parcel
	// busy has the records being handled, with what waits behind each.
	busy   map[uint64][]*parcel
	closed bool
}

func newDispatcher() *dispatcher {
	d := &dispatcher{busy: map[uint64][]*parcel{}}
	d.more.L = &d.mu
	return d
}

// put adds a parcel.
func (d *dispatcher) put(p *parcel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if waiting, busy := d.busy[p.lane]; busy {
		d.busy[p.lane] = append(waiting, p)
		return
	}
	d.busy[p.lane] = nil
	d.ready = append(d.ready, p)
	d.more.Signal()
}

// take waits for the next parcels, at most n, no two of one record; nil when the
// dispatcher is closed.
func (d *dispatcher) take(n int) []*parcel {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.ready) == 0 && !d.closed {
		d.more.Wait()
	}
	if d.closed {
		return nil
	}
	n = min(n, len(d.ready))
	taken := slices.Clone(d.ready[:n])
	clear(d.ready[:n])
	d.ready = d.ready[n:]
	return taken
}

// done lets the next parcel of the same record go on.
func (d *dispatcher) done(p *parcel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	waiting := d.busy[p.lane]
	if len(waiting) == 0 {
		delete(d.busy, p.lane)
		return
	}
	d.busy[p.lane] = waiting[1:]
	d.ready = append(d.ready, waiting[0])
	d.more.Signal()
}

// idle says whether nothing waits and nothing is being handled.
func (d *dispatcher) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.busy) == 0
}

// close sends the workers home.
func (d *dispatcher) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.more.Broadcast()
}
