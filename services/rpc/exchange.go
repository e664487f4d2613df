package rpc

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/query"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// ExchangeService serves what moves records. It implements every method, and the
// compiler sees to it.
type ExchangeService struct {
	exchangev1.UnsafeExchangeServiceServer
	SubscriptionService
	DB      *store.DB
	Intake  *intake.Intake
	Queries *query.Queries
}

// Publish implements the service.
func (s *ExchangeService) Publish(ctx context.Context, r *exchangev1.PublishRequest) (*exchangev1.PublishResponse, error) {
	return s.Intake.Publish(ctx, CallerOf(ctx), r)
}

// streamWindow is how many calls of one stream may be under way; past it the
// stream is read no further, so a sender that does not wait costs no memory
// without bound.
const streamWindow = 32

type publishStream = exchangev1.ExchangeService_PublishStreamServer

// underWay is a call of a stream that waits for its commit, or was refused.
type underWay struct {
	pending *intake.Pending
	err     error
}

// PublishStream implements the service. Calls are checked one after the other
// and commit in the order they came in; while some wait for their commit the
// next are checked.
func (s *ExchangeService) PublishStream(stream publishStream) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	calls := make(chan underWay, streamWindow)
	answered := make(chan error, 1)
	go func() {
		answered <- answer(ctx, stream, calls)
		cancel()
	}()
	err := s.takeIn(ctx, stream, calls)
	close(calls)
	return errors.Join(err, <-answered)
}

// takeIn reads calls and begins them, until the stream ends.
func (s *ExchangeService) takeIn(ctx context.Context, stream publishStream, calls chan<- underWay) error {
	caller := CallerOf(ctx)
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case calls <- s.begin(ctx, caller, r.GetCall()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *ExchangeService) begin(ctx context.Context, caller *identity.Caller, r *exchangev1.PublishRequest) underWay {
	p, err := s.Intake.Begin(ctx, caller, r)
	return underWay{p, err}
}

// answer sends the answers in the order of the calls.
func answer(ctx context.Context, stream publishStream, calls <-chan underWay) error {
	for c := range calls {
		r := &exchangev1.PublishStreamResponse{}
		if c.err == nil {
			r.Response, c.err = c.pending.Wait(ctx)
		}
		if c.err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.Problem = intake.Problem(c.err)
		}
		if err := stream.Send(r); err != nil {
			return err
		}
	}
	return nil
}

// GetLastPosition implements the service.
func (s *ExchangeService) GetLastPosition(ctx context.Context, r *exchangev1.GetLastPositionRequest) (*exchangev1.GetLastPositionResponse, error) {
	if r.Source == "" || strings.ContainsFunc(r.Source, unicode.IsControl) {
		return nil, fault.Field("source", "source.name", "is required, without control characters")
	}
	position, at, err := journal.LastPosition(ctx, s.DB.Reader(), CallerOf(ctx).System, r.Source)
	if err != nil {
		return nil, err
	}
	if position == nil {
		return &exchangev1.GetLastPositionResponse{}, nil
	}
	return &exchangev1.GetLastPositionResponse{
		Position: &exchangev1.SourcePosition{Source: r.Source, Position: position},
		At:       timestamppb.New(time.UnixMicro(at).UTC()),
	}, nil
}

// Query implements the service.
func (s *ExchangeService) Query(ctx context.Context, r *exchangev1.QueryRequest) (*exchangev1.QueryResponse, error) {
	return s.Queries.Answer(ctx, CallerOf(ctx), r)
}

// Check implements the service.
func (s *ExchangeService) Check(ctx context.Context, r *exchangev1.CheckRequest) (*exchangev1.CheckResponse, error) {
	return s.Queries.Check(ctx, CallerOf(ctx), r)
}
