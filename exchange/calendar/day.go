package calendar

import "time"

// Day is a day in Asia/Shanghai, as days since 1970-01-01.
type Day int32

// offset of Asia/Shanghai from UTC. China keeps one time and has kept no summer
// time since 1991.
const offset = 8 * time.Hour

const secondsADay = 24 * 60 * 60

// DayOf gives the day of a moment.
func DayOf(t time.Time) Day {
	s := t.Add(offset).Unix()
	d := s / secondsADay
	if s%secondsADay < 0 {
		d--
	}
	return Day(d)
}

// Parse reads "YYYY-MM-DD".
func Parse(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, err
	}
	return Day(t.Unix() / secondsADay), nil
}

// Date makes a day.
func Date(year int, month time.Month, day int) Day {
	return Day(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / secondsADay)
}

// noon is a moment of the day that has its date in UTC.
func (d Day) noon() time.Time { return time.Unix(int64(d)*secondsADay+secondsADay/2, 0).UTC() }

// String gives "YYYY-MM-DD".
func (d Day) String() string { return d.noon().Format(time.DateOnly) }

// End is the moment at which the day is over.
func (d Day) End() time.Time { return time.Unix((int64(d)+1)*secondsADay, 0).Add(-offset).UTC() }

// Year is the calendar year that the day is in.
func (d Day) Year() int { return d.noon().Year() }

// weekend says whether the day is a Saturday or a Sunday.
func (d Day) weekend() bool {
	w := d.noon().Weekday()
	return w == time.Saturday || w == time.Sunday
}
