package node_test

import (
	"context"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// enrolmentRows are what each role gets on the subscription of g, whose grant is
// for all subjects.
func (p *permissions) enrolmentRows() []matrixRow {
	list := []*exchangev1.Enrolment{{Subject: &ledgerv1.Subject{Type: "111", Number: earner}, CaseNumber: acting.Case}}
	by := &exchangev1.Acting{Person: "clerk-017"}
	return []matrixRow{
		{"exchange.EnrolSubjects", func(ctx context.Context, c clientsOf) error {
			return tried(c.EnrolSubjects(ctx, &exchangev1.EnrolSubjectsRequest{Subscription: p.subscription, Enrolments: list, Acting: by, ValidateOnly: true}))
		}, map[string]string{"g": "CONFLICT enrolment.scope + refused", "": notTheirs}},
		{"exchange.RemoveSubjects", func(ctx context.Context, c clientsOf) error {
			return tried(c.RemoveSubjects(ctx, &exchangev1.RemoveSubjectsRequest{Subscription: p.subscription, Enrolments: list, Acting: by, ValidateOnly: true}))
		}, map[string]string{"g": "ok", "": notTheirs}},
		{"exchange.ListEnrolments", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListEnrolments(ctx, &exchangev1.ListEnrolmentsRequest{Subscription: p.subscription}))
		}, map[string]string{"g": "ok", "": notTheirs}},
	}
}
