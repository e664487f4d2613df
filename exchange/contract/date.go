package contract

import "errors"

var errDate = errors.New("must be a calendar date that exists, as YYYY-MM-DD")

// CheckDate checks that a string is a day of the Gregorian calendar, written
// YYYY-MM-DD (GB/T 7408, ISO 8601 extended form). Such strings order as their
// days do.
func CheckDate(s string) error {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' || !calendarDay(s[:4], s[5:7], s[8:]) {
		return errDate
	}
	return nil
}

// calendarDay reports whether a year of four digits, a month and a day of two
// are a day of the calendar.
func calendarDay(yyyy, mm, dd string) bool {
	if !digits(yyyy) || !digits(mm) || !digits(dd) {
		return false
	}
	y, m, d := year(yyyy), two(mm), two(dd)
	return y > 0 && m >= 1 && m <= 12 && d >= 1 && d <= daysIn(y, m)
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

func two(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }

func year(s string) int { return two(s[:2])*100 + two(s[2:]) }
