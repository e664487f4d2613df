package subscription_test

import (
	"crypto/sha256"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

func digest(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

func TestDeliversWhatIsGrantedAndSettlesIt(t *testing.T) {
	w := newWorld(t)
	w.create("s")
	indexes := w.publish(person(1, "甲"), person(2, "乙"), person(3, "丙"))
	m := w.open("s")
	got := m.receives(3)
	for i, d := range got {
		var p recordsv1.Person
		if err := proto.Unmarshal(d.Record.Payload, &p); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(indexes, d.Record.Index) || p.Name == "" || p.BirthDate != "" || d.Attempt != 1 || !slices.Contains(d.Record.Withheld, 6) {
			t.Errorf("delivery %d: %v, %v", i, d, &p)
		}
	}
	m.caughtUp()
	if s := w.get("s"); s.InFlight != 3 || s.Floor != got[0].Sequence-1 {
		t.Errorf("before: %v", s)
	}
	last := got[2].Sequence
	if s := m.ack(sequences(got)...); s.Floor > last {
		t.Errorf("floor %d", s.Floor)
	}
	if u := m.settle(&exchangev1.SubscribeSettle{Acks: []uint64{last}}).Unknown; !slices.Equal(u, []uint64{last}) {
		t.Errorf("settled twice: %v", u)
	}
	m.within("floor", func() bool {
		s := w.get("s")
		return s.Floor == last && s.Pending == 0 && s.InFlight == 0 && s.LastSequence == last
	})
	live := w.publish(person(4, "丁"))
	if d := m.receives(4)[3]; d.Record.Index != live[0] {
		t.Errorf("got %v", d)
	}
}
