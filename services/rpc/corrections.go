package rpc

import (
	"context"
	"strconv"

	"github.com/huitong-bus/huitong/exchange/correction"
	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// CorrectionService serves disputes.
type CorrectionService struct {
	exchangev1.UnimplementedCorrectionServiceServer
	Corrections *correction.Corrections
}

// DisputeRecord implements the service.
func (s *CorrectionService) DisputeRecord(ctx context.Context, r *exchangev1.DisputeRecordRequest) (*exchangev1.DisputeRecordResponse, error) {
	return s.Corrections.Dispute(ctx, CallerOf(ctx), r)
}

// WithdrawDispute implements the service.
func (s *CorrectionService) WithdrawDispute(ctx context.Context, r *exchangev1.WithdrawDisputeRequest) (*exchangev1.WithdrawDisputeResponse, error) {
	return s.Corrections.Withdraw(ctx, CallerOf(ctx), r)
}

// AnswerDispute implements the service.
func (s *CorrectionService) AnswerDispute(ctx context.Context, r *exchangev1.AnswerDisputeRequest) (*exchangev1.AnswerDisputeResponse, error) {
	return s.Corrections.Answer(ctx, CallerOf(ctx), r)
}

// GetDispute implements the service.
func (s *CorrectionService) GetDispute(ctx context.Context, r *exchangev1.GetDisputeRequest) (*exchangev1.GetDisputeResponse, error) {
	d, err := s.Corrections.Get(ctx, CallerOf(ctx), r.Dispute)
	if err != nil {
		return nil, err
	}
	return &exchangev1.GetDisputeResponse{Dispute: d}, nil
}

// ListDisputes implements the service.
func (s *CorrectionService) ListDisputes(ctx context.Context, r *exchangev1.ListDisputesRequest) (*exchangev1.ListDisputesResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	limit, err := page.Size()
	if err != nil {
		return nil, err
	}
	before := uint64(1) << 62
	if page.After != "" {
		if before, err = strconv.ParseUint(page.After, 10, 62); err != nil {
			return nil, fault.Field("page_token", "page_token", "is not one that the exchange gave")
		}
	}
	list, err := s.Corrections.List(ctx, CallerOf(ctx), r.Topic, r.Open, before, limit)
	if err != nil {
		return nil, err
	}
	entry := func(d *exchangev1.Dispute) string { return strconv.FormatUint(d.Entry, 10) }
	return &exchangev1.ListDisputesResponse{Disputes: list, NextPageToken: nextPage(list, page, entry)}, nil
}
