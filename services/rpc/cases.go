package rpc

import (
	"context"
	"strconv"

	"github.com/huitong-bus/huitong/exchange/cases"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// CaseService serves the cases.
type CaseService struct {
	accessv1.UnimplementedCaseServiceServer
	Cases *cases.Cases
}

// OpenCase implements the service.
func (s *CaseService) OpenCase(ctx context.Context, r *accessv1.OpenCaseRequest) (*accessv1.OpenCaseResponse, error) {
	c, commit, err := s.Cases.Open(ctx, CallerOf(ctx), r)
	if err != nil {
		return nil, err
	}
	return &accessv1.OpenCaseResponse{Case: c, Receipt: receiptOf(commit)}, nil
}

// CloseCase implements the service.
func (s *CaseService) CloseCase(ctx context.Context, r *accessv1.CloseCaseRequest) (*accessv1.CloseCaseResponse, error) {
	c, commit, err := s.Cases.Close(ctx, CallerOf(ctx), r)
	if err != nil {
		return nil, err
	}
	return &accessv1.CloseCaseResponse{Case: c, Receipt: receiptOf(commit)}, nil
}

// GetCase implements the service.
func (s *CaseService) GetCase(ctx context.Context, r *accessv1.GetCaseRequest) (*accessv1.GetCaseResponse, error) {
	c, err := s.Cases.Get(ctx, CallerOf(ctx), r.Number)
	if err != nil {
		return nil, err
	}
	return &accessv1.GetCaseResponse{Case: c}, nil
}

// ListCases implements the service.
func (s *CaseService) ListCases(ctx context.Context, r *accessv1.ListCasesRequest) (*accessv1.ListCasesResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Cases.List(ctx, CallerOf(ctx), r, page)
	if err != nil {
		return nil, err
	}
	next := nextPage(list, page, func(c *accessv1.Case) string { return strconv.FormatUint(c.Opened, 10) })
	return &accessv1.ListCasesResponse{Cases: list, NextPageToken: next}, nil
}
