package node_test

import (
	"context"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// snapshotRows are the full loads: of the topic's provider alone.
func (p *permissions) snapshotRows() []matrixRow {
	providers := func(answer string) map[string]string {
		return map[string]string{
			"o": answer, "g": "DENIED topic.owner + refused", "s": "DENIED topic.owner + refused", "d": "DENIED topic.owner + refused", "": notDepartment,
		}
	}
	return []matrixRow{
		{"exchange.BeginSnapshot", func(ctx context.Context, c clientsOf) error {
			return tried(c.BeginSnapshot(ctx, &exchangev1.BeginSnapshotRequest{Topic: "marriage", ValidateOnly: true}))
		}, providers("ok")},
		{"exchange.EndSnapshot", func(ctx context.Context, c clientsOf) error {
			return tried(c.EndSnapshot(ctx, &exchangev1.EndSnapshotRequest{Topic: "marriage"}))
		}, providers("DENIED signature.required + refused")},
		{"exchange.GetSnapshot", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetSnapshot(ctx, &exchangev1.GetSnapshotRequest{Topic: "marriage"}))
		}, providers("ok")},
	}
}
