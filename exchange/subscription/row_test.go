package subscription

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/bus"
)

func TestRowComesBackAsItWas(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var set []unsettled
		seen := uint64(0)
		for range r.IntN(300) {
			seen += 1 + r.Uint64N(1<<r.UintN(20))
			u := unsettled{sequence: seen, attempts: 1}
			switch r.IntN(6) {
			case 0:
				u.attempts = r.Uint32N(101)
			case 1:
				u.due = 1 + r.Int64N(time.Now().UnixMicro())
			case 2:
				u.late = true
			case 3:
				u.late, u.owed = true, true
			case 4:
				u.owed = true
			}
			set = append(set, u)
		}
		seen += r.Uint64N(1000)
		got, err := decodeRow(seen, encodeRow(seen, set))
		if err != nil || len(got) != len(set) || len(set) > 0 && !reflect.DeepEqual(got, set) {
			t.Fatalf("seed %d: %v, %v for %v", seed, err, got, set)
		}
	}
}

func TestRowIsSmall(t *testing.T) {
	var set []unsettled
	for i := range uint64(256) {
		set = append(set, unsettled{sequence: 1<<40 + 4*i, attempts: 1})
	}
	if n := len(encodeRow(1<<40+2000, set)); n > 300 {
		t.Errorf("256 deliveries under way take %d bytes", n)
	}
}

func TestFloorPassesOverReplays(t *testing.T) {
	set := []unsettled{{sequence: 3, late: true}, {sequence: 7, attempts: 1}}
	if f := floorOf(9, set); f != 6 {
		t.Errorf("floor %d", f)
	}
	if f := floorOf(9, set[:1]); f != 9 {
		t.Errorf("floor %d", f)
	}
}

func FuzzRow(f *testing.F) {
	f.Add(uint64(9), []byte{})
	f.Add(uint64(9), encodeRow(9, []unsettled{{sequence: 3, late: true}, {sequence: 7, attempts: 1}, {sequence: 9, attempts: 4, due: 12}}))
	f.Add(uint64(9), []byte{1, 0xff, 0xff, 0xff})
	f.Add(uint64(1)<<63, []byte{1, 2})
	f.Fuzz(func(t *testing.T, seen uint64, b []byte) {
		set, err := decodeRow(seen, b)
		if err != nil {
			return
		}
		last := uint64(0)
		for _, u := range set {
			if u.sequence <= last || u.sequence > seen {
				t.Fatalf("sequence %d after %d, seen %d", u.sequence, last, seen)
			}
			last = u.sequence
		}
		again, err := decodeRow(seen, encodeRow(seen, set))
		if err != nil || len(again) != len(set) || len(set) > 0 && !reflect.DeepEqual(again, set) {
			t.Fatalf("%v became %v: %v", set, again, err)
		}
	})
}

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	s := settings{backoff: time.Second, maxBackoff: 5 * time.Second}
	for attempts, want := range map[uint32]time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 4: 5 * time.Second, 100: 5 * time.Second} {
		if got := s.after(attempts); got != want {
			t.Errorf("after attempt %d: %v, want %v", attempts, got, want)
		}
	}
}

func TestLanesAreRangesOfBuckets(t *testing.T) {
	for n := uint32(1); n <= MaxLanes; n++ {
		last, seen := uint32(0), map[uint32]bool{}
		for b := range 256 {
			l := bus.Lane([]byte{byte(b)}, n)
			if l < last || l >= n {
				t.Fatalf("bucket %d of %d lanes is in %d after %d", b, n, l, last)
			}
			last, seen[l] = l, true
		}
		if len(seen) != int(n) {
			t.Fatalf("%d of %d lanes have buckets", len(seen), n)
		}
	}
}
