package subscription_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// watch sees what becomes of every delivery, over all members.
type watch struct {
	w  *world
	mu sync.Mutex
	// key and version of each published entry.
	key      map[uint64]int
	versions map[int][]uint64 // entries of a record, in order
	answered map[uint64]bool  // an answer that settles was sent
	// settled is the ledger's size when the settlement was confirmed.
	settled  map[uint64]uint64
	sequence map[uint64]uint64 // index of a sequence
	problems []string
	// deliveries counts them all.
	deliveries int
	history    map[uint64][]string
}

func newWatch(w *world) *watch {
	return &watch{
		w: w, key: map[uint64]int{}, versions: map[int][]uint64{}, answered: map[uint64]bool{},
		settled: map[uint64]uint64{}, sequence: map[uint64]uint64{}, history: map[uint64][]string{},
	}
}

func (x *watch) published(key int, index uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.key[index] = key
	x.versions[key] = append(x.versions[key], index)
}

// delivered checks a delivery as it comes: nothing earlier of its record may be
// open, and nothing comes again that was settled.
func (x *watch) delivered(release uint64, d *exchangev1.Delivery) {
	x.mu.Lock()
	defer x.mu.Unlock()
	index := d.Record.Index
	x.deliveries++
	x.sequence[d.Sequence] = index
	x.history[index] = append(x.history[index], fmt.Sprintf("sequence %d attempt %d by release %d", d.Sequence, d.Attempt, release))
	if d.Late {
		return
	}
	if at, ok := x.settled[index]; ok && release >= at {
		x.problems = append(x.problems, "delivered again after it was settled")
	}
	for _, earlier := range x.versions[x.key[index]] {
		if earlier == index {
			break
		}
		if !x.answered[earlier] {
			x.problems = append(x.problems, "a later version overtook an earlier one")
		}
	}
}

// delivers waits until that many more are delivered, or nobody is there to
// receive them.
func (x *watch) delivers(n int) {
	count := func() int {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.deliveries
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for from := count(); count() < from+n && time.Since(began) < 300*time.Millisecond; {
		<-tick.C
	}
}

func (x *watch) answer(sequence uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.answered[x.sequence[sequence]] = true
}

func (x *watch) confirmed(acks []uint64, c *exchangev1.SubscribeSettled) {
	x.mu.Lock()
	defer x.mu.Unlock()
	size := x.w.Journal.Head().Size
	for _, s := range acks {
		if !slices.Contains(c.Unknown, s) {
			x.settled[x.sequence[s]] = size
		}
	}
}

// wild is a member that acknowledges, refuses, sleeps over and vanishes at
// random.
func (x *watch) wild(p *process, r *rand.Rand, lives time.Duration, calm bool) {
	m := p.receive(x.w.civil, &exchangev1.SubscribeOpen{Subscription: "s", MaxInFlight: uint32(1 + r.IntN(40))})
	defer m.cancel()
	deadline := time.After(lives)
	done := 0
	pending := map[uint64][]uint64{}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-deadline:
			return
		case <-m.ended:
			return
		case <-tick.C:
		}
		m.mu.Lock()
		fresh, entry := slices.Clone(m.got[done:]), slices.Clone(m.releaseOf[done:])
		done = len(m.got)
		confirmed := map[uint64]*exchangev1.SubscribeSettled{}
		for token := range pending {
			if c := m.settled[token]; c != nil {
				confirmed[token] = c
			}
		}
		m.mu.Unlock()
		for token, c := range confirmed {
			x.confirmed(pending[token], c)
			delete(pending, token)
		}
		s := &exchangev1.SubscribeSettle{}
		for i, d := range fresh {
			x.delivered(entry[i], d)
			switch n := r.IntN(10); {
			case calm || n < 6:
				s.Acks = append(s.Acks, d.Sequence)
			case n < 8:
				s.Nacks = append(s.Nacks, &exchangev1.Nack{Sequence: d.Sequence, Delay: durationpb.New(time.Duration(r.IntN(8)) * time.Millisecond)})
			case n < 9:
				s.Nacks = append(s.Nacks, &exchangev1.Nack{Sequence: d.Sequence, DeadLetter: r.IntN(3) == 0})
			}
		}
		if len(s.Acks)+len(s.Nacks) == 0 {
			continue
		}
		for _, a := range s.Acks {
			x.answer(a)
		}
		for _, n := range s.Nacks {
			if n.DeadLetter {
				x.answer(n.Sequence)
			}
		}
		m.mu.Lock()
		m.token++
		s.Token = m.token
		m.mu.Unlock()
		pending[s.Token] = s.Acks
		select {
		case m.requests <- &exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Settle{Settle: s}}:
		case <-m.ended:
			return
		}
	}
}

// crash lets a process die: it can write nothing any more, not even give its
// lanes back.
func (p *process) crash() {
	p.T.Helper()
	must(p.T, p.Journal.Close(p.T.Context()))
}

func TestOrderOfEachRecordHoldsThroughEverything(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := worldOn(t, "a", t.TempDir())
	w.create("s", func(s *exchangev1.Subscription) {
		s.MaxAttempts, s.AckWait = 100, durationpb.New(150*time.Millisecond)
	})
	x := newWatch(w)
	var wg sync.WaitGroup
	publish := func() {
		for range 10 {
			var calls []*exchangev1.Publication
			var keys []int
			for range 1 + r.IntN(20) {
				key := r.IntN(12)
				keys, calls = append(keys, key), append(calls, person(key, "甲"))
			}
			x.mu.Lock()
			index := w.publish(calls...)
			x.mu.Unlock()
			for i, key := range keys {
				x.published(key, index[i])
			}
		}
	}
	publish()
	for round := range 4 {
		other := start(t, catalogtest.Join(t, w.DB, w.Identity), "b", "")
		for i := range 3 {
			p := w.process
			if i > 0 {
				p = other
			}
			own := rand.New(rand.NewPCG(seed, uint64(10*round+i+1)))
			lives := time.Duration(50+r.IntN(300)) * time.Millisecond
			wg.Go(func() { x.wild(p, own, lives, false) })
		}
		publish()
		dies := 50 + r.IntN(200)
		wg.Go(func() {
			x.delivers(dies)
			other.crash()
		})
		wg.Wait()
		_, _, err := w.manager.Replay(t.Context(), w.civil.Caller, "s", nil, false)
		must(t, err)
	}
	// Every entry was answered, and by the rows nothing is left.
	_, _, err := w.manager.Replay(t.Context(), w.civil.Caller, "s", nil, false)
	must(t, err)
	left := func() bool { n := w.get("s"); return n.Floor < n.LastSequence || n.DeadLetters > 0 }
	for end := time.Now().Add(3 * catalogtest.Patience); left() && time.Now().Before(end); {
		x.wild(w.process, r, time.Second, true)
	}
	if left() {
		t.Fatalf("something was never settled: %v", w.get("s"))
	}
	for index, key := range x.key {
		if !x.answered[index] {
			t.Errorf("entry %d of record %d is passed over: %v", index, key, x.history[index])
		}
	}
	if t.Failed() {
		dead, err := w.manager.DeadLetters(t.Context(), w.civil.Caller, "s", 0, 0)
		t.Logf("dead letters %v, %v", dead, err)
	}
	if len(x.problems) > 0 {
		t.Errorf("%d problems: %v", len(x.problems), x.problems[:min(len(x.problems), 5)])
	}
}
