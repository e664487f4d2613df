package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
)

// drainWithin bounds how long an ordered end of receiving may take.
const drainWithin = 15 * time.Second

type receiveFlags struct {
	member  string
	count   int
	caught  bool
	verbose bool
}

func (a *app) receiveCommand() *cobra.Command {
	var f receiveFlags
	c := &cobra.Command{
		Use:   "receive NAME",
		Short: "Receive records as JSON lines, and acknowledge them",
		Long: `Receives the calling system's subscription and prints each record as one JSON line.
A record is acknowledged when its line is written; after a break it may come once
more, with the same "index". SIGTERM or SIGINT end it in order.`,
		Example: `  huitong subscription receive certificates >> certificates.jsonl
  huitong subscription receive certificates --until-caught-up | jq .record`,
		Args: cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, args []string) error { return a.receive(ctx, c, args[0], &f) }),
	}
	c.Flags().StringVar(&f.member, "member", "", "name of this member among those that share the subscription")
	c.Flags().IntVar(&f.count, "count", 0, "end after so many records")
	c.Flags().BoolVar(&f.caught, "until-caught-up", false, "end when everything published so far has come")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "note reconnects on standard error")
	return c
}

// deliveryView is a delivery as it is printed.
type deliveryView struct {
	Sequence uint64 `json:"sequence"`
	Attempt  uint32 `json:"attempt"`
	Late     bool   `json:"late,omitempty"`
	Snapshot bool   `json:"snapshot,omitempty"`
	*recordView
}

// receiver prints deliveries one after the other.
type receiver struct {
	app   *app
	show  *renderer
	count int

	mu   sync.Mutex
	out  *bufio.Writer
	got  int
	full func()
	// sub is there once opened is closed.
	sub    *sdk.Subscription
	opened chan struct{}
}

func (a *app) receive(ctx context.Context, c *sdk.Client, name string, f *receiveFlags) error {
	r := &receiver{app: a, show: newRenderer(c), count: f.count, out: bufio.NewWriter(a.out), opened: make(chan struct{})}
	enough := make(chan struct{})
	r.full = sync.OnceFunc(func() { close(enough) })
	options := []sdk.SubscribeOption{sdk.WithConcurrency(1), sdk.WithLapsed(func(why *fault.Error) {
		a.notef("deliveries stopped: %s (%s)\n", why.Message, why.Rule)
	})}
	if f.member != "" {
		options = append(options, sdk.WithMember(f.member))
	}
	if f.count > 0 {
		// One at a time: none is sent that is not wanted any more.
		options = append(options, sdk.WithInFlight(1, sdk.DefaultBytesInFlight))
	}
	if f.caught {
		options = append(options, sdk.WithCaughtUp(r.full))
	}
	if f.verbose {
		options = append(options, sdk.WithLogger(slog.New(slog.NewTextHandler(a.err, nil))))
	}
	// The end of ctx drains; it must not cut off what is being printed.
	s, err := c.Subscribe(context.WithoutCancel(ctx), name, r.handle, options...)
	if err != nil {
		return err
	}
	r.sub = s
	close(r.opened)
	select {
	case <-ctx.Done():
	case <-enough:
	case <-s.Closed():
	}
	s.Drain()
	ended := time.NewTimer(drainWithin)
	defer ended.Stop()
	select {
	case <-s.Closed():
	case <-ended.C:
		s.Stop()
		<-s.Closed()
	}
	a.notef("%d records received from %s\n", r.got, s.ID())
	return errors.Join(s.Err(), r.out.Flush())
}

var errEnough = errors.New("enough records were received")

// handle prints a delivery; it is acknowledged once its line is with the
// operating system.
func (r *receiver) handle(ctx context.Context, d *sdk.Delivery) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count > 0 && r.got == r.count {
		return sdk.RetryAfter(errEnough, time.Millisecond)
	}
	view, err := r.show.view(ctx, &d.Record, d.Release)
	if err != nil {
		return err
	}
	text, err := json.Marshal(&deliveryView{d.Sequence, d.Attempt, d.Late, d.Snapshot, view})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(r.out, "%s\n", text); err != nil {
		r.full()
		return err
	}
	if err := r.out.Flush(); err != nil {
		r.full()
		return err
	}
	if r.got++; r.got == r.count {
		// Before the acknowledgement makes room for another.
		<-r.opened
		r.sub.Drain()
		r.full()
	}
	return nil
}
