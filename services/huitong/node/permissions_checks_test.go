package node_test

import (
	"context"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// checkRows are what each role gets that asks a check of a topic whose grant
// names none: the owner queries its topic, nobody else has a grant for that.
func (p *permissions) checkRows(asked *exchangev1.Acting) []matrixRow {
	const noMode = "DENIED topic.delivery_mode + refused"
	return []matrixRow{
		{"exchange.Check", func(ctx context.Context, c clientsOf) error {
			return tried(c.Check(ctx, &exchangev1.CheckRequest{
				Topic: "marriage", Acting: asked, Check: "married", Subject: &ledgerv1.Subject{Type: "111", Number: earner},
			}))
		}, map[string]string{"o": "DENIED check.unknown + refused", "g": noMode, "s": noMode, "d": noMode, "": notDepartment}},
		// Who has nothing to use hears so; a witness has no use for the catalogue.
		{"access.AllowedTopics", func(ctx context.Context, c clientsOf) error {
			return tried(c.AllowedTopics(ctx, &accessv1.AllowedTopicsRequest{IncludeRefused: true}))
		}, map[string]string{"": "ok", "W": noCatalogue}},
	}
}
