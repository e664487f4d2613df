package rpc

import (
	"context"
	"encoding/base64"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/subscription"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// EnrolmentService serves the subjects that subscriptions enrol.
type EnrolmentService struct {
	exchangev1.UnimplementedEnrolmentServiceServer
	Subscriptions *subscription.Manager
}

// EnrolSubjects implements the service.
func (s *EnrolmentService) EnrolSubjects(ctx context.Context, r *exchangev1.EnrolSubjectsRequest) (*exchangev1.EnrolSubjectsResponse, error) {
	done, err := s.Subscriptions.Enrol(ctx, CallerOf(ctx), r)
	if err != nil {
		return nil, err
	}
	return &exchangev1.EnrolSubjectsResponse{Enrolled: uint32(done.Enrolled), Owed: uint64(done.Owed), Receipt: receiptOf(done.Commit)}, nil
}

// RemoveSubjects implements the service.
func (s *EnrolmentService) RemoveSubjects(ctx context.Context, r *exchangev1.RemoveSubjectsRequest) (*exchangev1.RemoveSubjectsResponse, error) {
	done, err := s.Subscriptions.Remove(ctx, CallerOf(ctx), r)
	if err != nil {
		return nil, err
	}
	return &exchangev1.RemoveSubjectsResponse{Removed: uint32(done.Enrolled), Receipt: receiptOf(done.Commit)}, nil
}

// ListEnrolments implements the service.
func (s *EnrolmentService) ListEnrolments(ctx context.Context, r *exchangev1.ListEnrolmentsRequest) (*exchangev1.ListEnrolmentsResponse, error) {
	after, err := base64.RawURLEncoding.DecodeString(r.PageToken)
	if err != nil {
		return nil, fault.Field("page_token", "page_token", "is not one that the exchange gave")
	}
	list, next, err := s.Subscriptions.ListEnrolments(ctx, CallerOf(ctx), r.Subscription, after, int(min(r.PageSize, 1<<20)))
	if err != nil {
		return nil, err
	}
	return &exchangev1.ListEnrolmentsResponse{Enrolments: list, NextPageToken: base64.RawURLEncoding.EncodeToString(next)}, nil
}
