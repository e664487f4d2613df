package sdk

import (
	"context"
	"iter"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// SubscriptionInfo is a subscription as the exchange keeps it.
type SubscriptionInfo = exchangev1.Subscription

// Start says where a subscription begins.
type Start = exchangev1.Start

// FromCurrent starts with each record's present version, then changes.
func FromCurrent() *Start { return &Start{From: &exchangev1.Start_Current{Current: true}} }

// FromNew starts with what is published from now on.
func FromNew() *Start { return &Start{From: &exchangev1.Start_New{New: true}} }

// FromAll starts with everything ever published on the topic.
func FromAll() *Start { return &Start{From: &exchangev1.Start_All{All: true}} }

// FromIndex starts at a ledger index.
func FromIndex(index uint64) *Start { return &Start{From: &exchangev1.Start_Index{Index: index}} }

// FromTime starts at a time.
func FromTime(t time.Time) *Start {
	return &Start{From: &exchangev1.Start_Time{Time: timestamppb.New(t)}}
}

// NewSubscription says how the exchange is to keep a subscription; zero values
// are its defaults.
type NewSubscription struct {
	Name  string
	Topic string
	// Start is where to begin; FromNew if nil.
	Start *Start
	// Lanes is how many members can share it; 4 if 0.
	Lanes int
	// AckWait is how long a delivery may stay unacknowledged; 30 s if 0.
	AckWait time.Duration
	// MaxAttempts before a dead letter; 5 if 0.
	MaxAttempts int
	// Backoff before the second attempt, doubled for each further one up to
	// MaxBackoff; 1 s and 5 min if 0.
	Backoff, MaxBackoff time.Duration
}

func (n NewSubscription) message() *exchangev1.Subscription {
	return &exchangev1.Subscription{
		Name: n.Name, Topic: n.Topic, Start: n.Start, Lanes: uint32(n.Lanes), MaxAttempts: uint32(n.MaxAttempts),
		AckWait: duration(n.AckWait), Backoff: duration(n.Backoff), MaxBackoff: duration(n.MaxBackoff),
	}
}

func duration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// CreateSubscription creates a subscription of the calling system.
func (c *Client) CreateSubscription(ctx context.Context, n NewSubscription) (*SubscriptionInfo, error) {
	resp, err := c.exchange().CreateSubscription(ctx, &exchangev1.CreateSubscriptionRequest{Subscription: n.message()})
	return resp.GetSubscription(), fault.FromStatus(err)
}

// EnsureSubscription creates the subscription unless it is there already; one
// that is there stays as it is. It looks first, for a refusal would be an entry each
// time that a program starts.
func (c *Client) EnsureSubscription(ctx context.Context, n NewSubscription) (*SubscriptionInfo, error) {
	info, err := c.GetSubscription(ctx, n.Name)
	if err == nil || fault.KindOf(err) != fault.NotFound {
		return info, err
	}
	info, err = c.CreateSubscription(ctx, n)
	if err != nil && fault.KindOf(err) == fault.AlreadyExists {
		return c.GetSubscription(ctx, n.Name)
	}
	return info, err
}

// GetSubscription gives a subscription with its standing, by id or own name.
func (c *Client) GetSubscription(ctx context.Context, name string) (*SubscriptionInfo, error) {
	resp, err := c.exchange().GetSubscription(ctx, &exchangev1.GetSubscriptionRequest{Id: c.subscriptionID(name)})
	return resp.GetSubscription(), fault.FromStatus(err)
}

// ListSubscriptions gives the calling system's subscriptions.
func (c *Client) ListSubscriptions(ctx context.Context) ([]*SubscriptionInfo, error) {
	var all []*SubscriptionInfo
	for token := ""; ; {
		resp, err := c.exchange().ListSubscriptions(ctx, &exchangev1.ListSubscriptionsRequest{PageToken: token})
		if err != nil {
			return nil, fault.FromStatus(err)
		}
		all = append(all, resp.GetSubscriptions()...)
		if token = resp.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// PauseSubscription stops deliveries until ResumeSubscription.
func (c *Client) PauseSubscription(ctx context.Context, name, reason string) error {
	_, err := c.exchange().PauseSubscription(ctx, &exchangev1.PauseSubscriptionRequest{Id: c.subscriptionID(name), Reason: reason})
	return fault.FromStatus(err)
}

// ResumeSubscription lets a paused subscription go on.
func (c *Client) ResumeSubscription(ctx context.Context, name string) error {
	_, err := c.exchange().ResumeSubscription(ctx, &exchangev1.ResumeSubscriptionRequest{Id: c.subscriptionID(name)})
	return fault.FromStatus(err)
}

// ResetSubscription moves the position; nobody may be receiving.
func (c *Client) ResetSubscription(ctx context.Context, name string, start *Start) error {
	_, err := c.exchange().ResetSubscription(ctx, &exchangev1.ResetSubscriptionRequest{Id: c.subscriptionID(name), Start: start})
	return fault.FromStatus(err)
}

// DeleteSubscription deletes a subscription with its position and dead letters.
func (c *Client) DeleteSubscription(ctx context.Context, name string) error {
	_, err := c.exchange().DeleteSubscription(ctx, &exchangev1.DeleteSubscriptionRequest{Id: c.subscriptionID(name)})
	return fault.FromStatus(err)
}

// DeadLetters goes through the dead letters of a subscription.
func (c *Client) DeadLetters(ctx context.Context, name string) iter.Seq2[*exchangev1.DeadLetter, error] {
	return func(yield func(*exchangev1.DeadLetter, error) bool) {
		req := &exchangev1.ListDeadLettersRequest{Subscription: c.subscriptionID(name), PageSize: 1000}
		for {
			resp, err := c.exchange().ListDeadLetters(ctx, req)
			if err != nil {
				yield(nil, fault.FromStatus(err))
				return
			}
			for _, d := range resp.GetDeadLetters() {
				if !yield(d, nil) {
					return
				}
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				return
			}
		}
	}
}

// ReplayDeadLetters delivers dead letters once more, marked late: those with the
// given sequences, or all.
func (c *Client) ReplayDeadLetters(ctx context.Context, name string, sequences ...uint64) (replayed uint64, err error) {
	resp, err := c.exchange().ReplayDeadLetters(ctx, &exchangev1.ReplayDeadLettersRequest{
		Subscription: c.subscriptionID(name), Sequences: sequences,
	})
	return resp.GetReplayed(), fault.FromStatus(err)
}

// subscriptionID completes one of the calling system's own names.
func (c *Client) subscriptionID(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return c.system + "/" + name
}
