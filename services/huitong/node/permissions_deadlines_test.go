package node_test

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/settings"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// deadlineRows are legal clocks, settings and calendar: everybody but a witness
// reads, the operator sets.
func (p *permissions) deadlineRows() []matrixRow {
	operators := map[string]string{"M": "ok", "": notOperator}
	readers := map[string]string{"": "ok", "W": noCatalogue}
	return []matrixRow{
		{"access.ListDeadlines", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListDeadlines(ctx, &accessv1.ListDeadlinesRequest{}))
		}, map[string]string{"": "ok", "W": "DENIED role.deadlines + refused"}},
		{"access.GetSettings", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetSettings(ctx, &accessv1.GetSettingsRequest{}))
		}, readers},
		{"access.SetSettings", func(ctx context.Context, c clientsOf) error {
			return tried(c.SetSettings(ctx, &accessv1.SetSettingsRequest{Settings: settings.Defaults(), ValidateOnly: true}))
		}, operators},
		{"access.GetCalendar", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetCalendar(ctx, &accessv1.GetCalendarRequest{}))
		}, readers},
		{"access.SetCalendarYear", func(ctx context.Context, c clientsOf) error {
			return tried(c.SetCalendarYear(ctx, &accessv1.SetCalendarYearRequest{Year: noticeOf(2100), ValidateOnly: true}))
		}, operators},
	}
}
