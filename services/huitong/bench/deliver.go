package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// rates are the records a second at which delivery is measured.
var rates = []int{200, 2000}

// arriveWithin bounds the wait for the last deliveries of a case.
const arriveWithin = time.Minute

// deliver measures delivery with so many records already in: the time from
// publishing to the subscriber's handler, and how fast a new subscription
// catches up.
func (s *settings) deliver(ctx context.Context) (*Report, error) {
	r, err := newReport("Deliver: each delivery cut to its grant, entered in the ledger before it leaves, acknowledged with a signature", s.dir)
	if err != nil {
		return nil, err
	}
	in, err := install(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	caughtUp, err := s.deliverAll(ctx, r, &publisher{installation: in})
	if err := errors.Join(err, in.close()); err != nil {
		return nil, err
	}
	raw, err := s.rawConsumer(ctx, r, s.records)
	if err != nil {
		return nil, err
	}
	r.compare(caughtUp, raw)
	return r, nil
}

func (s *settings) deliverAll(ctx context.Context, r *Report, p *publisher) (caughtUp Row, err error) {
	if _, err := p.run(ctx, thousands, "", Limit{Records: s.records}); err != nil {
		return caughtUp, err
	}
	hall, err := p.connect(ctx, p.hall, 1)
	if err != nil {
		return caughtUp, err
	}
	for _, rate := range rates {
		row, err := p.toHandler(ctx, hall, rate, s.duration)
		if err != nil {
			return caughtUp, err
		}
		r.add(row)
	}
	caughtUp, err = p.catchUp(ctx, hall, s.records)
	return r.add(caughtUp), err
}

// journey measures the time from publishing to the handler, of records that are
// known by their serial number.
type journey struct {
	first   int
	sent    []atomic.Int64 // when each was due to be published, ns after began
	began   time.Time
	meter   *meter
	arrived atomic.Int64
}

// handle is the subscriber's handler.
func (j *journey) handle(_ context.Context, _ *sdk.Delivery, c *recordsv1.Certificate) error {
	n := serial(c.GetIdentifier()) - j.first
	if n < 0 || n >= len(j.sent) {
		return nil // published before
	}
	if at := j.sent[n].Swap(0); at != 0 { // else it came before
		j.meter.add(1, time.Since(j.began)-time.Duration(at))
		j.arrived.Add(1)
	}
	return nil
}

// serial reads the number out of a certificate's identifier.
func serial(identifier string) int {
	parts := strings.Split(identifier, ".")
	n, err := strconv.Atoi(strings.TrimPrefix(parts[max(0, len(parts)-3)], "2022"))
	if err != nil {
		return -1
	}
	return n
}

// toHandler publishes at an even rate and measures the time from when each
// record was due to its handler: a publisher that falls behind counts too.
func (p *publisher) toHandler(ctx context.Context, hall *sdk.Client, rate int, lasting time.Duration) (row Row, err error) {
	name := fmt.Sprintf("rate-%d", rate)
	if _, err := hall.CreateSubscription(ctx, sdk.NewSubscription{Name: name, Topic: topic, Start: sdk.FromNew()}); err != nil {
		return row, err
	}
	count := int(lasting.Seconds() * float64(rate))
	j := &journey{first: int(p.next.Load()) + 1, sent: make([]atomic.Int64, count)}
	ready := make(chan struct{})
	var once sync.Once
	subscription, err := hall.Subscribe(ctx, name, sdk.Handle(j.handle), sdk.WithCaughtUp(func() { once.Do(func() { close(ready) }) }))
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, drained(ctx, subscription)) }()
	if err := within(ctx, ready); err != nil {
		return row, err
	}
	if err := p.paced(ctx, j, rate); err != nil {
		return row, err
	}
	under := count - int(j.arrived.Load())
	if err := p.allArrived(ctx, j); err != nil {
		return row, err
	}
	row = j.meter.row(fmt.Sprintf("publish to handler, %d/s", rate))
	row.Note = fmt.Sprintf("%d under way at the end", under)
	return row, nil
}

// paced publishes the journey's records at an even rate.
func (p *publisher) paced(ctx context.Context, j *journey, rate int) (err error) {
	source, err := p.connect(ctx, p.source, 1)
	if err != nil {
		return err
	}
	publisher := source.Publisher(sdk.PublisherConfig{})
	defer func() { err = errors.Join(err, publisher.Close(ctx)) }()
	certificates := sdk.For[*recordsv1.Certificate](publisher, topic)
	// The first record of a client fetches the contract: it is not measured.
	if _, err := certificates.Publish(ctx, certificate(0)); err != nil {
		return err
	}
	// The journey begins now; the meter with it.
	j.meter, j.began = newMeter(), time.Now()
	p.next.Add(int64(len(j.sent)))
	for n := range j.sent {
		due := time.Duration(n) * time.Second / time.Duration(rate)
		if wait := due - time.Since(j.began); wait > 0 {
			if err := pause(ctx, wait); err != nil {
				return err
			}
		}
		j.sent[n].Store(int64(max(due, 1)))
		if _, err := certificates.PublishAsync(ctx, certificate(j.first+n)); err != nil {
			return err
		}
	}
	return nil
}

func (p *publisher) allArrived(ctx context.Context, j *journey) error {
	end := time.Now().Add(arriveWithin)
	for int(j.arrived.Load()) < len(j.sent) {
		if time.Now().After(end) {
			return fmt.Errorf("of %d records %d arrived", len(j.sent), j.arrived.Load())
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// catchUp measures how fast a new subscription receives what is there already.
func (p *publisher) catchUp(ctx context.Context, hall *sdk.Client, count int) (row Row, err error) {
	if _, err := hall.CreateSubscription(ctx, sdk.NewSubscription{Name: "catch-up", Topic: topic, Start: sdk.FromAll()}); err != nil {
		return row, err
	}
	done := make(chan struct{})
	m := newMeter()
	subscription, err := hall.Subscribe(ctx, "catch-up", func(context.Context, *sdk.Delivery) error {
		if m.records.Add(1) == int64(count) {
			close(done)
		}
		return nil
	})
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, drained(ctx, subscription)) }()
	if err := within(ctx, done); err != nil {
		return row, fmt.Errorf("of %d records %d arrived: %w", count, m.records.Load(), err)
	}
	return m.row("catch-up of a new subscription"), nil
}

// drained ends a subscription in order.
func drained(ctx context.Context, s *sdk.Subscription) error {
	s.Drain()
	return errors.Join(within(ctx, s.Closed()), s.Err())
}

func within(ctx context.Context, done <-chan struct{}) error {
	limit := time.NewTimer(arriveWithin)
	defer limit.Stop()
	select {
	case <-done:
		return nil
	case <-limit.C:
		return errors.New("not within a minute")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
