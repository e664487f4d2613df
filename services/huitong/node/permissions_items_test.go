package node_test

import (
	"context"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// itemRows: service items are public; reading them leaves no entry.
func (p *permissions) itemRows() []matrixRow {
	return []matrixRow{
		{"exchange.ListServiceItems", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListServiceItems(ctx, &exchangev1.ListServiceItemsRequest{}))
		}, map[string]string{"": "ok"}},
		{"exchange.GetServiceItem", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetServiceItem(ctx, &exchangev1.GetServiceItemRequest{Code: p.item}))
		}, map[string]string{"": "ok"}},
	}
}
