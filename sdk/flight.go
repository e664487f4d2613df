package sdk

import (
	"slices"
	"time"
)

// flight is the calls that are not answered yet. No two of them hold
// publications of one record, so whatever order they are committed in after a
// failure, each record's order stays; and a call with a source position flies
// alone, so a stored position never runs ahead of records before it.
type flight struct {
	// sent are on the stream, in the order in which answers come.
	sent []*call
	// again are to be sent once more, not before the time.
	again   []*call
	due     time.Time
	backoff backoff
	// since is when the exchange last answered, or the first call after that
	// was sent.
	since  time.Time
	orders map[uint64]struct{}
	// loose are plain calls, outside any stream.
	loose map[*call]struct{}
}

func (f *flight) init() {
	*f = flight{orders: map[uint64]struct{}{}, loose: map[*call]struct{}{}}
}

func (f *flight) len() int { return len(f.sent) + len(f.again) }

// fits says whether an item may join a call that is being put together.
func (f *flight) fits(c *call, it *item) bool {
	if it.source != nil && (f.len() > 0 || c.source != nil && c.source.GetSource() != it.source.GetSource()) {
		return false
	}
	_, busy := f.orders[it.order]
	return !busy
}

// add notes that a new call is on the stream.
func (f *flight) add(c *call) {
	if len(f.sent) == 0 {
		f.since = time.Now()
	}
	f.sent = append(f.sent, c)
	for _, it := range c.items {
		f.orders[it.order] = struct{}{}
	}
}

// answered removes the call whose answer came.
func (f *flight) answered() *call {
	if len(f.sent) == 0 {
		return nil
	}
	c := f.sent[0]
	f.sent = slices.Delete(f.sent, 0, 1)
	f.forget(c)
	f.since = time.Now()
	f.backoff.reset()
	return c
}

func (f *flight) forget(c *call) {
	for _, it := range c.items {
		delete(f.orders, it.order)
	}
}

// refused puts the first call on the stream back, to be sent again.
func (f *flight) refused() {
	f.again = append(f.again, f.sent[0])
	f.sent = slices.Delete(f.sent, 0, 1)
	f.due = time.Now().Add(f.backoff.next())
}

// lost puts all calls of a broken stream back, in their order.
func (f *flight) lost() {
	f.again = append(f.sent, f.again...)
	f.sent = nil
	f.due = time.Now().Add(f.backoff.next())
}

// resend moves the next call that is due back onto the stream.
func (f *flight) resend() *call {
	c := f.again[0]
	f.again = slices.Delete(f.again, 0, 1)
	if len(f.sent) == 0 {
		f.since = time.Now()
	}
	f.sent = append(f.sent, c)
	return c
}

func (f *flight) items() []*item {
	var all []*item
	for _, c := range f.sent {
		all = append(all, c.items...)
	}
	for _, c := range f.again {
		all = append(all, c.items...)
	}
	for c := range f.loose {
		all = append(all, c.items...)
	}
	return all
}
