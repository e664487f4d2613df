package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/reuse"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// ReuseService serves the once-only step.
type ReuseService struct {
	exchangev1.UnimplementedReuseServiceServer
	Reuse *reuse.Reuse
}

// Prepare implements the service.
func (s *ReuseService) Prepare(ctx context.Context, r *exchangev1.PrepareRequest) (*exchangev1.PrepareResponse, error) {
	return s.Reuse.Prepare(ctx, CallerOf(ctx), r)
}

// Preview implements the service.
func (s *ReuseService) Preview(ctx context.Context, r *exchangev1.PreviewRequest) (*exchangev1.PreviewResponse, error) {
	return s.Reuse.Preview(ctx, CallerOf(ctx), r)
}

// Collect implements the service.
func (s *ReuseService) Collect(ctx context.Context, r *exchangev1.CollectRequest) (*exchangev1.CollectResponse, error) {
	return s.Reuse.Collect(ctx, CallerOf(ctx), r)
}

// Submit implements the service.
func (s *ReuseService) Submit(ctx context.Context, r *exchangev1.SubmitRequest) (*exchangev1.SubmitResponse, error) {
	return s.Reuse.Submit(ctx, CallerOf(ctx), r)
}

// ReportPapers implements the service.
func (s *ReuseService) ReportPapers(ctx context.Context, r *exchangev1.ReportPapersRequest) (*exchangev1.ReportPapersResponse, error) {
	return s.Reuse.ReportPapers(ctx, CallerOf(ctx), r)
}

// GetReuseStatistics implements the service.
func (s *ReuseService) GetReuseStatistics(ctx context.Context, r *exchangev1.GetReuseStatisticsRequest) (*exchangev1.GetReuseStatisticsResponse, error) {
	return s.Reuse.Statistics(ctx, CallerOf(ctx), r)
}

// ItemService serves service items.
type ItemService struct {
	exchangev1.UnimplementedItemServiceServer
	Reuse *reuse.Reuse
}

// ListServiceItems implements the service.
func (s *ItemService) ListServiceItems(ctx context.Context, r *exchangev1.ListServiceItemsRequest) (*exchangev1.ListServiceItemsResponse, error) {
	return s.Reuse.Items(ctx, CallerOf(ctx), r)
}

// GetServiceItem implements the service.
func (s *ItemService) GetServiceItem(ctx context.Context, r *exchangev1.GetServiceItemRequest) (*exchangev1.GetServiceItemResponse, error) {
	return s.Reuse.Item(ctx, CallerOf(ctx), r)
}
