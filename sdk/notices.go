package sdk

import (
	"context"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// NoticeSubscription is the name of the subscription to the notices for its
// department that every system has from its enrolment.
const NoticeSubscription = "notices"

// Notice tells a department what became of a record that it relied on, with its own
// numbers of the cases for which it did, or of a dispute.
type Notice = recordsv1.Notice

// SubscribeNotices hands every notice for the caller's department to handle, from
// the first that there ever was, by the subscription that the system has. A notice
// is acknowledged when handle returns nil. One that no system of the department
// acknowledges in time is told to the department and the operator on DeadlineTopic.
func (c *Client) SubscribeNotices(ctx context.Context, handle func(ctx context.Context, n *Notice) error, opts ...SubscribeOption) (*Subscription, error) {
	_, err := c.EnsureSubscription(ctx, NewSubscription{Name: NoticeSubscription, Topic: NoticeTopic, Start: FromAll()})
	if err != nil {
		return nil, err
	}
	return c.Subscribe(ctx, NoticeSubscription, Handle(func(ctx context.Context, _ *Delivery, n *Notice) error { return handle(ctx, n) }), opts...)
}
