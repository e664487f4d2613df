// Package calendar counts working days in Asia/Shanghai.
//
// Which days are worked follows from a notice that the General Office of the
// State Council issues each year, with holidays and with weekends that are
// worked in exchange. So the calendar is data: one notice a year. Those of 2023
// to 2026 are shipped, each checked date by date against the published text; an
// operator adds the next, or corrects one.
//
// A year without a notice has weekends and nothing else. What rests on such a
// year is marked provisional: the notice, once it comes, may move it.
package calendar

import (
	"cmp"
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

//go:embed years/*.json
var years embed.FS

var shipped = sync.OnceValue(func() []*accessv1.CalendarYear {
	files, err := years.ReadDir("years")
	if err != nil {
		panic(err) // embedded, and a test reads it
	}
	var all []*accessv1.CalendarYear
	for _, f := range files {
		raw, err := years.ReadFile("years/" + f.Name())
		y := &accessv1.CalendarYear{}
		if err == nil {
			err = protojson.Unmarshal(raw, y)
		}
		if err != nil {
			panic(fmt.Sprintf("calendar: %s: %v", f.Name(), err))
		}
		y.Shipped = true
		all = append(all, y)
	}
	return all
})

// Shipped gives the years that come with the exchange, in order.
func Shipped() []*accessv1.CalendarYear {
	var all []*accessv1.CalendarYear
	for _, y := range shipped() {
		all = append(all, proto.CloneOf(y))
	}
	return all
}

// Calendar tells working days. It does not change, and is safe for concurrent
// use.
type Calendar struct {
	years map[int]*accessv1.CalendarYear
	// days are those that the notices name: worked or not.
	days map[Day]bool
}

// New makes a calendar of the years that are shipped and of these, which take
// the place of shipped ones.
func New(set ...*accessv1.CalendarYear) (*Calendar, error) {
	c := &Calendar{years: map[int]*accessv1.CalendarYear{}, days: map[Day]bool{}}
	for _, y := range slices.Concat(shipped(), set) {
		c.years[int(y.Year)] = y
	}
	for _, y := range c.Years(0) {
		if err := c.take(y); err != nil {
			return nil, fmt.Errorf("calendar of %d: %w", y.Year, err)
		}
	}
	return c, nil
}

// Years gives the notices that the calendar rests on, in order; only that of
// one year if it is not 0.
func (c *Calendar) Years(only int) []*accessv1.CalendarYear {
	var list []*accessv1.CalendarYear
	for n, y := range c.years {
		if only == 0 || only == n {
			list = append(list, y)
		}
	}
	slices.SortFunc(list, func(a, b *accessv1.CalendarYear) int { return cmp.Compare(a.Year, b.Year) })
	return list
}

// take takes over the days that a notice names.
func (c *Calendar) take(y *accessv1.CalendarYear) error {
	for _, h := range y.Holidays {
		from, err := Parse(h.From)
		if err != nil {
			return err
		}
		until, err := Parse(h.Until)
		if err != nil {
			return err
		}
		for d := from; d <= until; d++ {
			c.days[d] = false
		}
	}
	for _, s := range y.WorkingDays {
		d, err := Parse(s)
		if err != nil {
			return err
		}
		c.days[d] = true
	}
	return nil
}

// IsWorkingDay says whether a day is worked; provisional if no notice of its
// year is known.
func (c *Calendar) IsWorkingDay(d Day) (worked, provisional bool) {
	if worked, named := c.days[d]; named {
		return worked, false
	}
	return !d.weekend(), c.years[d.Year()] == nil
}

// maxDays bounds what Add and Between walk through: two centuries.
const maxDays = 200 * 366

// Add gives the n-th working day after d, which itself does not count: the last
// day of a term of n working days from receipt on day d. With n = 0 it is d.
func (c *Calendar) Add(d Day, n int) (last Day, provisional bool) {
	for end := d + maxDays; n > 0 && d < end; {
		d++
		worked, unsure := c.IsWorkingDay(d)
		provisional = provisional || unsure
		if worked {
			n--
		}
	}
	return d, provisional
}

// Between counts the working days after from, up to and with until; 0 if until
// is not after from.
func (c *Calendar) Between(from, until Day) (n int, provisional bool) {
	for d := max(from, until-maxDays) + 1; d <= until; d++ {
		worked, unsure := c.IsWorkingDay(d)
		provisional = provisional || unsure
		if worked {
			n++
		}
	}
	return n, provisional
}

const (
	firstYear = 2000
	lastYear  = 2199
	// maxHolidays and maxRun bound a notice, with room: none had more than eight
	// holidays, and none of these more than nine days.
	maxHolidays = 30
	maxRun      = 31
)

// Check refuses a year that cannot be a notice: a date in another year, a
// holiday that is worked, a working day that is worked anyway.
func Check(y *accessv1.CalendarYear) error {
	if y.GetYear() < firstYear || y.GetYear() > lastYear {
		return fault.Field("year.year", "calendar.year", "is %d to %d", firstYear, lastYear)
	}
	if strings.TrimSpace(y.Number) == "" || strings.TrimSpace(y.Title) == "" {
		return fault.Field("year.number", "calendar.notice.required", "names the notice by number and title")
	}
	issued, err := Parse(y.Issued)
	if err != nil {
		return fault.Field("year.issued", "date", `is no date "YYYY-MM-DD"`)
	}
	if issued < Date(int(y.Year)-1, 1, 1) || issued > Date(int(y.Year), 12, 31) {
		return fault.Field("year.issued", "calendar.issued", "is neither in %d nor in the year before", y.Year)
	}
	if len(y.Holidays) == 0 || len(y.Holidays) > maxHolidays || len(y.WorkingDays) > maxHolidays {
		return fault.Field("year.holidays", "calendar.holidays.number", "a notice has 1 to %d holidays and at most as many working days", maxHolidays)
	}
	return checkDays(y)
}

func checkDays(y *accessv1.CalendarYear) error {
	named := map[Day]bool{}
	for i, h := range y.Holidays {
		field := fmt.Sprintf("year.holidays[%d]", i)
		if strings.TrimSpace(h.GetName()) == "" {
			return fault.Field(field+".name", "calendar.holiday.name.required", "is required")
		}
		from, err := ofYear(field+".from", h.From, y.Year)
		if err != nil {
			return err
		}
		until, err := ofYear(field+".until", h.Until, y.Year)
		if err != nil {
			return err
		}
		if until < from || until >= from+maxRun {
			return fault.Field(field+".until", "calendar.holiday.length", "is before from, or %d days or more after it", maxRun)
		}
		for d := from; d <= until; d++ {
			if named[d] {
				return fault.Field(field, "calendar.day.twice", "names %s, which another holiday names", d)
			}
			named[d] = true
		}
	}
	for i, s := range y.WorkingDays {
		field := fmt.Sprintf("year.working_days[%d]", i)
		d, err := ofYear(field, s, y.Year)
		switch {
		case err != nil:
			return err
		case named[d]:
			return fault.Field(field, "calendar.day.twice", "is named twice, or lies within a holiday")
		case !d.weekend():
			return fault.Field(field, "calendar.working_day.weekday", "is no Saturday or Sunday, and so worked anyway")
		}
		named[d] = true
	}
	return nil
}

// ofYear reads a day of a notice: it is in its year, or in the December before,
// where the New Year's holiday may begin.
func ofYear(field, s string, year uint32) (Day, error) {
	d, err := Parse(s)
	if err != nil {
		return 0, fault.Field(field, "date", `is no date "YYYY-MM-DD"`)
	}
	if d < Date(int(year)-1, 12, 1) || d > Date(int(year), 12, 31) {
		return 0, fault.Field(field, "calendar.day.year", "is not in %d, nor in the December before", year)
	}
	return d, nil
}
