package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/fanout"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// FanOutService serves fan-outs.
type FanOutService struct {
	exchangev1.UnimplementedFanOutServiceServer
	FanOuts *fanout.FanOuts
}

// AskAll implements the service.
func (s *FanOutService) AskAll(r *exchangev1.AskAllRequest, stream exchangev1.FanOutService_AskAllServer) error {
	ctx := stream.Context()
	done, err := s.FanOuts.Ask(ctx, CallerOf(ctx), r, func(p *exchangev1.FanOutProgress) error {
		return stream.Send(&exchangev1.AskAllResponse{Message: &exchangev1.AskAllResponse_Progress{Progress: p}})
	})
	if err != nil {
		return err
	}
	return stream.Send(&exchangev1.AskAllResponse{Message: &exchangev1.AskAllResponse_Done{Done: done}})
}

// GetFanOut implements the service.
func (s *FanOutService) GetFanOut(r *exchangev1.GetFanOutRequest, stream exchangev1.FanOutService_GetFanOutServer) error {
	ctx := stream.Context()
	done, err := s.FanOuts.Get(ctx, CallerOf(ctx), r, func(p *exchangev1.FanOutProgress) error {
		return stream.Send(&exchangev1.GetFanOutResponse{Message: &exchangev1.GetFanOutResponse_Progress{Progress: p}})
	})
	if err != nil {
		return err
	}
	return stream.Send(&exchangev1.GetFanOutResponse{Message: &exchangev1.GetFanOutResponse_Done{Done: done}})
}

// AnswerRequest implements the service.
func (s *FanOutService) AnswerRequest(ctx context.Context, r *exchangev1.AnswerRequestRequest) (*exchangev1.AnswerRequestResponse, error) {
	return s.FanOuts.Answer(ctx, CallerOf(ctx), r)
}

// EraseFanOut implements the service.
func (s *FanOutService) EraseFanOut(ctx context.Context, r *exchangev1.EraseFanOutRequest) (*exchangev1.EraseFanOutResponse, error) {
	return s.FanOuts.Erase(ctx, CallerOf(ctx), r)
}
