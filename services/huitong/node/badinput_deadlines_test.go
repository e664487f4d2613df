package node_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/settings"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestBadSettingsAndCalendars: what cannot be is answered with its field and
// rule, and leaves nothing but its refusal.
func TestBadSettingsAndCalendars(t *testing.T) {
	x := nodetest.Start(t)
	c := accessv1.NewDeadlineServiceClient(x.Client.Conn())
	before := x.Node.Journal.Head().Size
	refused := func(err error, field, rule string) {
		t.Helper()
		var f *fault.Error
		if !asFault(fault.FromStatus(err), &f) || f.Kind != fault.Invalid || f.Rule != rule || len(f.Violations) == 0 || f.Violations[0].Field != field {
			t.Errorf("%s %s: %v", field, rule, err)
		}
	}
	for _, bad := range []struct {
		field, rule string
		change      func(s *accessv1.Settings)
	}{
		{"settings.max_open_requests", "settings.max_open_requests", func(s *accessv1.Settings) { s.MaxOpenRequests = 0 }},
		{"settings.max_thresholds", "settings.max_thresholds", func(s *accessv1.Settings) { s.MaxThresholds = 1 << 20 }},
		{"settings.max_removed_percent", "settings.max_removed_percent", func(s *accessv1.Settings) { s.MaxRemovedPercent = 101 }},
		{"settings.after_the_fact_hours", "settings.after_the_fact_hours", func(s *accessv1.Settings) { s.AfterTheFactHours = 1 << 31 }},
		{"settings.deadlines[0].kind", "settings.deadline.kind", func(s *accessv1.Settings) { s.Deadlines[0].Kind = "coffee" }},
		{"settings.deadlines[1].kind", "settings.deadline.kind", func(s *accessv1.Settings) { s.Deadlines[1].Kind = s.Deadlines[0].Kind }},
		{"settings.deadlines[2].days", "settings.deadline.days", func(s *accessv1.Settings) { s.Deadlines[2].Days = 0 }},
		{"settings.deadlines[2].extension", "settings.deadline.extension", func(s *accessv1.Settings) { s.Deadlines[2].Extension = 1000 }},
		{"settings.deadlines[3].basis", "settings.deadline.basis", func(s *accessv1.Settings) { s.Deadlines[3].Basis = "问11010519491231002X" }},
		{"settings.deadlines", "settings.deadline.required", func(s *accessv1.Settings) { s.Deadlines = s.Deadlines[1:] }},
	} {
		s := settings.Defaults()
		bad.change(s)
		_, err := c.SetSettings(t.Context(), &accessv1.SetSettingsRequest{Settings: s})
		refused(err, bad.field, bad.rule)
	}
	_, err := c.SetSettings(t.Context(), &accessv1.SetSettingsRequest{})
	refused(err, "settings", "settings.required")
	_, err = c.SetCalendarYear(t.Context(), &accessv1.SetCalendarYearRequest{})
	refused(err, "year", "year.required")
	y := noticeOf(2098)
	y.Holidays[0].Until = "soon"
	_, err = c.SetCalendarYear(t.Context(), &accessv1.SetCalendarYearRequest{Year: y})
	refused(err, "year.holidays[0].until", "date")
	_, err = c.ListDeadlines(t.Context(), &accessv1.ListDeadlinesRequest{DueBefore: "2026-02-30"})
	refused(err, "due_before", "date")
	_, err = c.ListDeadlines(t.Context(), &accessv1.ListDeadlinesRequest{PageToken: "!"})
	refused(err, "page_token", "page_token")
	for _, e := range entriesFrom(t, x, before) {
		if e.GetRefused() == nil {
			t.Errorf("left %s", kindOf(e))
		}
	}
}

// TestSettingsAreSetOnce: whoever sets by what is no longer in force is told so;
// a repeat changes nothing.
func TestSettingsAreSetOnce(t *testing.T) {
	x := nodetest.Start(t)
	c := accessv1.NewDeadlineServiceClient(x.Client.Conn())
	s := settings.Defaults()
	s.MaxThresholds = 7
	set, err := c.SetSettings(t.Context(), &accessv1.SetSettingsRequest{Settings: s})
	if err != nil || set.Settings.Version != 1 || set.Receipt == nil {
		t.Fatalf("%v %v", set, err)
	}
	again, err := c.SetSettings(t.Context(), &accessv1.SetSettingsRequest{Settings: s})
	if err != nil || again.Receipt != nil || again.Settings.Version != 1 {
		t.Errorf("a repeat: %v %v", again, err)
	}
	got, err := c.GetSettings(t.Context(), &accessv1.GetSettingsRequest{})
	if err != nil || !proto.Equal(got.Settings, set.Settings) {
		t.Errorf("%v %v", got, err)
	}
	if n := x.Node.Catalogue.Settings().MaxThresholds; n != 7 {
		t.Errorf("in memory it is %d", n)
	}
	other := settings.Defaults()
	other.MaxThresholds = 9
	_, err = c.SetSettings(t.Context(), &accessv1.SetSettingsRequest{Settings: other})
	if err := fault.FromStatus(err); fault.KindOf(err) != fault.Stale || fault.RuleOf(err) != "settings.version" {
		t.Error(err)
	}
}
