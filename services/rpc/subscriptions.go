package rpc

import (
	"context"
	"errors"
	"io"
	"strconv"

	"google.golang.org/grpc"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/subscription"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// SubscriptionService is the part of the exchange service that is about
// subscriptions.
type SubscriptionService struct {
	Subscriptions *subscription.Manager
}

// Subscribe implements the service.
func (s *SubscriptionService) Subscribe(stream grpc.BidiStreamingServer[exchangev1.SubscribeRequest, exchangev1.SubscribeResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetOpen() == nil {
		return fault.Field("open", "subscribe.open", "the first message opens a subscription")
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	requests := make(chan *exchangev1.SubscribeRequest)
	broken := make(chan error, 1)
	go receive(ctx, stream, requests, broken)
	if err := s.Subscriptions.Receive(ctx, CallerOf(ctx), first.GetOpen(), requests, stream); err != nil {
		return err
	}
	select {
	case err := <-broken:
		return err
	default:
		return nil
	}
}

// receive hands requests on until the member has no more, or the call ends.
func receive(ctx context.Context, stream grpc.BidiStreamingServer[exchangev1.SubscribeRequest, exchangev1.SubscribeResponse],
	requests chan<- *exchangev1.SubscribeRequest, broken chan<- error,
) {
	defer close(requests)
	for {
		r, err := stream.Recv()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				broken <- err
			}
			return
		}
		select {
		case requests <- r:
		case <-ctx.Done():
			return
		}
	}
}

// CreateSubscription implements the service.
func (s *SubscriptionService) CreateSubscription(ctx context.Context, r *exchangev1.CreateSubscriptionRequest) (*exchangev1.CreateSubscriptionResponse, error) {
	if r.Subscription == nil {
		return nil, fault.Field("subscription", "subscription.required", "is required")
	}
	made, commit, err := s.Subscriptions.Create(ctx, CallerOf(ctx), r.Subscription, r.ValidateOnly)
	if err != nil {
		return nil, err
	}
	return &exchangev1.CreateSubscriptionResponse{Subscription: made, Receipt: receiptOf(commit)}, nil
}

// GetSubscription implements the service.
func (s *SubscriptionService) GetSubscription(ctx context.Context, r *exchangev1.GetSubscriptionRequest) (*exchangev1.GetSubscriptionResponse, error) {
	found, err := s.Subscriptions.Get(ctx, CallerOf(ctx), r.Id)
	if err != nil {
		return nil, err
	}
	return &exchangev1.GetSubscriptionResponse{Subscription: found}, nil
}

// ListSubscriptions implements the service.
func (s *SubscriptionService) ListSubscriptions(ctx context.Context, r *exchangev1.ListSubscriptionsRequest) (*exchangev1.ListSubscriptionsResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	list, err := s.Subscriptions.List(ctx, CallerOf(ctx), r.System, r.Topic, page)
	if err != nil {
		return nil, err
	}
	return &exchangev1.ListSubscriptionsResponse{
		Subscriptions: list, NextPageToken: nextPage(list, page, (*exchangev1.Subscription).GetId),
	}, nil
}

// PauseSubscription implements the service.
func (s *SubscriptionService) PauseSubscription(ctx context.Context, r *exchangev1.PauseSubscriptionRequest) (*exchangev1.PauseSubscriptionResponse, error) {
	now, commit, err := s.Subscriptions.Pause(ctx, CallerOf(ctx), r.Id, r.Reason, r.ValidateOnly)
	if err != nil {
		return nil, err
	}
	return &exchangev1.PauseSubscriptionResponse{Subscription: now, Receipt: receiptOf(commit)}, nil
}

// ResumeSubscription implements the service.
func (s *SubscriptionService) ResumeSubscription(ctx context.Context, r *exchangev1.ResumeSubscriptionRequest) (*exchangev1.ResumeSubscriptionResponse, error) {
	now, commit, err := s.Subscriptions.Resume(ctx, CallerOf(ctx), r.Id, r.ValidateOnly)
	if err != nil {
		return nil, err
	}
	return &exchangev1.ResumeSubscriptionResponse{Subscription: now, Receipt: receiptOf(commit)}, nil
}

// ResetSubscription implements the service.
func (s *SubscriptionService) ResetSubscription(ctx context.Context, r *exchangev1.ResetSubscriptionRequest) (*exchangev1.ResetSubscriptionResponse, error) {
	now, commit, err := s.Subscriptions.Reset(ctx, CallerOf(ctx), r.Id, r.Start, r.ValidateOnly)
	if err != nil {
		return nil, err
	}
	return &exchangev1.ResetSubscriptionResponse{Subscription: now, Receipt: receiptOf(commit)}, nil
}

// DeleteSubscription implements the service.
func (s *SubscriptionService) DeleteSubscription(ctx context.Context, r *exchangev1.DeleteSubscriptionRequest) (*exchangev1.DeleteSubscriptionResponse, error) {
	commit, err := s.Subscriptions.Delete(ctx, CallerOf(ctx), r.Id, r.ValidateOnly)
	if err != nil {
		return nil, err
	}
	return &exchangev1.DeleteSubscriptionResponse{Receipt: receiptOf(commit)}, nil
}

// ListDeadLetters implements the service.
func (s *SubscriptionService) ListDeadLetters(ctx context.Context, r *exchangev1.ListDeadLettersRequest) (*exchangev1.ListDeadLettersResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	after, err := sequenceOf(page)
	if err != nil {
		return nil, err
	}
	list, err := s.Subscriptions.DeadLetters(ctx, CallerOf(ctx), r.Subscription, after, page.Limit)
	if err != nil {
		return nil, err
	}
	key := func(d *exchangev1.DeadLetter) string { return strconv.FormatUint(d.Sequence, 10) }
	return &exchangev1.ListDeadLettersResponse{DeadLetters: list, NextPageToken: nextPage(list, page, key)}, nil
}

func sequenceOf(page catalog.Page) (uint64, error) {
	if page.After == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(page.After, 10, 62)
	if err != nil {
		return 0, fault.Field("page_token", "page_token", "is not one that the exchange gave")
	}
	return n, nil
}

// PeekDeadLetter implements the service.
func (s *SubscriptionService) PeekDeadLetter(ctx context.Context, r *exchangev1.PeekDeadLetterRequest) (*exchangev1.PeekDeadLetterResponse, error) {
	p, err := s.Subscriptions.Peek(ctx, CallerOf(ctx), r.Subscription, r.Sequence, r.Acting, r.Json)
	if err != nil {
		return nil, err
	}
	return &exchangev1.PeekDeadLetterResponse{
		DeadLetter: p.DeadLetter, Record: p.Record, Release: receiptOf(p.Commit), Proof: p.Commit.Proof,
	}, nil
}

// ReplayDeadLetters implements the service.
func (s *SubscriptionService) ReplayDeadLetters(ctx context.Context, r *exchangev1.ReplayDeadLettersRequest) (*exchangev1.ReplayDeadLettersResponse, error) {
	n, commit, err := s.Subscriptions.Replay(ctx, CallerOf(ctx), r.Subscription, r.Sequences, r.ValidateOnly)
	if err != nil {
		return nil, err
	}
	return &exchangev1.ReplayDeadLettersResponse{Replayed: n, Receipt: receiptOf(commit)}, nil
}
