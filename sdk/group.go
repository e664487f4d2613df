package sdk

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Group runs several subscriptions of one process with one shutdown:
//
//	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
//	defer stop()
//	g := sdk.NewGroup(ctx)
//	g.Subscribe(client, "marriages", marriages)
//	g.Subscribe(client, "households", households)
//	return g.Wait()
//
// When the context ends, or one subscription fails, all are drained: what is
// under way is handled and acknowledged, for DrainFor at most, then they stop.
type Group struct {
	// DrainFor bounds the shutdown; 30 s if 0. Set it before Wait.
	DrainFor time.Duration

	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	subs   []*Subscription
	errs   []error
}

// NewGroup makes a group that shuts down when ctx ends.
func NewGroup(ctx context.Context) *Group {
	g := &Group{DrainFor: DefaultDrainFor}
	g.ctx, g.cancel = context.WithCancel(ctx)
	return g
}

// Subscribe adds a subscription. An error shows in Wait too, and shuts the group
// down.
func (g *Group) Subscribe(c *Client, name string, h Handler, opts ...SubscribeOption) error {
	// The group's end drains; it must not cut handlers off.
	s, err := c.subscribe(g.ctx, context.WithoutCancel(g.ctx), name, h.single, 1, opts)
	if err != nil {
		g.fail(err)
		return err
	}
	g.Add(s)
	return nil
}

// Add puts a running subscription into the group.
func (g *Group) Add(s *Subscription) {
	g.mu.Lock()
	g.subs = append(g.subs, s)
	g.mu.Unlock()
	go func() {
		<-s.Closed()
		if err := s.Err(); err != nil {
			g.fail(err)
		}
	}()
}

func (g *Group) fail(err error) {
	g.mu.Lock()
	g.errs = append(g.errs, err)
	g.mu.Unlock()
	g.cancel()
}

// Shutdown starts the shutdown.
func (g *Group) Shutdown() { g.cancel() }

// Wait waits for the group's end and shuts its subscriptions down. It gives what
// made subscriptions fail; nil after an ordered shutdown.
func (g *Group) Wait() error {
	<-g.ctx.Done()
	g.mu.Lock()
	subs := g.subs
	g.mu.Unlock()
	for _, s := range subs {
		s.Drain()
	}
	limit := time.NewTimer(g.DrainFor)
	defer limit.Stop()
	for _, s := range subs {
		select {
		case <-s.Closed():
		case <-limit.C:
			for _, s := range subs {
				s.Stop()
			}
			<-s.Closed()
			limit.Reset(0)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.errs...)
}
