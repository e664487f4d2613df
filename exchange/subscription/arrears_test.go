package subscription_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	put     = ledgerv1.Operation_OPERATION_PUT
	suspend = ledgerv1.Operation_OPERATION_SUSPEND
	resume  = ledgerv1.Operation_OPERATION_RESUME
	remove  = ledgerv1.Operation_OPERATION_REMOVE
)

// version is an entry about a record.
type version struct {
	index uint64
	op    ledgerv1.Operation
}

// told is a delivery with the entry of its release.
type told struct {
	*exchangev1.Delivery
	release uint64
}

// span is an enrolment: what was published from began on may come as a change,
// and nothing is released outside of its entries.
type span struct{ began, entry, end uint64 }

const never = 1 << 62

// chronicle is what became of one subject, whose record has its key.
type chronicle struct {
	versions []version
	spans    []span
	told     []told
}

// next gives an operation that the record's state allows.
func (c *chronicle) next(r *rand.Rand) ledgerv1.Operation {
	last := remove
	if n := len(c.versions); n > 0 {
		last = c.versions[n-1].op
	}
	switch {
	case last == remove:
		return put
	case last == suspend:
		return resume
	case r.IntN(2) == 0:
		return put
	case r.IntN(3) == 0:
		return remove
	}
	return suspend
}

// problems says what is wrong with how the subject was told of.
func (c *chronicle) problems() (found []string) {
	wrong := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	left := slices.Clone(c.told)
	for _, s := range c.spans {
		var came []told
		left = slices.DeleteFunc(left, func(d told) bool {
			within := d.release > s.entry && d.release < s.end
			if within {
				came = append(came, d)
			}
			return within
		})
		for i, d := range came {
			switch {
			case i > 0 && d.Record.Index <= came[i-1].Record.Index:
				wrong("entry %d came after entry %d", d.Record.Index, came[i-1].Record.Index)
			case d.Snapshot && (i > 0 || d.Record.Index > s.entry):
				wrong("entry %d came as present at place %d of the enrolment by entry %d", d.Record.Index, i, s.entry)
			case !d.Snapshot && d.Record.Index < s.began:
				wrong("entry %d came as a change, though the enrolment began at %d", d.Record.Index, s.began)
			}
		}
		if s.end == never {
			c.complete(s, came, wrong)
		}
	}
	for _, d := range left {
		wrong("entry %d was released by entry %d, when the subject was not enrolled", d.Record.Index, d.release)
	}
	return found
}

// complete checks that an enrolment that stands brought everything.
func (c *chronicle) complete(s span, came []told, wrong func(string, ...any)) {
	has := func(index uint64) bool {
		return slices.ContainsFunc(came, func(d told) bool { return d.Record.Index == index })
	}
	var present uint64
	replaced := false
	for _, v := range c.versions {
		switch {
		case v.index > s.entry && !has(v.index):
			wrong("entry %d never came", v.index)
		case v.index >= s.began && (v.op == put || v.op == remove):
			replaced = true
		case v.index < s.began && v.op == put:
			present = v.index
		case v.index < s.began && v.op == remove:
			present = 0
		}
	}
	if present != 0 && !replaced && !has(present) {
		wrong("what was present at the enrolment by entry %d, entry %d, never came", s.entry, present)
	}
}

// tale is the chronicles of all subjects.
type tale struct {
	*enrolledWorld
	mu       sync.Mutex
	subjects []*chronicle
	cases    int
}

func newTale(x *enrolledWorld, subjects int) *tale {
	t := &tale{enrolledWorld: x}
	for range subjects {
		t.subjects = append(t.subjects, &chronicle{})
	}
	return t
}

// publishSome publishes versions of different records.
func (t *tale) publishSome(r *rand.Rand) {
	var calls []*exchangev1.Publication
	var ops []ledgerv1.Operation
	keys := r.Perm(len(t.subjects))[:1+r.IntN(4)]
	for _, key := range keys {
		op := t.subjects[key].next(r)
		ops = append(ops, op)
		if op == put {
			calls = append(calls, person(key, "甲"))
		} else {
			calls = append(calls, operation(key, op))
		}
	}
	indexes := t.publish(calls...)
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, key := range keys {
		c := t.subjects[key]
		c.versions = append(c.versions, version{indexes[i], ops[i]})
	}
}

// begin enrols a subject with a case of its own.
func (t *tale) begin(key int) {
	t.cases++
	number := fmt.Sprintf("SF-%d", t.cases)
	t.opened(number, key)
	began := t.Journal.Head().Size
	done := t.enrol("s", enrolment(key, number))
	c := t.subjects[key]
	c.spans = append(c.spans, span{began, done.Commit.Index, never})
}

// finish ends the enrolment of a subject, by its removal or with its case.
func (t *tale) finish(key int, byCase bool) {
	c := t.subjects[key]
	s := &c.spans[len(c.spans)-1]
	if !byCase {
		s.end = t.leave("s", enrolment(key, "")).Commit.Index
		return
	}
	list, _, err := t.manager.ListEnrolments(t.T.Context(), t.civil.Caller, "s", nil, 0)
	must(t.T, err)
	for _, e := range list {
		if e.Subject.Number == enrolment(key, "").Subject.Number {
			s.end = t.closed(e.CaseNumber)
		}
	}
}

// follow acknowledges what a member receives, and notes it, until the test ends.
func (t *tale) follow(m *member) {
	done := 0
	tick := time.NewTicker(time.Millisecond)
	t.T.Cleanup(tick.Stop)
	go func() {
		for range tick.C {
			m.mu.Lock()
			fresh, release := slices.Clone(m.got[done:]), slices.Clone(m.releaseOf[done:])
			done = len(m.got)
			m.mu.Unlock()
			if len(fresh) == 0 {
				continue
			}
			t.note(fresh, release)
			m.send(&exchangev1.SubscribeSettle{Acks: sequences(fresh)})
		}
	}()
}

func (t *tale) note(fresh []*exchangev1.Delivery, release []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, d := range fresh {
		var key int
		if _, err := fmt.Sscanf(d.Record.Key, "K%d", &key); err != nil {
			t.T.Errorf("a record with the key %q", d.Record.Key)
			continue
		}
		c := t.subjects[key]
		c.told = append(c.told, told{d, release[i]})
	}
}

func (t *tale) problems() (found []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, c := range t.subjects {
		for _, p := range c.problems() {
			found = append(found, fmt.Sprintf("K%d: %s", key, p))
		}
	}
	return found
}

// positions are the ways to keep a subscription's position, as a member opens with.
var positions = map[string]func(*exchangev1.SubscribeOpen){
	"position kept here":  func(*exchangev1.SubscribeOpen) {},
	"position kept there": func(o *exchangev1.SubscribeOpen) { o.SettledThrough = new(uint64) },
}

// TestEnrolmentsUnderPublications enrols subjects and ends it again while their
// records change. Of each, what was present comes first, then every change, in
// order, each once; and nothing behind the entry that ended it.
func TestEnrolmentsUnderPublications(t *testing.T) {
	for name, change := range positions {
		t.Run(name, func(t *testing.T) {
			x := enrolledWorldOn(t, "a", t.TempDir())
			enrolmentsUnderPublications(t, x, x.process, change)
		})
		t.Run(name+", another process", func(t *testing.T) {
			x := enrolledWorldOn(t, "a", t.TempDir())
			enrolmentsUnderPublications(t, x, x.second(), change)
		})
	}
}

func enrolmentsUnderPublications(t *testing.T, x *enrolledWorld, receiver *process, change func(*exchangev1.SubscribeOpen)) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	x.create("s")
	y := newTale(x, 8)
	open := &exchangev1.SubscribeOpen{Subscription: "s", MaxInFlight: 3}
	change(open)
	m := receiver.receive(x.civil, open)
	m.within("opened", func() bool { return m.opened != nil })
	y.follow(m)
	var publishing sync.WaitGroup
	publishing.Go(func() {
		r := rand.New(rand.NewPCG(seed, 1))
		for range 80 {
			y.publishSome(r)
		}
	})
	r := rand.New(rand.NewPCG(seed, 2))
	enrolled := map[int]bool{}
	for range 30 {
		key := r.IntN(len(y.subjects))
		if enrolled[key] {
			y.finish(key, r.IntN(2) == 0)
		} else {
			y.begin(key)
		}
		enrolled[key] = !enrolled[key]
	}
	for key := range y.subjects {
		if !enrolled[key] {
			y.begin(key)
		}
	}
	publishing.Wait()
	var problems []string
	t.Cleanup(func() {
		if len(problems) > 0 {
			t.Errorf("%d problems: %v", len(problems), problems[:min(len(problems), 5)])
		}
	})
	m.within("all came", func() bool { problems = y.problems(); return len(problems) == 0 })
	m.within("all is settled", func() bool { n := x.get("s"); return n.Floor == n.LastSequence })
	problems = y.problems()
}
