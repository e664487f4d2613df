package sdk

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Case is an application as the exchange keeps it.
type Case = accessv1.Case

// NewCase says for which application records are going to be read.
type NewCase struct {
	// Number is the department's own.
	Number string
	// Item is the code of the service item.
	Item string
	// Subjects are whom it is about, each with its role.
	Subjects []Subject
	// Person is the official who opens it, by the department's own reference.
	Person string
	// AppliedAt is when the application was made; now if zero.
	AppliedAt time.Time
	// AfterTheFact says that it is opened after the fact, and Reason why.
	AfterTheFact bool
	Reason       string
}

// OpenCase opens a case. Whatever is read for a case needs it to be open and to
// name who is asked about. A repeat with the same content changes nothing.
func (c *Client) OpenCase(ctx context.Context, n NewCase) (*Case, error) {
	r := &accessv1.OpenCaseRequest{Number: n.Number, Item: n.Item, Person: n.Person, AfterTheFact: n.AfterTheFact, Reason: n.Reason}
	for _, s := range n.Subjects {
		r.Subjects = append(r.Subjects, &ledgerv1.Subject{Type: s.Type, Number: s.Number, Role: s.Role})
	}
	if !n.AppliedAt.IsZero() {
		r.AppliedAt = timestamppb.New(n.AppliedAt)
	}
	answer, err := accessv1.NewCaseServiceClient(c.Conn()).OpenCase(ctx, r)
	return answer.GetCase(), fault.FromStatus(err)
}

// CloseCase closes a case for good: nothing more is read for it.
func (c *Client) CloseCase(ctx context.Context, number, person, outcome string) (*Case, error) {
	answer, err := accessv1.NewCaseServiceClient(c.Conn()).CloseCase(ctx, &accessv1.CloseCaseRequest{Number: number, Person: person, Outcome: outcome})
	return answer.GetCase(), fault.FromStatus(err)
}

// Case gives one of the department's cases.
func (c *Client) Case(ctx context.Context, number string) (*Case, error) {
	answer, err := accessv1.NewCaseServiceClient(c.Conn()).GetCase(ctx, &accessv1.GetCaseRequest{Number: number})
	return answer.GetCase(), fault.FromStatus(err)
}
