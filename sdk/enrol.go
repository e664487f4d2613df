package sdk

import (
	"context"
	"iter"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Enrolment is a subject that a subscription is told of, with the case that it is
// enrolled for.
type Enrolment struct {
	Subject Subject
	Case    string
	// Index is of the entry that enrolled it, At is when that was: set by
	// Enrolments, and not looked at by Enrol and Remove.
	Index uint64
	At    time.Time
}

func enrolments(list []Enrolment) []*exchangev1.Enrolment {
	out := make([]*exchangev1.Enrolment, len(list))
	for i, e := range list {
		out[i] = &exchangev1.Enrolment{Subject: &ledgerv1.Subject{Type: e.Subject.Type, Number: e.Subject.Number}, CaseNumber: e.Case}
	}
	return out
}

// Enrol adds subjects to a subscription whose grant is for enrolled subjects. Their
// present records are delivered, marked as a snapshot, then each change of them.
// It gives how many were not enrolled before.
func (c *Client) Enrol(ctx context.Context, subscription, person string, list ...Enrolment) (int, error) {
	answer, err := c.enrolments().EnrolSubjects(ctx, &exchangev1.EnrolSubjectsRequest{
		Subscription: subscription, Enrolments: enrolments(list), Acting: &exchangev1.Acting{Person: person},
	})
	return int(answer.GetEnrolled()), fault.FromStatus(err)
}

// Remove removes subjects; with an empty case, whatever they were enrolled for.
// Nothing about them leaves behind it. It gives how many enrolments ended.
func (c *Client) Remove(ctx context.Context, subscription, person string, list ...Enrolment) (int, error) {
	answer, err := c.enrolments().RemoveSubjects(ctx, &exchangev1.RemoveSubjectsRequest{
		Subscription: subscription, Enrolments: enrolments(list), Acting: &exchangev1.Acting{Person: person},
	})
	return int(answer.GetRemoved()), fault.FromStatus(err)
}

// Enrolments goes through whom a subscription of the calling system has enrolled.
// Whoever was removed, or whose case is closed, is not among them.
func (c *Client) Enrolments(ctx context.Context, subscription string) iter.Seq2[Enrolment, error] {
	return func(yield func(Enrolment, error) bool) {
		req := &exchangev1.ListEnrolmentsRequest{Subscription: subscription, PageSize: 500}
		for {
			resp, err := c.enrolments().ListEnrolments(ctx, req)
			if err != nil {
				yield(Enrolment{}, fault.FromStatus(err))
				return
			}
			for _, e := range resp.GetEnrolments() {
				subject := Subject{Type: e.GetSubject().GetType(), Number: e.GetSubject().GetNumber()}
				if !yield(Enrolment{Subject: subject, Case: e.GetCaseNumber(), Index: e.GetIndex(), At: e.GetAt().AsTime()}, nil) {
					return
				}
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				return
			}
		}
	}
}

func (c *Client) enrolments() exchangev1.EnrolmentServiceClient {
	return exchangev1.NewEnrolmentServiceClient(c.Conn())
}
