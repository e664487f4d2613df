package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/consent"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// ConsentService serves consents.
type ConsentService struct {
	accessv1.UnimplementedConsentServiceServer
	Consents *consent.Consents
}

// GiveConsent implements the service.
func (s *ConsentService) GiveConsent(ctx context.Context, r *accessv1.GiveConsentRequest) (*accessv1.GiveConsentResponse, error) {
	return s.Consents.Give(ctx, CallerOf(ctx), r)
}

// RevokeConsent implements the service.
func (s *ConsentService) RevokeConsent(ctx context.Context, r *accessv1.RevokeConsentRequest) (*accessv1.RevokeConsentResponse, error) {
	return s.Consents.Revoke(ctx, CallerOf(ctx), r)
}

// GetConsent implements the service.
func (s *ConsentService) GetConsent(ctx context.Context, r *accessv1.GetConsentRequest) (*accessv1.GetConsentResponse, error) {
	found, err := s.Consents.Get(ctx, CallerOf(ctx), r.Digest)
	if err != nil {
		return nil, err
	}
	return &accessv1.GetConsentResponse{Consent: found}, nil
}

// ListConsents implements the service.
func (s *ConsentService) ListConsents(ctx context.Context, r *accessv1.ListConsentsRequest) (*accessv1.ListConsentsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Consents.List(ctx, CallerOf(ctx), r.CaseNumber, r.Subject, page)
	if err != nil {
		return nil, err
	}
	return &accessv1.ListConsentsResponse{Consents: list, NextPageToken: nextPage(list, page, consent.GivenKey)}, nil
}

// RepresentationService serves representations.
type RepresentationService struct {
	accessv1.UnimplementedRepresentationServiceServer
	Consents *consent.Consents
}

// RegisterRepresentation implements the service.
func (s *RepresentationService) RegisterRepresentation(ctx context.Context, r *accessv1.RegisterRepresentationRequest) (*accessv1.RegisterRepresentationResponse, error) {
	return s.Consents.RegisterRepresentation(ctx, CallerOf(ctx), r)
}

// EndRepresentation implements the service.
func (s *RepresentationService) EndRepresentation(ctx context.Context, r *accessv1.EndRepresentationRequest) (*accessv1.EndRepresentationResponse, error) {
	return s.Consents.EndRepresentation(ctx, CallerOf(ctx), r)
}

// GetRepresentation implements the service.
func (s *RepresentationService) GetRepresentation(ctx context.Context, r *accessv1.GetRepresentationRequest) (*accessv1.GetRepresentationResponse, error) {
	found, err := s.Consents.Representation(ctx, CallerOf(ctx), r.Digest)
	if err != nil {
		return nil, err
	}
	return &accessv1.GetRepresentationResponse{Representation: found}, nil
}

// ListRepresentations implements the service.
func (s *RepresentationService) ListRepresentations(ctx context.Context, r *accessv1.ListRepresentationsRequest) (*accessv1.ListRepresentationsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Consents.Representations(ctx, CallerOf(ctx), r.Principal, page)
	if err != nil {
		return nil, err
	}
	return &accessv1.ListRepresentationsResponse{Representations: list, NextPageToken: nextPage(list, page, consent.RecordedKey)}, nil
}

// IdentityProviderService serves identity providers.
type IdentityProviderService struct {
	accessv1.UnimplementedIdentityProviderServiceServer
	Consents *consent.Consents
}

// PutIdentityProvider implements the service.
func (s *IdentityProviderService) PutIdentityProvider(ctx context.Context, r *accessv1.PutIdentityProviderRequest) (*accessv1.PutIdentityProviderResponse, error) {
	if r.Provider == nil {
		return nil, fault.Field("provider", "identity_provider.required", "is required")
	}
	p, commit, err := s.Consents.Put(ctx, change(ctx, r.ValidateOnly), r.Provider)
	if err != nil {
		return nil, err
	}
	return &accessv1.PutIdentityProviderResponse{Provider: p, Receipt: receiptOf(commit)}, nil
}

// SuspendIdentityProvider implements the service.
func (s *IdentityProviderService) SuspendIdentityProvider(ctx context.Context, r *accessv1.SuspendIdentityProviderRequest) (*accessv1.SuspendIdentityProviderResponse, error) {
	p, commit, err := s.Consents.Suspend(ctx, change(ctx, r.ValidateOnly), r.Issuer, r.Reason)
	if err != nil {
		return nil, err
	}
	return &accessv1.SuspendIdentityProviderResponse{Provider: p, Receipt: receiptOf(commit)}, nil
}

// ResumeIdentityProvider implements the service.
func (s *IdentityProviderService) ResumeIdentityProvider(ctx context.Context, r *accessv1.ResumeIdentityProviderRequest) (*accessv1.ResumeIdentityProviderResponse, error) {
	p, commit, err := s.Consents.Resume(ctx, change(ctx, r.ValidateOnly), r.Issuer)
	if err != nil {
		return nil, err
	}
	return &accessv1.ResumeIdentityProviderResponse{Provider: p, Receipt: receiptOf(commit)}, nil
}

// ListIdentityProviders implements the service.
func (s *IdentityProviderService) ListIdentityProviders(ctx context.Context, r *accessv1.ListIdentityProvidersRequest) (*accessv1.ListIdentityProvidersResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Consents.Providers(ctx, CallerOf(ctx), page)
	if err != nil {
		return nil, err
	}
	return &accessv1.ListIdentityProvidersResponse{
		Providers: list, NextPageToken: nextPage(list, page, (*accessv1.IdentityProvider).GetIssuer),
	}, nil
}
