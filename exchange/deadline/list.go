package deadline

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/huitong-bus/huitong/exchange/calendar"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/settings"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// Settings gives the settings in force.
type Settings interface {
	Settings() *settings.Settings
}

// List shows deadlines to whom they concern.
type List struct {
	DB       *store.DB
	Settings Settings
	Clock    func() time.Time
}

// Filter narrows a list; what is empty does not.
type Filter struct {
	Owner, Party, Object string
	Kind                 Kind
	// Open keeps those that run, Late those that are late or were.
	Open, Late bool
	// DueBefore keeps those due before a day, "YYYY-MM-DD".
	DueBefore string
	// After is the Place of the last deadline of the page before.
	After string
	Limit int
}

// Place is where a deadline stands in the list's order, that of the starts.
func Place(d *accessv1.Deadline) string {
	return strconv.FormatInt(d.StartedAt.AsTime().UnixMicro(), 10) + " " + d.Id
}

// Find lists deadlines: all to operators and auditors, to a department those that
// its participant must keep or waits for.
func (l *List) Find(ctx context.Context, by *identity.Caller, f Filter) ([]*accessv1.Deadline, error) {
	if !by.Roles.Has(identity.Department, identity.Operator, identity.Auditor) {
		return nil, fault.New(fault.Denied, "role.deadlines", "deadlines are for departments, operators and auditors")
	}
	before := calendar.Day(1<<31 - 1)
	if f.DueBefore != "" {
		var err error
		if before, err = calendar.Parse(f.DueBefore); err != nil {
			return nil, fault.Field("due_before", "date", `is no date "YYYY-MM-DD"`)
		}
	}
	at, id, err := placeOf(f.After)
	if err != nil {
		return nil, err
	}
	where, args := f.where(by)
	c, today := l.Settings.Settings().Calendar, calendar.DayOf(l.Clock())
	var found []*accessv1.Deadline
	for len(found) < f.Limit {
		page, err := read(ctx, l.DB.Reader(), where, at, id, args...)
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			// Whether it is late, and when it is due, is the calendar's to say.
			at, id = d.StartedAt, d.ID
			due, _ := d.Due(c)
			m := d.Message(c, today)
			if due < before && (!f.Late || m.Late) && len(found) < f.Limit {
				found = append(found, m)
			}
		}
		if len(page) < readPage {
			break
		}
	}
	return found, l.addWaiting(ctx, found)
}

// where makes the condition; the first two parameters are the place.
func (f *Filter) where(by *identity.Caller) (string, []any) {
	var all []string
	var args []any
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", 2+len(args)), 1)
		}
		all = append(all, condition)
	}
	if !by.Roles.Has(identity.Operator, identity.Auditor) {
		add("(owner = ? OR parties LIKE ?)", by.Participant, among(by.Participant))
	}
	if f.Owner != "" {
		add("owner = ?", f.Owner)
	}
	if f.Party != "" {
		add("parties LIKE ?", among(f.Party))
	}
	if f.Kind != "" {
		add("kind = ?", string(f.Kind))
	}
	if f.Object != "" {
		add("object = ?", f.Object)
	}
	if f.Open {
		all = append(all, "stopped_at = 0")
	}
	if len(all) == 0 {
		return "", nil
	}
	return " AND " + strings.Join(all, " AND "), args
}

// among is the pattern of a participant among parties. Codes have letters and
// digits only: what else a caller gives is none, and no pattern.
func among(code string) string {
	return "% " + strings.Map(func(r rune) rune {
		if r == '%' || r == '_' || r == '\\' {
			return '?'
		}
		return r
	}, code) + " %"
}

func placeOf(after string) (at int64, id string, err error) {
	if after == "" {
		return 0, "", nil
	}
	number, id, _ := strings.Cut(after, " ")
	if at, err = strconv.ParseInt(number, 10, 64); err != nil {
		return 0, "", fault.Field("page_token", "page_token", "is not one that the exchange gave")
	}
	return at, id, nil
}

// readPage is how many rows are read at once.
const readPage = 500

// read reads rows after a place, in order.
func read(ctx context.Context, tx store.Tx, where string, at int64, id string, args ...any) ([]*Deadline, error) {
	rows, err := tx.QueryContext(ctx, "SELECT "+columns+" FROM deadlines WHERE (started_at > $1 OR started_at = $1 AND id > $2)"+where+
		fmt.Sprintf(" ORDER BY started_at, id LIMIT %d", readPage), append([]any{at, id}, args...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []*Deadline
	for rows.Next() {
		d, err := scan(rows)
		if err != nil {
			return nil, err
		}
		page = append(page, d)
	}
	return page, rows.Err()
}
