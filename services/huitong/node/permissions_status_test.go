package node_test

import (
	"context"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// statusRows: whoever is enrolled may ask how a certificate stands, without a
// grant and a case, and each answer is an entry.
func (p *permissions) statusRows() []matrixRow {
	return []matrixRow{
		{"exchange.GetStatus", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetStatus(ctx, &exchangev1.GetStatusRequest{Topic: "marriage", Key: p.key}))
		}, map[string]string{"": "ok + status_asked"}},
	}
}
