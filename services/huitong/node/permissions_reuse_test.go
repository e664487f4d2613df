package node_test

import (
	"context"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// reuseRows are the once-only step: for departments and their cases. No service
// item is published, so who gets that far learns no more.
func (p *permissions) reuseRows() []matrixRow {
	asked := &exchangev1.Acting{Person: acting.Person, Purpose: acting.Purpose, CaseNumber: acting.Case}
	subject := &ledgerv1.Subject{Type: "111", Number: "999999199001010016"}
	ask := func(call func(context.Context, clientsOf) error, method string) matrixRow {
		return matrixRow{method, call, map[string]string{
			"o": "NOT_FOUND item.unknown + refused", "g": "NOT_FOUND item.unknown + refused", "s": "NOT_FOUND item.unknown + refused", "d": "NOT_FOUND item.unknown + refused", "": notDepartment,
		}}
	}
	return []matrixRow{
		ask(func(ctx context.Context, c clientsOf) error {
			return tried(c.Prepare(ctx, &exchangev1.PrepareRequest{Acting: asked, Subject: subject}))
		}, "exchange.Prepare"),
		ask(func(ctx context.Context, c clientsOf) error {
			return tried(c.Preview(ctx, &exchangev1.PreviewRequest{Acting: asked, Subject: subject}))
		}, "exchange.Preview"),
		ask(func(ctx context.Context, c clientsOf) error {
			return tried(c.Collect(ctx, &exchangev1.CollectRequest{Acting: asked, Subject: subject}))
		}, "exchange.Collect"),
		ask(func(ctx context.Context, c clientsOf) error {
			return tried(c.ReportPapers(ctx, &exchangev1.ReportPapersRequest{Acting: asked, Subject: subject, Materials: []string{"a"}}))
		}, "exchange.ReportPapers"),
		{"exchange.Submit", func(ctx context.Context, c clientsOf) error {
			return tried(c.Submit(ctx, &exchangev1.SubmitRequest{Acting: asked, Material: &exchangev1.Publication{Topic: "marriage"}}))
		}, map[string]string{
			"o": "INVALID submit.contract + refused", "g": "DENIED topic.owner + refused", "s": "DENIED topic.owner + refused", "d": "DENIED topic.owner + refused", "": notDepartment,
		}},
		{"exchange.GetReuseStatistics", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetReuseStatistics(ctx, &exchangev1.GetReuseStatisticsRequest{}))
		}, map[string]string{"W": "DENIED role.ledger + refused", "": "ok"}},
	}
}
