package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/status"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// StatusService serves how records stand.
type StatusService struct {
	exchangev1.UnimplementedStatusServiceServer
	Statuses *status.Statuses
}

// GetStatus implements the service.
func (s *StatusService) GetStatus(ctx context.Context, r *exchangev1.GetStatusRequest) (*exchangev1.GetStatusResponse, error) {
	return s.Statuses.Answer(ctx, CallerOf(ctx), r)
}
