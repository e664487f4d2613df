package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/catalog"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// RegisterContract implements the service. A contract that is wrong or
// incompatible is answered with findings, not with an error.
func (s *CatalogueService) RegisterContract(ctx context.Context, r *cataloguev1.RegisterContractRequest) (*cataloguev1.RegisterContractResponse, error) {
	v, commit, err := s.Catalogue.RegisterContract(ctx, change(ctx, r.ValidateOnly), catalog.Registration{
		Name: r.Name, DescriptorSet: r.DescriptorSet, Compatibility: r.Compatibility,
	})
	if err != nil {
		return nil, err
	}
	return &cataloguev1.RegisterContractResponse{
		Contract: v.Contract, Findings: findingsOf(v.Findings), Unchanged: v.Unchanged, Receipt: receiptOf(commit),
	}, nil
}

// GetContract implements the service.
func (s *CatalogueService) GetContract(ctx context.Context, r *cataloguev1.GetContractRequest) (*cataloguev1.GetContractResponse, error) {
	if err := s.Catalogue.MayRead(CallerOf(ctx)); err != nil {
		return nil, err
	}
	m, err := s.Catalogue.Contract(ctx, r.Name, r.Version)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.GetContractResponse{Contract: m}, nil
}

// ListContracts implements the service.
func (s *CatalogueService) ListContracts(ctx context.Context, r *cataloguev1.ListContractsRequest) (*cataloguev1.ListContractsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Catalogue.Contracts(ctx, CallerOf(ctx), page)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ListContractsResponse{Contracts: list, NextPageToken: nextPage(list, page, (*cataloguev1.Contract).GetName)}, nil
}
