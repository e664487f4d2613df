package catalog

import (
	"context"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/calendar"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/settings"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Settings gives the settings in force, from memory.
func (r *Registry) Settings() *settings.Settings { return r.settings.Load() }

// SetSettings replaces the settings; an operator may. The version says which
// settings the caller read: in between, another may have set them.
func (c *Catalogue) SetSettings(ctx context.Context, ch Change, s *accessv1.Settings) (*accessv1.Settings, *journal.Commit, error) {
	if err := settings.Check(s); err != nil {
		return nil, nil, err
	}
	for i, d := range s.Deadlines {
		if err := Text("settings.deadlines["+strconv.Itoa(i)+"].basis", d.Basis, true); err != nil {
			return nil, nil, err
		}
	}
	var result *accessv1.Settings
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) error {
		if err := w.RequireOperator(); err != nil {
			return err
		}
		old, err := settings.Stored(ctx, w.Tx)
		if err != nil {
			return err
		}
		result = proto.CloneOf(s)
		result.Version = old.GetVersion()
		if old != nil && proto.Equal(old, result) {
			return errUnchanged
		}
		if s.Version != old.GetVersion() {
			return fault.New(fault.Stale, "settings.version", "the settings stand at version %d; read them and set them anew", old.GetVersion())
		}
		result.Version++
		return w.putSettings(ctx, result)
	})
	return result, commit, err
}

// SetCalendarYear adds the notice of a year to the calendar, or replaces it; an
// operator may. Due days of clocks that run follow the calendar in force.
func (c *Catalogue) SetCalendarYear(ctx context.Context, ch Change, y *accessv1.CalendarYear) (*accessv1.CalendarYear, *journal.Commit, error) {
	if err := calendar.Check(y); err != nil {
		return nil, nil, err
	}
	texts := []error{Text("year.number", y.Number, true), Text("year.title", y.Title, true), Text("year.source", y.Source, false)}
	for _, h := range y.Holidays {
		texts = append(texts, Text("year.holidays.name", h.Name, true))
	}
	if err := First(texts...); err != nil {
		return nil, nil, err
	}
	n := proto.CloneOf(y)
	n.Shipped = false
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) error {
		if err := w.RequireOperator(); err != nil {
			return err
		}
		years, err := settings.Years(ctx, w.Tx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(years, func(o *accessv1.CalendarYear) bool { return proto.Equal(o, n) }) {
			return errUnchanged
		}
		return w.putYear(ctx, n)
	})
	return n, commit, err
}

func (w *Write) putSettings(ctx context.Context, s *accessv1.Settings) error {
	body, err := Encode(s)
	if err != nil {
		return err
	}
	if _, err := w.Tx.ExecContext(ctx, `INSERT INTO settings (id, version, changed, body) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET version = excluded.version, changed = excluded.changed, body = excluded.body`,
		settings.Key, int64(s.Version), int64(w.Slot.Policy), body); err != nil {
		return err
	}
	w.Changed(&ledgerv1.ObjectChanged{Object: "settings", Id: settings.Key, Change: "set", Version: s.Version}, body)
	return nil
}

func (w *Write) putYear(ctx context.Context, y *accessv1.CalendarYear) error {
	body, err := Encode(y)
	if err != nil {
		return err
	}
	var version int64
	err = w.Tx.QueryRowContext(ctx, `INSERT INTO calendar_years (year, version, changed, body) VALUES ($1, 1, $2, $3)
		ON CONFLICT (year) DO UPDATE SET version = calendar_years.version + 1, changed = excluded.changed, body = excluded.body
		RETURNING version`, int64(y.Year), int64(w.Slot.Policy), body).Scan(&version)
	if err != nil {
		return err
	}
	w.Changed(&ledgerv1.ObjectChanged{
		Object: "calendar", Id: strconv.Itoa(int(y.Year)), Change: "set", Version: uint64(version),
	}, body)
	return nil
}
