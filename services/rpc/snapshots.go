package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/snapshot"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// SnapshotService serves full loads.
type SnapshotService struct {
	exchangev1.UnimplementedSnapshotServiceServer
	Loads *snapshot.Loads
}

// BeginSnapshot implements the service.
func (s *SnapshotService) BeginSnapshot(ctx context.Context, r *exchangev1.BeginSnapshotRequest) (*exchangev1.BeginSnapshotResponse, error) {
	return s.Loads.Begin(ctx, CallerOf(ctx), r)
}

// EndSnapshot implements the service.
func (s *SnapshotService) EndSnapshot(ctx context.Context, r *exchangev1.EndSnapshotRequest) (*exchangev1.EndSnapshotResponse, error) {
	return s.Loads.End(ctx, CallerOf(ctx), r)
}

// GetSnapshot implements the service.
func (s *SnapshotService) GetSnapshot(ctx context.Context, r *exchangev1.GetSnapshotRequest) (*exchangev1.GetSnapshotResponse, error) {
	found, err := s.Loads.Get(ctx, CallerOf(ctx), r.Topic)
	if err != nil {
		return nil, err
	}
	return &exchangev1.GetSnapshotResponse{Snapshot: found}, nil
}
