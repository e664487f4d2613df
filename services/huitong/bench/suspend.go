package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

const (
	// mostRunning is how many subscriptions run while their grant is suspended.
	mostRunning = 1000
	// rounds is how often the grant is suspended and resumed.
	rounds = 5
	// openers is how many subscriptions are opened at once.
	openers = 16
)

// suspend measures how soon every running subscription hears that its grant is
// suspended.
func (s *settings) suspend(ctx context.Context) (*Report, error) {
	r, err := newReport("Suspend: from the call that suspends a grant until each idle subscription under it has heard so", s.dir)
	if err != nil {
		return nil, err
	}
	in, err := install(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	row, err := s.suspendAll(ctx, in)
	if err := errors.Join(err, in.close()); err != nil {
		return nil, err
	}
	r.add(row)
	return r, nil
}

func (s *settings) suspendAll(ctx context.Context, in *installation) (row Row, err error) {
	hall, err := in.connect(ctx, in.hall, connections)
	if err != nil {
		return row, err
	}
	operator, err := authority.Connect(ctx, in.dir, in.node.Address(), in.node.LedgerKey())
	if err != nil {
		return row, err
	}
	in.clients = append(in.clients, operator.Client)
	grants := accessv1.NewAccessServiceClient(operator.Client.Conn())
	listed, err := grants.ListGrants(ctx, &accessv1.ListGrantsRequest{Topic: topic})
	if err != nil || len(listed.GetGrants()) != 1 {
		return row, fmt.Errorf("the bench's grant: %d of them, %w", len(listed.GetGrants()), err)
	}
	running := min(mostRunning, max(10, s.records/100))
	e := &ears{heard: make(chan time.Time, running), back: make(chan struct{}, running)}
	subscriptions, err := e.open(ctx, hall, running)
	defer func() {
		for _, one := range subscriptions {
			one.Stop()
			<-one.Closed()
		}
	}()
	if err != nil {
		return row, err
	}
	m := newMeter()
	slowest := time.Duration(0)
	for range rounds {
		took, err := e.round(ctx, grants, listed.Grants[0].Id, running, m)
		if err != nil {
			return row, err
		}
		slowest = max(slowest, took)
	}
	row = m.row(fmt.Sprintf("%d running subscriptions", running))
	row.Note = fmt.Sprintf("all have heard after %d ms at most, in %d rounds", slowest.Milliseconds(), rounds)
	return row, nil
}

// ears hear what the subscriptions are told.
type ears struct {
	heard chan time.Time
	back  chan struct{}
}

// open opens subscriptions and waits until they are idle.
func (e *ears) open(ctx context.Context, hall *sdk.Client, running int) (all []*sdk.Subscription, err error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	room := make(chan struct{}, openers)
	for n := range running {
		group.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			one, failed := e.openOne(ctx, hall, fmt.Sprintf("running-%d", n))
			mu.Lock()
			defer mu.Unlock()
			if err = errors.Join(err, failed); failed == nil {
				all = append(all, one)
			}
		})
	}
	group.Wait()
	if err == nil {
		err = e.await(ctx, running)
	}
	return all, err
}

func (e *ears) openOne(ctx context.Context, hall *sdk.Client, name string) (*sdk.Subscription, error) {
	if _, err := hall.CreateSubscription(ctx, sdk.NewSubscription{Name: name, Topic: topic, Lanes: 1}); err != nil {
		return nil, err
	}
	return hall.Subscribe(ctx, name, func(context.Context, *sdk.Delivery) error { return nil },
		sdk.WithConcurrency(1),
		sdk.WithLapsed(func(*fault.Error) { e.heard <- time.Now() }),
		sdk.WithCaughtUp(func() { e.back <- struct{}{} }))
}

// await waits until that many subscriptions have caught up.
func (e *ears) await(ctx context.Context, running int) error {
	patience := time.After(arriveWithin)
	for range running {
		select {
		case <-e.back:
		case <-patience:
			return errors.New("not every subscription catches up")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// round suspends the grant, waits until all have heard so, and resumes it.
func (e *ears) round(ctx context.Context, grants accessv1.AccessServiceClient, id string, running int, m *meter) (slowest time.Duration, err error) {
	began := time.Now()
	if _, err := grants.SuspendGrant(ctx, &accessv1.SuspendGrantRequest{Id: id, Reason: "bench"}); err != nil {
		return 0, err
	}
	patience := time.After(arriveWithin)
	for range running {
		select {
		case at := <-e.heard:
			slowest = max(slowest, at.Sub(began))
			m.add(1, at.Sub(began))
		case <-patience:
			return 0, errors.New("not every subscription hears of the suspension")
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if _, err := grants.ResumeGrant(ctx, &accessv1.ResumeGrantRequest{Id: id}); err != nil {
		return 0, err
	}
	return slowest, e.await(ctx, running)
}
