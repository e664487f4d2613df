package sdk_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// world is the world of a subscription's test: marriages, their registry and a
// hall that may receive them.
type world struct {
	*nodetest.Exchange
	civil, hall *sdk.Client
	publisher   *sdk.Publisher
	grant       *accessv1.Grant
}

func newWorld(t *testing.T, configs ...node.Config) *world {
	t.Helper()
	w := &world{Exchange: open(t, configs...)}
	w.enrol(t)
	return w
}

func (w *world) enrol(t *testing.T) {
	t.Helper()
	w.civil, w.hall = w.Join(t, sample.CivilAffairs, "registry"), w.Join(t, sample.ServiceHall, "hall")
	w.publisher = w.civil.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { closePublisher(t, w.publisher) })
	var err error
	if w.grant, err = w.CreateGrant(t.Context(), grant(marriages, "certificate_number", "state", "party_a_name")); err != nil {
		t.Fatal(err)
	}
}

func (w *world) create(t *testing.T, n sdk.NewSubscription) {
	t.Helper()
	if n.Topic == "" {
		n.Topic = marriages
	}
	if _, err := w.hall.CreateSubscription(soon(t), n); err != nil {
		t.Fatal(err)
	}
}

func (w *world) subscribe(t *testing.T, name string, h sdk.Handler, opts ...sdk.SubscribeOption) *sdk.Subscription {
	t.Helper()
	s, err := w.hall.Subscribe(t.Context(), name, h, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(); <-s.Closed() })
	return s
}

func drain(t *testing.T, s *sdk.Subscription) {
	t.Helper()
	s.Drain()
	closed(t, s)
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}

func closed(t *testing.T, s *sdk.Subscription) {
	t.Helper()
	select {
	case <-s.Closed():
	case <-soon(t).Done():
		t.Fatal("the subscription does not close")
	}
}

// seen notes deliveries.
type seen struct {
	mu  sync.Mutex
	all []sdk.Delivery
}

func (s *seen) handle(_ context.Context, d *sdk.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, *d)
	return nil
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// indexes gives the ledger index of each delivery's publication, each once.
func (s *seen) indexes() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []uint64
	for _, d := range s.all {
		all = append(all, d.Index)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func indexesOf(receipts []*sdk.Receipt) []uint64 {
	var all []uint64
	for _, r := range receipts {
		all = append(all, r.Index)
	}
	slices.Sort(all)
	return all
}
