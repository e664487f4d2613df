package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// AccessService serves the grants.
type AccessService struct {
	accessv1.UnimplementedAccessServiceServer
	Policy *access.Policy
}

// CreateGrant implements the service.
func (s *AccessService) CreateGrant(ctx context.Context, r *accessv1.CreateGrantRequest) (*accessv1.CreateGrantResponse, error) {
	if r.Grant == nil {
		return nil, fault.Field("grant", "grant.required", "is required")
	}
	g, commit, err := s.Policy.Create(ctx, change(ctx, r.ValidateOnly), r.Grant)
	if err != nil {
		return nil, err
	}
	return &accessv1.CreateGrantResponse{Grant: g, Receipt: receiptOf(commit)}, nil
}

// GetGrant implements the service.
func (s *AccessService) GetGrant(ctx context.Context, r *accessv1.GetGrantRequest) (*accessv1.GetGrantResponse, error) {
	g, err := s.Policy.Get(CallerOf(ctx), r.Id)
	if err != nil {
		return nil, err
	}
	return &accessv1.GetGrantResponse{Grant: g}, nil
}

// ListGrants implements the service.
func (s *AccessService) ListGrants(ctx context.Context, r *accessv1.ListGrantsRequest) (*accessv1.ListGrantsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Policy.List(CallerOf(ctx), r.Topic, r.Consumer, page)
	if err != nil {
		return nil, err
	}
	return &accessv1.ListGrantsResponse{Grants: list, NextPageToken: nextPage(list, page, (*accessv1.Grant).GetId)}, nil
}

// SuspendGrant implements the service.
func (s *AccessService) SuspendGrant(ctx context.Context, r *accessv1.SuspendGrantRequest) (*accessv1.SuspendGrantResponse, error) {
	g, commit, err := s.Policy.Suspend(ctx, change(ctx, r.ValidateOnly), r.Id, r.Reason)
	if err != nil {
		return nil, err
	}
	return &accessv1.SuspendGrantResponse{Grant: g, Receipt: receiptOf(commit)}, nil
}

// ResumeGrant implements the service.
func (s *AccessService) ResumeGrant(ctx context.Context, r *accessv1.ResumeGrantRequest) (*accessv1.ResumeGrantResponse, error) {
	g, commit, err := s.Policy.Resume(ctx, change(ctx, r.ValidateOnly), r.Id)
	if err != nil {
		return nil, err
	}
	return &accessv1.ResumeGrantResponse{Grant: g, Receipt: receiptOf(commit)}, nil
}
