package rpc

import (
	"context"
	"encoding/base64"

	"github.com/huitong-bus/huitong/exchange/access"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// AllowedService tells callers what they may use.
type AllowedService struct {
	accessv1.UnimplementedAllowedServiceServer
	Policy *access.Policy
}

// AllowedTopics implements the service.
func (s *AllowedService) AllowedTopics(ctx context.Context, r *accessv1.AllowedTopicsRequest) (*accessv1.AllowedTopicsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, next, err := s.Policy.Allowed(ctx, CallerOf(ctx), r.Topic, r.IncludeRefused, page)
	if err != nil {
		return nil, err
	}
	return &accessv1.AllowedTopicsResponse{Topics: list, NextPageToken: base64.RawURLEncoding.EncodeToString([]byte(next))}, nil
}
