package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// CreateTopic implements the service.
func (s *CatalogueService) CreateTopic(ctx context.Context, r *cataloguev1.CreateTopicRequest) (*cataloguev1.CreateTopicResponse, error) {
	if r.Topic == nil {
		return nil, fault.Field("topic", "topic.required", "is required")
	}
	t, commit, err := s.Catalogue.CreateTopic(ctx, change(ctx, r.ValidateOnly), r.Topic)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.CreateTopicResponse{Topic: t, Receipt: receiptOf(commit)}, nil
}

// UpdateTopic implements the service.
func (s *CatalogueService) UpdateTopic(ctx context.Context, r *cataloguev1.UpdateTopicRequest) (*cataloguev1.UpdateTopicResponse, error) {
	if r.Topic == nil {
		return nil, fault.Field("topic", "topic.required", "is required")
	}
	t, commit, err := s.Catalogue.UpdateTopic(ctx, change(ctx, r.ValidateOnly), r.Topic)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.UpdateTopicResponse{Topic: t, Receipt: receiptOf(commit)}, nil
}

// SubmitTopic implements the service.
func (s *CatalogueService) SubmitTopic(ctx context.Context, r *cataloguev1.SubmitTopicRequest) (*cataloguev1.SubmitTopicResponse, error) {
	t, commit, err := s.Catalogue.SubmitTopic(ctx, change(ctx, r.ValidateOnly), r.Name)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.SubmitTopicResponse{Topic: t, Receipt: receiptOf(commit)}, nil
}

// ReviewTopic implements the service.
func (s *CatalogueService) ReviewTopic(ctx context.Context, r *cataloguev1.ReviewTopicRequest) (*cataloguev1.ReviewTopicResponse, error) {
	t, late, commit, err := s.Catalogue.ReviewTopic(ctx, change(ctx, r.ValidateOnly), catalog.Review{
		Topic: r.Name, Publish: r.Publish, Findings: r.Findings,
	})
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ReviewTopicResponse{Topic: t, Late: late, Receipt: receiptOf(commit)}, nil
}

// GetTopic implements the service.
func (s *CatalogueService) GetTopic(ctx context.Context, r *cataloguev1.GetTopicRequest) (*cataloguev1.GetTopicResponse, error) {
	t, err := s.Catalogue.TopicFor(CallerOf(ctx), r.Name)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.GetTopicResponse{Topic: t}, nil
}

// ListTopics implements the service.
func (s *CatalogueService) ListTopics(ctx context.Context, r *cataloguev1.ListTopicsRequest) (*cataloguev1.ListTopicsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Catalogue.Topics(ctx, CallerOf(ctx), catalog.TopicFilter{
		Provider: r.Provider, Category: r.Category, Text: r.Text, State: r.State, Class: r.SharingClass, ServiceItem: r.ServiceItem,
	}, page)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.ListTopicsResponse{Topics: list, NextPageToken: nextPage(list, page, (*cataloguev1.Topic).GetName)}, nil
}

// WithdrawTopic implements the service.
func (s *CatalogueService) WithdrawTopic(ctx context.Context, r *cataloguev1.WithdrawTopicRequest) (*cataloguev1.WithdrawTopicResponse, error) {
	t, commit, err := s.Catalogue.WithdrawTopic(ctx, change(ctx, r.ValidateOnly), r.Name, r.Reason)
	if err != nil {
		return nil, err
	}
	return &cataloguev1.WithdrawTopicResponse{Topic: t, Receipt: receiptOf(commit)}, nil
}
