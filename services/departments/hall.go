package departments

import (
	"context"
	"fmt"
	"sync"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// HardshipSubsidy is the service item for which the hall asks: the living
// allowance for disabled persons in hardship.
const HardshipSubsidy = "000711004000"

// hallSubscription is the hall's name for what it subscribes to.
const hallSubscription = "disability-certificates"

// Hall is the service hall's system: it keeps the standing of disability
// certificates as the subscription tells it, and asks the departments what an
// applicant would otherwise have to bring.
type Hall struct {
	client *sdk.Client

	mu       sync.Mutex
	standing map[string]sdk.Status // by the record's opaque token
	received int
	revoked  chan *sdk.Delivery
}

// NewHall makes the hall's system on a client of its own, which stays the
// caller's to close.
func NewHall(client *sdk.Client) *Hall {
	return &Hall{client: client, standing: make(map[string]sdk.Status), revoked: make(chan *sdk.Delivery, 64)}
}

// Receive subscribes to disability certificates, from each one's present
// version on. caughtUp is told when all that was published is here.
func (h *Hall) Receive(ctx context.Context, caughtUp func()) (*sdk.Subscription, error) {
	_, err := h.client.EnsureSubscription(ctx, sdk.NewSubscription{
		Name: hallSubscription, Topic: Certificates, Start: sdk.FromCurrent(),
	})
	if err != nil {
		return nil, fmt.Errorf("create subscription: %w", err)
	}
	return h.client.Subscribe(ctx, hallSubscription, sdk.Handle(h.keep), sdk.WithCaughtUp(caughtUp))
}

// keep notes one delivery. A delivery may come twice; noting it twice changes
// the count only if it is another record.
func (h *Hall) keep(ctx context.Context, d *sdk.Delivery, _ *recordsv1.Certificate) error {
	h.mu.Lock()
	h.standing[string(d.Token)] = d.Status
	h.received = len(h.standing)
	h.mu.Unlock()
	if d.Status != sdk.Revoked {
		return nil
	}
	select {
	case h.revoked <- d:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Received is how many certificates the hall knows of.
func (h *Hall) Received() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.received
}

// Revoked gives each revocation as it comes.
func (h *Hall) Revoked() <-chan *sdk.Delivery { return h.revoked }

// Ask queries one topic for one person in a case, as a clerk of the hall.
func (h *Hall) Ask(ctx context.Context, topic, resident, clerk, number string) (*sdk.Answer, error) {
	return h.client.Query(ctx, sdk.Query{
		Topic:  topic,
		Acting: sdk.Acting{Person: clerk, Purpose: HardshipSubsidy, Case: number},
		By:     sdk.BySubject(sdk.Subject{Type: "111", Number: resident}),
	})
}
