package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// DeadlineService serves deadlines, settings and calendar.
type DeadlineService struct {
	accessv1.UnimplementedDeadlineServiceServer
	Catalogue *catalog.Catalogue
	Deadlines *deadline.List
}

// ListDeadlines implements the service.
func (s *DeadlineService) ListDeadlines(ctx context.Context, r *accessv1.ListDeadlinesRequest) (*accessv1.ListDeadlinesResponse, error) {
	page, err := pageOf(r.PageSize, r.PageToken)
	if err != nil {
		return nil, err
	}
	size, err := page.Size()
	if err != nil {
		return nil, err
	}
	list, err := s.Deadlines.Find(ctx, CallerOf(ctx), deadline.Filter{
		Owner: r.Owner, Party: r.Party, Kind: deadline.Kind(r.Kind), Object: r.Object, Open: r.Open, Late: r.Late,
		DueBefore: r.DueBefore, After: page.After, Limit: size,
	})
	if err != nil {
		return nil, err
	}
	return &accessv1.ListDeadlinesResponse{Deadlines: list, NextPageToken: nextPage(list, page, deadline.Place)}, nil
}

// GetSettings implements the service.
func (s *DeadlineService) GetSettings(ctx context.Context, _ *accessv1.GetSettingsRequest) (*accessv1.GetSettingsResponse, error) {
	if err := s.Catalogue.MayRead(CallerOf(ctx)); err != nil {
		return nil, err
	}
	return &accessv1.GetSettingsResponse{Settings: s.Catalogue.Settings().Message()}, nil
}

// SetSettings implements the service.
func (s *DeadlineService) SetSettings(ctx context.Context, r *accessv1.SetSettingsRequest) (*accessv1.SetSettingsResponse, error) {
	if r.Settings == nil {
		return nil, fault.Field("settings", "settings.required", "is required")
	}
	set, commit, err := s.Catalogue.SetSettings(ctx, change(ctx, r.ValidateOnly), r.Settings)
	if err != nil {
		return nil, err
	}
	return &accessv1.SetSettingsResponse{Settings: set, Receipt: receiptOf(commit)}, nil
}

// GetCalendar implements the service.
func (s *DeadlineService) GetCalendar(ctx context.Context, r *accessv1.GetCalendarRequest) (*accessv1.GetCalendarResponse, error) {
	if err := s.Catalogue.MayRead(CallerOf(ctx)); err != nil {
		return nil, err
	}
	return &accessv1.GetCalendarResponse{Years: s.Catalogue.Settings().Calendar.Years(int(r.Year))}, nil
}

// SetCalendarYear implements the service.
func (s *DeadlineService) SetCalendarYear(ctx context.Context, r *accessv1.SetCalendarYearRequest) (*accessv1.SetCalendarYearResponse, error) {
	if r.Year == nil {
		return nil, fault.Field("year", "year.required", "is required")
	}
	set, commit, err := s.Catalogue.SetCalendarYear(ctx, change(ctx, r.ValidateOnly), r.Year)
	if err != nil {
		return nil, err
	}
	return &accessv1.SetCalendarYearResponse{Year: set, Receipt: receiptOf(commit)}, nil
}
