package node_test

import (
	"context"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// correctionRows are disputes: who has to do with the record raises one, and to
// others there is none.
func (p *permissions) correctionRows() []matrixRow {
	nothing := map[string]string{"A": notDepartment, "M": notDepartment, "W": notDepartment, "": "NOT_FOUND dispute.unknown + refused"}
	return []matrixRow{
		{"exchange.DisputeRecord", func(ctx context.Context, c clientsOf) error {
			return tried(c.DisputeRecord(ctx, &exchangev1.DisputeRecordRequest{
				Topic: "marriage", Index: p.published, Reason: "当事人说不对", ValidateOnly: true,
				Acting: &exchangev1.Acting{Person: "clerk-017", CaseNumber: "SF-2026-000042"},
			}))
		}, map[string]string{
			// The other system of g's department has no grant, but the department has
			// queried the record by now.
			"o": "INVALID dispute.own + refused", "g": "ok", "s": "ok", "d": "DENIED dispute.reliance + refused", "": notDepartment,
		}},
		{"exchange.WithdrawDispute", func(ctx context.Context, c clientsOf) error {
			return tried(c.WithdrawDispute(ctx, &exchangev1.WithdrawDisputeRequest{Dispute: p.published, Person: "clerk-017"}))
		}, nothing},
		{"exchange.AnswerDispute", func(ctx context.Context, c clientsOf) error {
			return tried(c.AnswerDispute(ctx, &exchangev1.AnswerDisputeRequest{
				Dispute: p.published, Person: "officer-3", Outcome: &exchangev1.AnswerDisputeRequest_Kept{Kept: true}, Reason: "核实无误",
			}))
		}, nothing},
		{"exchange.GetDispute", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetDispute(ctx, &exchangev1.GetDisputeRequest{Dispute: p.published}))
		}, map[string]string{"": "NOT_FOUND dispute.unknown", "W": "DENIED role.disputes + refused"}},
		{"exchange.ListDisputes", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListDisputes(ctx, &exchangev1.ListDisputesRequest{}))
		}, map[string]string{"": "ok", "W": "DENIED role.disputes + refused"}},
	}
}
