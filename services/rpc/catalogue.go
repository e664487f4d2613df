package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// CatalogueService serves the catalogue. Who may do what is decided by the
// catalogue itself, in the transaction that does it.
type CatalogueService struct {
	cataloguev1.UnimplementedCatalogueServiceServer
	Catalogue *catalog.Catalogue
	Identity  *identity.Directory
}

func change(ctx context.Context, validateOnly bool) catalog.Change {
	return catalog.Change{Actor: CallerOf(ctx), ValidateOnly: validateOnly}
}

// RegisterParticipant implements the service.
func (s *CatalogueService) RegisterParticipant(ctx context.Context, r *cataloguev1.RegisterParticipantRequest) (*cataloguev1.RegisterParticipantResponse, error) {
	if r.Participant == nil {
		return nil, fault.Field("participant", "participant.required", "is required")
	}
	p, commit, err := s.Catalogue.RegisterParticipant(ctx, change(ctx, r.ValidateOnly), r.Participant)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.RegisterParticipantResponse{Participant: p, Receipt: receiptOf(commit)}, nil
}

// ListParticipants implements the service.
func (s *CatalogueService) ListParticipants(ctx context.Context, r *cataloguev1.ListParticipantsRequest) (*cataloguev1.ListParticipantsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Catalogue.Participants(ctx, CallerOf(ctx), page)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ListParticipantsResponse{Participants: list, NextPageToken: nextPage(list, page, (*cataloguev1.Participant).GetCode)}, nil
}

// SuspendParticipant implements the service.
func (s *CatalogueService) SuspendParticipant(ctx context.Context, r *cataloguev1.SuspendParticipantRequest) (*cataloguev1.SuspendParticipantResponse, error) {
	p, commit, err := s.Catalogue.SuspendParticipant(ctx, change(ctx, r.ValidateOnly), r.Code, r.Reason)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.SuspendParticipantResponse{Participant: p, Receipt: receiptOf(commit)}, nil
}

// ResumeParticipant implements the service.
func (s *CatalogueService) ResumeParticipant(ctx context.Context, r *cataloguev1.ResumeParticipantRequest) (*cataloguev1.ResumeParticipantResponse, error) {
	p, commit, err := s.Catalogue.ResumeParticipant(ctx, change(ctx, r.ValidateOnly), r.Code)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ResumeParticipantResponse{Participant: p, Receipt: receiptOf(commit)}, nil
}

// EnrolSystem implements the service.
func (s *CatalogueService) EnrolSystem(ctx context.Context, r *cataloguev1.EnrolSystemRequest) (*cataloguev1.EnrolSystemResponse, error) {
	id, err := systemID(r.System)
	if err != nil {
		return nil, err
	}
	enrolled, commit, err := s.Catalogue.EnrolSystem(ctx, change(ctx, r.ValidateOnly), catalog.Enrolment{
		ID: id, Title: r.System.Title, Roles: r.System.Roles,
		Request: r.CertificateRequest, Certificate: r.Certificate, Days: int(r.Days),
	})
	if err != nil {
		return nil, err
	}
	response := &cataloguev1.EnrolSystemResponse{System: enrolled.System, CaPem: s.Identity.Authority.PEM(), Receipt: receiptOf(commit)}
	if !r.ValidateOnly {
		// A certificate that is not in the ledger does not leave.
		response.Certificate = enrolled.Certificate
	}
	return response, nil
}

// systemID puts an id together from participant and name, where it is empty.
func systemID(m *cataloguev1.System) (string, error) {
	if m == nil {
		return "", fault.Field("system", "system.required", "is required")
	}
	id := m.Participant + "/" + m.Name
	switch {
	case m.Id == "":
		return id, nil
	case m.Participant == "" && m.Name == "", m.Id == id:
		return m.Id, nil
	}
	return "", fault.Field("system.id", "system.id", "is not <participant>/<name>")
}

// ListSystems implements the service.
func (s *CatalogueService) ListSystems(ctx context.Context, r *cataloguev1.ListSystemsRequest) (*cataloguev1.ListSystemsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Catalogue.Systems(ctx, CallerOf(ctx), r.Participant, page)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ListSystemsResponse{Systems: list, NextPageToken: nextPage(list, page, (*cataloguev1.System).GetId)}, nil
}

// RenewCertificate implements the service.
func (s *CatalogueService) RenewCertificate(ctx context.Context, r *cataloguev1.RenewCertificateRequest) (*cataloguev1.RenewCertificateResponse, error) {
	c, commit, err := s.Catalogue.RenewCertificate(ctx, change(ctx, r.ValidateOnly), r.System, r.CertificateRequest, int(r.Days))
	if err != nil {
		return nil, err
	}
	response := &cataloguev1.RenewCertificateResponse{CaPem: s.Identity.Authority.PEM(), Receipt: receiptOf(commit)}
	if !r.ValidateOnly {
		response.Certificate = c
	}
	return response, nil
}

// RevokeCertificate implements the service.
func (s *CatalogueService) RevokeCertificate(ctx context.Context, r *cataloguev1.RevokeCertificateRequest) (*cataloguev1.RevokeCertificateResponse, error) {
	c, commit, err := s.Catalogue.RevokeCertificate(ctx, change(ctx, r.ValidateOnly), r.Fingerprint, r.Reason)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.RevokeCertificateResponse{Certificate: c, Receipt: receiptOf(commit)}, nil
}

// ListCertificates implements the service.
func (s *CatalogueService) ListCertificates(ctx context.Context, r *cataloguev1.ListCertificatesRequest) (*cataloguev1.ListCertificatesResponse, error) {
	list, err := s.Catalogue.Certificates(ctx, CallerOf(ctx), r.System)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ListCertificatesResponse{Certificates: list}, nil
}

// SuspendSystem implements the service.
func (s *CatalogueService) SuspendSystem(ctx context.Context, r *cataloguev1.SuspendSystemRequest) (*cataloguev1.SuspendSystemResponse, error) {
	m, commit, err := s.Catalogue.SuspendSystem(ctx, change(ctx, r.ValidateOnly), r.Id, r.Reason)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.SuspendSystemResponse{System: m, Receipt: receiptOf(commit)}, nil
}

// ResumeSystem implements the service.
func (s *CatalogueService) ResumeSystem(ctx context.Context, r *cataloguev1.ResumeSystemRequest) (*cataloguev1.ResumeSystemResponse, error) {
	m, commit, err := s.Catalogue.ResumeSystem(ctx, change(ctx, r.ValidateOnly), r.Id)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ResumeSystemResponse{System: m, Receipt: receiptOf(commit)}, nil
}

// GetCaller implements the service.
func (s *CatalogueService) GetCaller(ctx context.Context, _ *cataloguev1.GetCallerRequest) (*cataloguev1.GetCallerResponse, error) {
	caller := CallerOf(ctx)
	system, err := s.Catalogue.System(caller.System)
	if err != nil {
		return nil, err
	}
	participant, err := s.Catalogue.Participant(caller.Participant)
	if err != nil {
		return nil, err
	}
	certificate, err := s.Catalogue.Certificate(ctx, caller.Fingerprint[:])
	if err != nil {
		return nil, err
	}
	return &cataloguev1.GetCallerResponse{
		System: system, Participant: participant, Certificate: certificate,
		LedgerOrigin: s.Identity.Keyring.Origin(), LedgerKey: s.Identity.Keyring.VerifierKey(),
	}, nil
}
