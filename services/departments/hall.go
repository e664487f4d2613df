package departments

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/huitong-bus/huitong/sdk"
)

// HardshipSubsidy is the service item for which the hall asks: the living
// allowance for disabled persons in hardship, by its implementation code.
const HardshipSubsidy = "11999900MB000002780007110040001"

// Hall is the service hall's system: it keeps the standing of certificates as
// its subscriptions tell it, and asks the departments what an applicant would
// otherwise have to bring.
type Hall struct {
	client *sdk.Client

	mu       sync.Mutex
	standing map[string]map[string]Standing // by topic and record key
	changed  chan struct{}
}

// Standing is what the hall knows of a certificate.
type Standing struct {
	Status sdk.Status
	Reason string
	// Index is the ledger entry that says so, Came when the hall heard of it.
	Index uint64
	Came  time.Time
}

// NewHall makes the hall's system on a client of its own, which stays the
// caller's to close.
func NewHall(client *sdk.Client) *Hall {
	return &Hall{client: client, standing: make(map[string]map[string]Standing), changed: make(chan struct{})}
}

// Receive subscribes to topics, from each record's present version on, under
// one shutdown.
func (h *Hall) Receive(ctx context.Context, topics ...string) (*sdk.Group, error) {
	g := sdk.NewGroup(ctx)
	for _, topic := range topics {
		_, err := h.client.EnsureSubscription(ctx, sdk.NewSubscription{Name: topic, Topic: topic, Start: sdk.FromCurrent()})
		if err == nil {
			err = g.Subscribe(h.client, topic, h.keep)
		}
		if err != nil {
			g.Shutdown()
			return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
		}
	}
	return g, nil
}

// keep notes one delivery. It may come twice: noting it twice changes nothing.
func (h *Hall) keep(_ context.Context, d *sdk.Delivery) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	topic := h.standing[d.Topic]
	if topic == nil {
		topic = make(map[string]Standing)
		h.standing[d.Topic] = topic
	}
	topic[d.Key] = Standing{Status: d.Status, Reason: d.Reason, Index: d.Index, Came: time.Now()}
	close(h.changed)
	h.changed = make(chan struct{})
	return nil
}

// Received is how many certificates of a topic the hall knows of.
func (h *Hall) Received(topic string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.standing[topic])
}

// Standing gives what the hall knows of a certificate.
func (h *Hall) Standing(topic, key string) Standing {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.standing[topic][key]
}

// Await waits until what the hall knows satisfies a condition.
func (h *Hall) Await(ctx context.Context, holds func() bool) error {
	for {
		h.mu.Lock()
		changed := h.changed
		h.mu.Unlock()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Open opens a case of the hardship subsidy for an applicant and the family.
func (h *Hall) Open(ctx context.Context, clerk, number, applicant string, family ...string) error {
	subjects := []sdk.Subject{{Type: "111", Number: applicant, Role: "applicant"}}
	for _, member := range family {
		subjects = append(subjects, sdk.Subject{Type: "111", Number: member, Role: "member"})
	}
	_, err := h.client.OpenCase(ctx, sdk.NewCase{Number: number, Item: HardshipSubsidy, Person: clerk, Subjects: subjects})
	return err
}

// Ask queries one topic for one person in a case, as a clerk of the hall.
func (h *Hall) Ask(ctx context.Context, topic, resident, clerk, number string) (*sdk.Answer, error) {
	return h.client.Query(ctx, sdk.Query{
		Topic:  topic,
		Acting: sdk.Acting{Person: clerk, Purpose: HardshipSubsidy, Case: number},
		By:     sdk.BySubject(sdk.Subject{Type: "111", Number: resident}),
	})
}
