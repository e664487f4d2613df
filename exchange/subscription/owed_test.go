package subscription_test

import (
	"slices"
	"testing"

	"github.com/huitong-bus/huitong/exchange/subscription"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func numbered(n int) (keys []int) {
	for key := range n {
		keys = append(keys, key)
	}
	return keys
}

// enrolAll enrols persons with one case.
func (x *enrolledWorld) enrolAll(number string, keys ...int) *subscription.Enrolled {
	x.T.Helper()
	x.opened(number, keys...)
	var list []*exchangev1.Enrolment
	for _, key := range keys {
		list = append(list, enrolment(key, number))
	}
	return x.enrol("s", list...)
}

// restart closes the subscriptions of this process and opens them again.
func (x *enrolledWorld) restart() {
	x.close(x.manager)
	x.manager = subscription.Open(x.config)
}

// owedWorld has thirty records, and a member that has settled four of what is
// owed about them, and has ten more under way.
func owedWorld(t *testing.T, x *enrolledWorld, receiver *process, readBefore bool) (got []*exchangev1.Delivery) {
	t.Helper()
	x.create("s")
	x.publishMany(0, 30)
	open := &exchangev1.SubscribeOpen{Subscription: "s", MaxInFlight: 10, Member: "first"}
	if !readBefore {
		x.enrolAll("SF-1", numbered(30)...)
	}
	m := receiver.receive(x.civil, open)
	if readBefore {
		m.caughtUp()
		x.enrolAll("SF-1", numbered(30)...)
	}
	m.ack(sequences(m.receives(10)[:4])...)
	return m.receives(14)
}

// whole checks that whoever receives next is told of the rest: what was present,
// but for the four that are settled, and then each change. The row of a lane that
// has not read so far does not count what was sent.
func (x *enrolledWorld) whole(before []*exchangev1.Delivery, counted bool) {
	x.T.Helper()
	var changes []*exchangev1.Publication
	for key := range 30 {
		changes = append(changes, operation(key, suspend))
	}
	x.publish(changes...)
	m := x.open("s", func(o *exchangev1.SubscribeOpen) { o.Member = "second" })
	came := map[string][]ledgerv1.Operation{}
	for done := 0; done < 26+30; {
		fresh := m.receives(done + 1)[done:]
		done += len(fresh)
		for _, d := range fresh {
			came[d.Record.Key] = append(came[d.Record.Key], d.Record.Operation)
			again := d.Attempt == 2
			sent := slices.ContainsFunc(before[4:], func(b *exchangev1.Delivery) bool { return b.Sequence == d.Sequence })
			if again && !sent || sent && counted && !again || d.Snapshot != (d.Record.Operation == put) {
				x.T.Errorf("%s came at attempt %d, as present %v: %v", d.Record.Key, d.Attempt, d.Snapshot, d.Record.Operation)
			}
		}
		m.ack(sequences(fresh)...)
	}
	m.caughtUp()
	settled := map[string]bool{}
	for _, d := range before[:4] {
		settled[d.Record.Key] = true
	}
	for _, key := range numbered(30) {
		k := enrolment(key, "").Subject.Number
		want := []ledgerv1.Operation{put, suspend}
		if settled[k] {
			want = want[1:]
		}
		if !slices.Equal(came[k], want) {
			x.T.Errorf("%s came as %v", k, came[k])
		}
	}
	m.within("nothing is left", func() bool { s := x.get("s"); return s.Floor == s.LastSequence })
}

// TestWhatIsOwedIsTakenOver: a process that dies while present records are under
// way leaves the rest to the next, each still before its changes.
func TestWhatIsOwedIsTakenOver(t *testing.T) {
	for name, readBefore := range map[string]bool{"behind what was read": true, "ahead of it": false} {
		t.Run(name, func(t *testing.T) {
			x := enrolledWorldOn(t, "a", t.TempDir())
			other := x.second()
			before := owedWorld(t, x, other, readBefore)
			other.crash()
			x.whole(before, readBefore)
		})
	}
}

// TestWhatIsOwedOutlastsARestart: so does a process that is closed.
func TestWhatIsOwedOutlastsARestart(t *testing.T) {
	for name, readBefore := range map[string]bool{"behind what was read": true, "ahead of it": false} {
		t.Run(name, func(t *testing.T) {
			x := newEnrolledWorld(t)
			before := owedWorld(t, x, x.process, readBefore)
			x.restart()
			x.whole(before, readBefore)
		})
	}
}

// TestWhatIsOwedGoesOnWithItsLanes: a second member is given lanes with what is
// owed of them.
func TestWhatIsOwedGoesOnWithItsLanes(t *testing.T) {
	x := newEnrolledWorld(t)
	x.create("s")
	x.publishMany(0, 60)
	a := x.open("s", func(o *exchangev1.SubscribeOpen) { o.MaxInFlight, o.Member = 1, "a" })
	a.caughtUp()
	x.enrolAll("SF-1", numbered(60)...)
	first := a.receives(1)
	b := x.open("s", func(o *exchangev1.SubscribeOpen) { o.Member = "b" })
	a.ack(first[0].Sequence)
	a.within("shared", func() bool { of := holders(x.get("s")); return of["a"] == 2 && of["b"] == 2 })
	count := map[*member]int{a: 1}
	for count[a]+count[b] < 60 {
		a.within("more came", func() bool { return len(a.got)+len(b.all()) > count[a]+count[b] })
		for _, m := range []*member{a, b} {
			if fresh := m.all()[count[m]:]; len(fresh) > 0 {
				m.ack(sequences(fresh)...)
				count[m] += len(fresh)
			}
		}
	}
	if count[b] == 0 || count[a]+count[b] != 60 {
		t.Errorf("%d came to one, %d to the other", count[a], count[b])
	}
	a.caughtUp()
}

// TestWhatIsOwedAnewComesBeforeTheChange: a subject that is enrolled again while
// what was owed the first time is under way is told of what is present once more,
// and of changes only then.
func TestWhatIsOwedAnewComesBeforeTheChange(t *testing.T) {
	for name, change := range positions {
		t.Run(name, func(t *testing.T) {
			x := newEnrolledWorld(t)
			x.create("s")
			first := x.publish(person(1, "甲"), person(2, "甲"))
			m := x.open("s", change)
			m.caughtUp()
			x.enrolAll("SF-1", 1, 2)
			m.receives(2)
			x.leave("s", enrolment(1, ""))
			x.enrol("s", enrolment(1, "SF-1"))
			changed := x.publish(operation(2, suspend), operation(1, suspend))
			m.ack(sequences(m.all()[:1])...)
			m.ack(sequences(m.all()[1:2])...)
			got := m.receives(4)
			m.ack(sequences(got[2:])...)
			got = m.receives(5)
			at := func(index uint64) int { return slices.Index(indexes(got[2:]), index) }
			if at(first[0]) < 0 || at(first[0]) > at(changed[1]) || at(first[1]) >= 0 || at(changed[0]) < 0 {
				t.Errorf("came %v, of %v and then %v", indexes(got), first, changed)
			}
		})
	}
}

// TestEnrolledAgainBeforeItsTurn: what waits for its turn while its enrolment ends
// and another begins is owed by the later one, and does not come twice.
func TestEnrolledAgainBeforeItsTurn(t *testing.T) {
	for name, change := range positions {
		t.Run(name, func(t *testing.T) {
			x := newEnrolledWorld(t)
			x.create("s")
			published := x.publish(person(0, "甲"), person(1, "甲"))
			m := x.open("s", func(o *exchangev1.SubscribeOpen) { o.MaxInFlight = 1 }, change)
			m.caughtUp()
			x.enrolAll("SF-1", 0, 1)
			first := m.receives(1)[0]
			other := 1 - slices.Index(published, first.Record.Index)
			x.leave("s", enrolment(other, ""))
			x.enrol("s", enrolment(other, "SF-1"))
			m.ack(first.Sequence)
			m.ack(m.receives(2)[1].Sequence)
			last := x.publish(person(other, "乙"))
			if got := indexes(m.receives(3)); !slices.Equal(got[1:], []uint64{published[other], last[0]}) {
				t.Errorf("came %v, of %v and then %v", got, published, last)
			}
		})
	}
}
