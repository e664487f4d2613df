package cli

import (
	"context"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func deadlines(c *sdk.Client) accessv1.DeadlineServiceClient {
	return accessv1.NewDeadlineServiceClient(c.Conn())
}

// readObject reads a file of protobuf-JSON into a message.
func readObject(path string, m proto.Message) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(raw, m); err != nil {
		return usageError("%s is not what is expected there: %v", path, err)
	}
	return nil
}

func (a *app) settingsCommand() *cobra.Command {
	return noun("settings", "Keep what the exchange's operator may set", a.settingsShow(), a.settingsSet())
}

func (a *app) settingsShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show how long deadlines run, and limits", Args: cobra.NoArgs,
		Example: `  huitong settings show
  huitong settings show --output json > settings.json   # to be changed and set`,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			resp, err := deadlines(c).GetSettings(ctx, &accessv1.GetSettingsRequest{})
			if err != nil {
				return fault.FromStatus(err)
			}
			s := resp.GetSettings()
			version := itoa(s.GetVersion())
			if s.GetVersion() == 0 {
				version = "0 (defaults)"
			}
			if err := a.show(s, pair{"version", version},
				pair{"open requests", "at most " + itoa(s.GetMaxOpenRequests()) + " of a participant"},
				pair{"thresholds", "at most " + itoa(s.GetMaxThresholds()) + " distinct ones of a subject in a case"},
				pair{"full load", "ends at most " + itoa(s.GetMaxRemovedPercent()) + " % of a topic's records"},
				pair{"status", "at most " + itoa(s.GetMaxStatusQuestions()) + " questions of a participant in an hour"},
				pair{"expiry", "is told to cases that ended at most " + itoa(s.GetExpiryNoticeDays()) + " days ago"},
				pair{"case", "is opened after the fact once " + itoa(s.GetAfterTheFactHours()) + " hours have passed"}); err != nil || a.json() {
				return err
			}
			a.printf("\n")
			t := newTable(a.out, "DEADLINE", "KIND", "WORKING DAYS", "ONCE MORE", "BASIS")
			for _, d := range s.GetDeadlines() {
				more := ""
				if d.GetExtension() > 0 {
					more = "+" + itoa(d.GetExtension())
				}
				if err := t.row(kindWords(d.GetKind()), d.GetKind(), itoa(d.GetDays()), more, d.GetBasis()); err != nil {
					return err
				}
			}
			return t.flush()
		}),
	}
}

func (a *app) settingsSet() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "set FILE", Short: "Replace the settings by those of a file",
		Long: `Replaces all settings. The file is what "settings show --output json" prints, changed;
it is refused if somebody else set the settings since. Deadlines that run keep the
term that they started with.`,
		Example: `  huitong settings show --output json > settings.json
  huitong settings set settings.json`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			s := &accessv1.Settings{}
			if err := readObject(args[0], s); err != nil {
				return err
			}
			resp, err := deadlines(c).SetSettings(ctx, &accessv1.SetSettingsRequest{Settings: s, ValidateOnly: dry})
			if err = fault.FromStatus(err); fault.RuleOf(err) == "settings.version" {
				return advise(err, "read them (huitong settings show --output json) and change them anew")
			}
			if err != nil {
				return err
			}
			return a.changed(resp, dry, "settings stand at version %d", resp.GetSettings().GetVersion())
		}),
	}
	return dryRunFlag(c, &dry)
}

func (a *app) calendarCommand() *cobra.Command {
	return noun("calendar", "Keep which days are worked", a.calendarShow(), a.calendarSet())
}

func (a *app) calendarShow() *cobra.Command {
	return &cobra.Command{
		Use: "show [YEAR]", Short: "Show the yearly notices on holidays that working days are counted by", Args: cobra.MaximumNArgs(1),
		Example: `  huitong calendar show
  huitong calendar show 2026`,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			year := 0
			if len(args) == 1 {
				var err error
				if year, err = strconv.Atoi(args[0]); err != nil || year < 1 || year > 9999 {
					return usageError("a year has four digits, not %q", args[0])
				}
			}
			resp, err := deadlines(c).GetCalendar(ctx, &accessv1.GetCalendarRequest{Year: uint32(year)})
			if err != nil {
				return fault.FromStatus(err)
			}
			if year == 0 {
				return a.calendarYears(resp.GetYears())
			}
			if len(resp.GetYears()) == 0 {
				return advise(fault.New(fault.NotFound, "calendar.year", "no notice of %d is known; weekends count as days off, and due days in it are provisional", year),
					"once it is published: huitong calendar set FILE")
			}
			return a.calendarYear(resp.GetYears()[0])
		}),
	}
}

func (a *app) calendarYears(years []*accessv1.CalendarYear) error {
	type Y = *accessv1.CalendarYear
	return list(a, pages(func(string) ([]Y, string, error) { return years, "", nil }),
		column[Y]{"YEAR", func(y Y) string { return itoa(y.GetYear()) }}, column[Y]{"NOTICE", Y.GetNumber}, column[Y]{"TITLE", Y.GetTitle},
		column[Y]{"ISSUED", Y.GetIssued}, column[Y]{"HOLIDAYS", func(y Y) string { return itoa(len(y.GetHolidays())) }},
		column[Y]{"WORKED WEEKENDS", func(y Y) string { return itoa(len(y.GetWorkingDays())) }}, column[Y]{"FROM", yearFrom})
}

func yearFrom(y *accessv1.CalendarYear) string {
	if y.GetShipped() {
		return "shipped"
	}
	return "operator"
}

func (a *app) calendarYear(y *accessv1.CalendarYear) error {
	if err := a.show(y, pair{"year", itoa(y.GetYear())}, pair{"notice", y.GetNumber()}, pair{"title", y.GetTitle()},
		pair{"issued", y.GetIssued()}, pair{"source", y.GetSource()}, pair{"from", yearFrom(y)},
		pair{"worked", strings.Join(y.GetWorkingDays(), ", ")}); err != nil || a.json() {
		return err
	}
	a.printf("\n")
	t := newTable(a.out, "HOLIDAY", "FROM", "UNTIL")
	for _, h := range y.GetHolidays() {
		if err := t.row(h.GetName(), h.GetFrom(), h.GetUntil()); err != nil {
			return err
		}
	}
	return t.flush()
}

func (a *app) calendarSet() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "set FILE", Short: "Add the notice of a year, or replace it",
		Long: `Adds the State Council's notice of a year, as a file of the form that "calendar show
YEAR --output json" prints. Due days of deadlines that run move with it.`,
		Example: `  huitong calendar show 2026 --output json > 2027.json   # then write the next notice in its place
  huitong calendar set 2027.json`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			y := &accessv1.CalendarYear{}
			if err := readObject(args[0], y); err != nil {
				return err
			}
			resp, err := deadlines(c).SetCalendarYear(ctx, &accessv1.SetCalendarYearRequest{Year: y, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "the calendar has %s of %d", resp.GetYear().GetNumber(), resp.GetYear().GetYear())
		}),
	}
	return dryRunFlag(c, &dry)
}
