package access

import "time"

// Days without bounds.
const (
	minDay = -1 << 30
	maxDay = 1 << 30
)

// DayOf gives the calendar day in Asia/Shanghai as days since 1970-01-01.
func DayOf(t time.Time) int32 {
	return int32((t.Unix() + 8*60*60) / (24 * 60 * 60))
}

// dayOr reads "YYYY-MM-DD".
func dayOr(date string, otherwise int32) int32 {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return otherwise
	}
	return int32(t.Unix() / (24 * 60 * 60))
}

// date gives a day as text.
func date(day int32) string {
	return time.Unix(int64(day)*24*60*60, 0).UTC().Format(time.DateOnly)
}
