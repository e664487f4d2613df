package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/agreement"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// AgreementService serves the steps of agreements.
type AgreementService struct {
	accessv1.UnimplementedAgreementServiceServer
	Agreements *agreement.Agreements
}

// TakeStep implements the service.
func (s *AgreementService) TakeStep(ctx context.Context, r *accessv1.TakeStepRequest) (*accessv1.TakeStepResponse, error) {
	g, commit, err := s.Agreements.Take(ctx, CallerOf(ctx), r)
	if err != nil {
		return nil, err
	}
	return &accessv1.TakeStepResponse{Grant: g, Receipt: receiptOf(commit)}, nil
}

// GetAgreement implements the service.
func (s *AgreementService) GetAgreement(ctx context.Context, r *accessv1.GetAgreementRequest) (*accessv1.GetAgreementResponse, error) {
	list, force, err := s.Agreements.Get(ctx, CallerOf(ctx), r.Id)
	if err != nil {
		return nil, err
	}
	return &accessv1.GetAgreementResponse{Versions: list, InForce: force}, nil
}

// ListAgreements implements the service.
func (s *AgreementService) ListAgreements(ctx context.Context, r *accessv1.ListAgreementsRequest) (*accessv1.ListAgreementsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Agreements.List(ctx, CallerOf(ctx), r, page)
	if err != nil {
		return nil, err
	}
	return &accessv1.ListAgreementsResponse{
		Agreements: list, NextPageToken: nextPage(list, page, func(a *accessv1.Agreement) string { return a.Grant.Id }),
	}, nil
}
