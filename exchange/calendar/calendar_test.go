package calendar_test

import (
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/calendar"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

func day(t *testing.T, s string) calendar.Day {
	t.Helper()
	d, err := calendar.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func shipped(t *testing.T, set ...*accessv1.CalendarYear) *calendar.Calendar {
	t.Helper()
	c, err := calendar.New(set...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDays(t *testing.T) {
	shanghai := time.FixedZone("Asia/Shanghai", 8*60*60)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 10, 1, 0, 0, 0, 0, shanghai), "2026-10-01"},
		{time.Date(2026, 9, 30, 23, 59, 59, 999999999, shanghai), "2026-09-30"},
		{time.Date(2026, 9, 30, 16, 0, 0, 0, time.UTC), "2026-10-01"},
		{time.Date(2024, 2, 29, 12, 0, 0, 0, shanghai), "2024-02-29"},
		{time.Date(1969, 12, 31, 15, 59, 59, 0, time.UTC), "1969-12-31"},
	} {
		d := calendar.DayOf(c.at)
		if d.String() != c.want {
			t.Errorf("%v is %v, not %v", c.at, c.want, d)
		}
		if !d.End().After(c.at) || d.End().Sub(c.at) > 24*time.Hour {
			t.Errorf("%v ends %v", d, d.End())
		}
	}
	if end := day(t, "2026-09-30").End(); !end.Equal(time.Date(2026, 10, 1, 0, 0, 0, 0, shanghai)) {
		t.Errorf("30 September ends %v", end)
	}
}

// TestShipped counts what each notice says in so many words: days off in all,
// and weekends that are worked.
func TestShipped(t *testing.T) {
	want := []struct {
		year      uint32
		number    string
		off, work int
	}{
		{2023, "国办发明电〔2022〕16号", 27, 7},
		{2024, "国办发明电〔2023〕7号", 28, 8},
		{2025, "国办发明电〔2024〕12号", 28, 5},
		{2026, "国办发明电〔2025〕7号", 33, 6},
	}
	years := calendar.Shipped()
	if len(years) != len(want) {
		t.Fatalf("%d years are shipped", len(years))
	}
	for i, w := range want {
		y := years[i]
		if err := calendar.Check(y); err != nil {
			t.Errorf("%d: %v", w.year, err)
		}
		off := 0
		for _, h := range y.Holidays {
			off += int(day(t, h.Until)-day(t, h.From)) + 1
		}
		if y.Year != w.year || y.Number != w.number || off != w.off || len(y.WorkingDays) != w.work {
			t.Errorf("%d %s: %d days off, %d worked", y.Year, y.Number, off, len(y.WorkingDays))
		}
	}
}

func TestIsWorkingDay(t *testing.T) {
	c := shipped(t)
	for s, want := range map[string]bool{
		"2025-01-26": true,  // Sunday, worked for the spring festival
		"2025-01-28": false, // Tuesday, lunar new year's eve
		"2025-02-04": false, // Tuesday, its last day
		"2025-02-05": true,
		"2025-02-08": true,  // Saturday, worked
		"2025-02-09": false, // Sunday
		"2024-02-09": true,  // lunar new year's eve of 2024 was worked
		"2024-02-10": false,
		"2023-12-30": false, // Saturday
		"2026-02-14": true,  // Saturday, worked
		"2026-02-15": false,
		"2026-02-23": false, // Monday, last day of nine
		"2026-09-20": true,  // Sunday, worked
		"2026-10-10": true,  // Saturday, worked
		"2026-10-08": true,
		"2022-12-31": false, // named by the notice of 2023
	} {
		if got, provisional := c.IsWorkingDay(day(t, s)); got != want || provisional {
			t.Errorf("%s: worked %v, provisional %v", s, got, provisional)
		}
	}
}

func TestAdd(t *testing.T) {
	c := shipped(t)
	for _, w := range []struct {
		from        string
		n           int
		want        string
		provisional bool
	}{
		{"2026-09-28", 1, "2026-09-29", false},
		// Over the national day: 29 and 30 September, then from 8 October on, with
		// Saturday the 10th worked.
		{"2026-09-28", 2, "2026-09-30", false},
		{"2026-09-28", 3, "2026-10-08", false},
		{"2026-09-28", 5, "2026-10-10", false},
		{"2026-09-28", 6, "2026-10-12", false},
		{"2026-09-28", 10, "2026-10-16", false},
		// Over the spring festival: 13 February, Saturday the 14th, then the 24th.
		{"2026-02-12", 2, "2026-02-14", false},
		{"2026-02-12", 3, "2026-02-24", false},
		{"2026-02-24", 4, "2026-02-28", false}, // Saturday, worked
		{"2025-01-24", 1, "2025-01-26", false}, // Sunday, worked
		{"2025-01-24", 3, "2025-02-05", false},
		// Received in the holiday: that day does not count, nor does the next.
		{"2026-10-03", 1, "2026-10-08", false},
		{"2026-10-03", 0, "2026-10-03", false},
		// A year without a notice.
		{"2026-12-30", 1, "2026-12-31", false},
		{"2026-12-30", 2, "2027-01-01", true},
		{"2026-12-30", 3, "2027-01-04", true},
		{"2022-06-01", 1, "2022-06-02", true},
	} {
		got, provisional := c.Add(day(t, w.from), w.n)
		if got.String() != w.want || provisional != w.provisional {
			t.Errorf("%s and %d working days: %v, provisional %v", w.from, w.n, got, provisional)
		}
		if w.n == 0 {
			continue
		}
		if n, p := c.Between(day(t, w.from), got); n != w.n || p != w.provisional {
			t.Errorf("%d working days between %s and %v, provisional %v", n, w.from, got, p)
		}
	}
	if n, _ := c.Between(day(t, "2026-10-12"), day(t, "2026-10-08")); n != 0 {
		t.Errorf("%d working days backwards", n)
	}
}

// notice makes a notice for a year that is not shipped.
func notice(change func(y *accessv1.CalendarYear)) *accessv1.CalendarYear {
	y := &accessv1.CalendarYear{
		Year: 2027, Number: "国办发明电〔2026〕1号", Title: "国务院办公厅关于2027年部分节假日安排的通知", Issued: "2026-11-01",
		Holidays: []*accessv1.Holiday{
			{Name: "元旦", From: "2027-01-01", Until: "2027-01-03"},
			{Name: "国庆节", From: "2027-10-01", Until: "2027-10-07"},
		},
		WorkingDays: []string{"2027-09-26", "2027-10-09"},
	}
	change(y)
	return y
}

// TestALaterNoticeMoves: what was provisional is not, and another day.
func TestALaterNoticeMoves(t *testing.T) {
	c := shipped(t, notice(func(*accessv1.CalendarYear) {}))
	if got, provisional := c.Add(day(t, "2026-12-30"), 2); got.String() != "2027-01-04" || provisional {
		t.Errorf("%v, provisional %v", got, provisional)
	}
	if years := c.Years(2027); len(years) != 1 || years[0].Number != "国办发明电〔2026〕1号" {
		t.Errorf("%v", years)
	}
	if years := c.Years(0); len(years) != 5 {
		t.Errorf("%d years", len(years))
	}
	// Correcting a shipped year takes its place.
	corrected := calendar.Shipped()[3]
	corrected.WorkingDays = corrected.WorkingDays[:5]
	if worked, _ := shipped(t, corrected).IsWorkingDay(day(t, "2026-10-10")); worked {
		t.Error("the shipped year still holds")
	}
}

func TestCheck(t *testing.T) {
	if err := calendar.Check(notice(func(*accessv1.CalendarYear) {})); err != nil {
		t.Fatal(err)
	}
	for rule, change := range map[string]func(y *accessv1.CalendarYear){
		"calendar.year":                  func(y *accessv1.CalendarYear) { y.Year = 27 },
		"calendar.notice.required":       func(y *accessv1.CalendarYear) { y.Number = " " },
		"date":                           func(y *accessv1.CalendarYear) { y.Holidays[0].From = "2027-02-30" },
		"calendar.issued":                func(y *accessv1.CalendarYear) { y.Issued = "2025-11-01" },
		"calendar.holidays.number":       func(y *accessv1.CalendarYear) { y.Holidays = nil },
		"calendar.holiday.name.required": func(y *accessv1.CalendarYear) { y.Holidays[1].Name = "" },
		"calendar.holiday.length":        func(y *accessv1.CalendarYear) { y.Holidays[1].Until = "2027-09-30" },
		"calendar.day.twice":             func(y *accessv1.CalendarYear) { y.WorkingDays[0] = "2027-10-02" },
		"calendar.working_day.weekday":   func(y *accessv1.CalendarYear) { y.WorkingDays[0] = "2027-10-08" },
		"calendar.day.year":              func(y *accessv1.CalendarYear) { y.WorkingDays[0] = "2026-10-10" },
	} {
		err := calendar.Check(notice(change))
		if fault.RuleOf(err) != rule || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", rule, err)
		}
	}
	if calendar.Check(nil) == nil {
		t.Error("nothing is a notice")
	}
}
