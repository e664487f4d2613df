package sdk_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestLapsedPermission: a suspended grant stops deliveries and says why; they go
// on by themselves when it is back, and nothing is lost.
func TestLapsedPermission(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent()})
	var got seen
	lapsed := make(chan *fault.Error, 8)
	s := w.subscribe(t, "m", got.handle, sdk.WithLapsed(func(why *fault.Error) { lapsed <- why }))
	publishAll(t, w.publisher, some(5))
	await(t, "all came", func() bool { return got.count() == 5 })
	if _, err := w.Access.SuspendGrant(t.Context(), &accessv1.SuspendGrantRequest{Id: w.grant.Id, Reason: "misuse"}); err != nil {
		t.Fatal(err)
	}
	publishAll(t, w.publisher, some(10)[5:])
	select {
	case why := <-lapsed:
		if why.Rule != "grant.suspended" {
			t.Errorf("lapsed by %v", why)
		}
	case <-soon(t).Done():
		t.Fatal("nobody says that the permission lapsed")
	}
	if n := got.count(); n != 5 {
		t.Errorf("%d came without permission", n-5)
	}
	if _, err := w.Access.ResumeGrant(t.Context(), &accessv1.ResumeGrantRequest{Id: w.grant.Id}); err != nil {
		t.Fatal(err)
	}
	await(t, "the rest came", func() bool { return got.count() == 10 })
	drain(t, s)
}

// TestPausedSubscription keeps its place.
func TestPausedSubscription(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent()})
	var got seen
	s := w.subscribe(t, "m", got.handle)
	if err := w.hall.PauseSubscription(soon(t), "m", "maintenance"); err != nil {
		t.Fatal(err)
	}
	publishAll(t, w.publisher, some(5))
	info, err := w.hall.GetSubscription(soon(t), "m")
	if err != nil || info.Reason != "maintenance" {
		t.Errorf("%v, %v", info, err)
	}
	if n := got.count(); n != 0 {
		t.Errorf("%d came while it was paused", n)
	}
	if err := w.hall.ResumeSubscription(soon(t), "m"); err != nil {
		t.Fatal(err)
	}
	await(t, "they come", func() bool { return got.count() == 5 })
	drain(t, s)
	if err := w.hall.DeleteSubscription(soon(t), "m"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.hall.Subscribe(soon(t), "m", got.handle); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a deleted subscription: %v", err)
	}
}

// TestSubscriptionSurvivesRestarts: while the exchange stops and starts again,
// the subscription reconnects by itself; everything comes, in order.
func TestSubscriptionSurvivesRestarts(t *testing.T) {
	dir, database := t.TempDir(), storetest.URL(t)
	x, err := nodetest.Open(t.Context(), dir, node.Config{Database: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	list(t, x, topic(marriages, "Marriage"))
	w := &world{Exchange: x}
	w.enrol(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromAll()})
	var got seen
	s := w.subscribe(t, "m", got.handle)
	records := some(200)
	var receipts []*sdk.Receipt
	for range 3 {
		receipts = append(receipts, publishAll(t, w.publisher, records)...)
		address := x.Node.Address()
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := nodetest.Reopen(t.Context(), dir, node.Config{Listen: address, Database: database})
		if err != nil {
			t.Fatal(err)
		}
		x = again
	}
	want := indexesOf(receipts)
	await(t, "everything came", func() bool { return slices.Equal(got.indexes(), want) })
	drain(t, s)
	inOrder(t, got.all)
}

// TestMembersShareASubscription: each record goes to one of them.
func TestMembersShareASubscription(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent(), Lanes: 8})
	var a, b seen
	first := w.subscribe(t, "m", a.handle, sdk.WithMember("a"))
	second := w.subscribe(t, "m", b.handle, sdk.WithMember("b"))
	if first.Member() != "a" || second.Member() != "b" {
		t.Errorf("members %q and %q", first.Member(), second.Member())
	}
	await(t, "both have lanes", func() bool {
		info, err := w.hall.GetSubscription(soon(t), "m")
		if err != nil {
			t.Fatal(err)
		}
		held := map[string]int{}
		for _, l := range info.LaneState {
			held[l.Member]++
		}
		return held["a"] > 0 && held["b"] > 0
	})
	receipts := publishAll(t, w.publisher, some(400))
	await(t, "all came", func() bool { return a.count()+b.count() >= len(receipts) })
	drain(t, first)
	drain(t, second)
	if a.count() == 0 || b.count() == 0 || a.count()+b.count() != len(receipts) {
		t.Errorf("%d and %d of %d", a.count(), b.count(), len(receipts))
	}
}

// TestRevocationAndErasure reach the subscriber without content.
func TestRevocationAndErasure(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent()})
	records := some(2)
	publishAll(t, w.publisher, records)
	var mu sync.Mutex
	status := map[string]sdk.Status{}
	s := w.subscribe(t, "m", sdk.Handle(func(_ context.Context, d *sdk.Delivery, m *recordsv1.Marriage) error {
		mu.Lock()
		defer mu.Unlock()
		if (m != nil) != d.HasPayload() {
			t.Errorf("payload %v of %v", m, d.Status)
		}
		if m != nil && (m.PartyAName == "" || m.PartyBName != "" || !d.IsWithheld(7)) {
			t.Errorf("cut to %v, withheld %v", m, d.Withheld)
		}
		status[d.Key] = d.Status
		return nil
	}))
	if _, err := w.publisher.Revoke(soon(t), marriages, records[0].CertificateNumber, "登记有误"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.publisher.Erase(soon(t), marriages, records[1].CertificateNumber, "依申请删除"); err != nil {
		t.Fatal(err)
	}
	await(t, "both are known", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return status[records[0].CertificateNumber] == sdk.Revoked && slices.Contains(statuses(status), sdk.Erased)
	})
	drain(t, s)
}

func statuses(m map[string]sdk.Status) (all []sdk.Status) {
	for _, s := range m {
		all = append(all, s)
	}
	return all
}
