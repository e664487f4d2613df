package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// GroupService serves the groups of participants.
type GroupService struct {
	cataloguev1.UnimplementedGroupServiceServer
	Catalogue *catalog.Catalogue
}

// PutGroup implements the service.
func (s *GroupService) PutGroup(ctx context.Context, r *cataloguev1.PutGroupRequest) (*cataloguev1.PutGroupResponse, error) {
	if r.Group == nil {
		return nil, fault.Field("group", "group.required", "is required")
	}
	g, commit, err := s.Catalogue.PutGroup(ctx, change(ctx, r.ValidateOnly), r.Group)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.PutGroupResponse{Group: g, Receipt: receiptOf(commit)}, nil
}

// ListGroups implements the service.
func (s *GroupService) ListGroups(ctx context.Context, r *cataloguev1.ListGroupsRequest) (*cataloguev1.ListGroupsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Catalogue.Groups(CallerOf(ctx), page)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ListGroupsResponse{Groups: list, NextPageToken: nextPage(list, page, (*cataloguev1.Group).GetId)}, nil
}

// RemoveGroup implements the service.
func (s *GroupService) RemoveGroup(ctx context.Context, r *cataloguev1.RemoveGroupRequest) (*cataloguev1.RemoveGroupResponse, error) {
	g, commit, err := s.Catalogue.RemoveGroup(ctx, change(ctx, r.ValidateOnly), r.Id, r.Reason)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.RemoveGroupResponse{Group: g, Receipt: receiptOf(commit)}, nil
}
