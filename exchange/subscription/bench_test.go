package subscription_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// quickMember acknowledges all it receives at once, signed once a batch.
type quickMember struct {
	w        *world
	id       string
	requests chan *exchangev1.SubscribeRequest
	todo     chan *exchangev1.DeliveryBatch
	settled  atomic.Int64
	onBatch  func(b *exchangev1.DeliveryBatch)
}

func (m *quickMember) Send(r *exchangev1.SubscribeResponse) error {
	switch x := r.Message.(type) {
	case *exchangev1.SubscribeResponse_Batch:
		if m.onBatch != nil {
			m.onBatch(x.Batch)
		}
		m.todo <- x.Batch
	case *exchangev1.SubscribeResponse_Settled:
		m.settled.Add(int64(x.Settled.Token))
	}
	return nil
}

func (m *quickMember) run(ctx context.Context) {
	for {
		var b *exchangev1.DeliveryBatch
		select {
		case b = <-m.todo:
		case <-ctx.Done():
			return
		}
		s := &exchangev1.SubscribeSettle{Token: uint64(len(b.Deliveries))}
		details := make([]byte, 32)
		for _, d := range b.Deliveries {
			s.Acks = append(s.Acks, d.Sequence)
			s.DetailHashes = append(s.DetailHashes, details)
		}
		select {
		case m.requests <- &exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Settle{Settle: s}}:
		case <-ctx.Done():
			return
		}
	}
}

func (w *world) quick(name string) (*quickMember, context.CancelFunc) {
	m := &quickMember{w: w, id: w.civil.Caller.System + "/" + name, requests: make(chan *exchangev1.SubscribeRequest), todo: make(chan *exchangev1.DeliveryBatch, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	go m.run(ctx)
	go func() {
		_ = w.manager.Receive(ctx, w.civil.Caller, &exchangev1.SubscribeOpen{Subscription: name}, m.requests, m)
	}()
	return m, cancel
}

// BenchmarkCatchUp delivers and settles a topic's records, release entries and
// all, without the transport.
func BenchmarkCatchUp(b *testing.B) {
	w := newWorld(b)
	for n := 0; n < b.N; n += 1000 {
		w.publishMany(n, n+1000)
	}
	for w.bus.Relayed(w.topic().Partition) < w.Journal.Head().Size {
		<-time.After(10 * time.Millisecond)
	}
	w.create("s", startAt(fromAll))
	want := int64((b.N + 999) / 1000 * 1000)
	b.ReportAllocs()
	b.ResetTimer()
	m, cancel := w.quick("s")
	defer cancel()
	for m.settled.Load() < want {
		<-time.After(time.Millisecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(want)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkLive is the time from a record's publication to its delivery, one
// after the other.
func BenchmarkLive(b *testing.B) {
	w := newWorld(b)
	w.create("s", startAt(fromNew))
	m, cancel := w.quick("s")
	defer cancel()
	came := make(chan struct{}, 1)
	m.onBatch = func(*exchangev1.DeliveryBatch) { came <- struct{}{} }
	w.publishMany(0, 1)
	<-came
	b.ResetTimer()
	for i := range b.N {
		w.publishMany(i+1, i+2)
		<-came
	}
}
