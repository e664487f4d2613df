package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/catalog"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// PersonService serves the officials of participants.
type PersonService struct {
	cataloguev1.UnimplementedPersonServiceServer
	Catalogue *catalog.Catalogue
}

// EnrolPerson implements the service.
func (s *PersonService) EnrolPerson(ctx context.Context, r *cataloguev1.EnrolPersonRequest) (*cataloguev1.EnrolPersonResponse, error) {
	p, commit, err := s.Catalogue.EnrolPerson(ctx, change(ctx, r.ValidateOnly), r)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.EnrolPersonResponse{Person: p, Receipt: receiptOf(commit)}, nil
}

// ListPersons implements the service.
func (s *PersonService) ListPersons(ctx context.Context, r *cataloguev1.ListPersonsRequest) (*cataloguev1.ListPersonsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Catalogue.Persons(ctx, CallerOf(ctx), r.Participant, page)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ListPersonsResponse{Persons: list, NextPageToken: nextPage(list, page, catalog.PersonKey)}, nil
}

// GetPerson implements the service.
func (s *PersonService) GetPerson(ctx context.Context, r *cataloguev1.GetPersonRequest) (*cataloguev1.GetPersonResponse, error) {
	p, err := s.Catalogue.GetPerson(ctx, CallerOf(ctx), r.Fingerprint)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.GetPersonResponse{Person: p}, nil
}

// ChangePerson implements the service.
func (s *PersonService) ChangePerson(ctx context.Context, r *cataloguev1.ChangePersonRequest) (*cataloguev1.ChangePersonResponse, error) {
	p, commit, err := s.Catalogue.ChangePerson(ctx, change(ctx, r.ValidateOnly), r.Fingerprint, r.Capacities, r.Name)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ChangePersonResponse{Person: p, Receipt: receiptOf(commit)}, nil
}

// SuspendPerson implements the service.
func (s *PersonService) SuspendPerson(ctx context.Context, r *cataloguev1.SuspendPersonRequest) (*cataloguev1.SuspendPersonResponse, error) {
	p, commit, err := s.Catalogue.SuspendPerson(ctx, change(ctx, r.ValidateOnly), r.Fingerprint, r.Reason)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.SuspendPersonResponse{Person: p, Receipt: receiptOf(commit)}, nil
}

// ResumePerson implements the service.
func (s *PersonService) ResumePerson(ctx context.Context, r *cataloguev1.ResumePersonRequest) (*cataloguev1.ResumePersonResponse, error) {
	p, commit, err := s.Catalogue.ResumePerson(ctx, change(ctx, r.ValidateOnly), r.Fingerprint)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ResumePersonResponse{Person: p, Receipt: receiptOf(commit)}, nil
}

// RemovePerson implements the service.
func (s *PersonService) RemovePerson(ctx context.Context, r *cataloguev1.RemovePersonRequest) (*cataloguev1.RemovePersonResponse, error) {
	p, commit, err := s.Catalogue.RemovePerson(ctx, change(ctx, r.ValidateOnly), r.Fingerprint, r.Reason)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.RemovePersonResponse{Person: p, Receipt: receiptOf(commit)}, nil
}
