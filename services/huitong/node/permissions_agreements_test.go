package node_test

import (
	"context"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// agreementRows are what each role gets; who takes which step is in the table of
// exchange/agreement and its tests. A statement that nobody signed comes from
// nobody.
func (p *permissions) agreementRows() []matrixRow {
	return []matrixRow{
		{"access.TakeStep", func(ctx context.Context, c clientsOf) error {
			return tried(c.TakeStep(ctx, &accessv1.TakeStepRequest{Statement: []byte("\x0a\x01x"), ValidateOnly: true}))
		}, map[string]string{"": "DENIED step.origin + refused"}},
		{"access.GetAgreement", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetAgreement(ctx, &accessv1.GetAgreementRequest{Id: p.grant}))
		}, map[string]string{"": "ok", "d": "NOT_FOUND grant.unknown", "W": noCatalogue}},
		{"access.ListAgreements", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListAgreements(ctx, &accessv1.ListAgreementsRequest{}))
		}, map[string]string{"": "ok", "W": noCatalogue}},
	}
}
