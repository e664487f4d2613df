// Package settings holds what the operator of an exchange may set while it runs:
// how long legal clocks run, by which calendar, and the limits of requests,
// checks, full loads and cases.
//
// Until somebody sets anything, the defaults here hold: the terms of the
// Regulation on Government Data Sharing (State Council Decree 809), each with
// its article, and what the exchange sets itself. catalog.Registry keeps the settings in memory and up to date;
// what must be exact reads them in its own transaction (Read).
package settings

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/calendar"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// Key is the id of the settings' one row and of their ledger entries.
const Key = "settings"

// Defaults gives the settings of an exchange whose operator set none.
func Defaults() *accessv1.Settings {
	return &accessv1.Settings{
		Deadlines: []*accessv1.DeadlineSetting{
			// The provider answers a request for data that is shared unconditionally.
			{Kind: "grant.answer.unconditional", Days: 1, Basis: "政务数据共享条例第二十一条"},
			// For data that is shared conditionally; longer, once, with the authority's
			// consent, of which the requester is told.
			{Kind: "grant.answer.conditional", Days: 10, Extension: 10, Basis: "政务数据共享条例第二十一条"},
			// The provider supplies what it agreed to.
			{Kind: "grant.supply", Days: 20, Basis: "政务数据共享条例第二十二条"},
			// The provider verifies disputed data, corrects it and reports back (校核).
			{Kind: "correction.answer", Days: 10, Basis: "政务数据共享条例第二十六条"},
			// The provider updates the catalogue after a change of law or duty.
			{Kind: "catalogue.update", Days: 10, Extension: 5, Basis: "政务数据共享条例第十七条"},
			// The authority reviews a catalogue entry and publishes it.
			{Kind: "catalogue.review", Days: 2, Basis: "政务数据共享条例第十七条"},
			// Whoever is told what became of a record acknowledges the notice.
			{Kind: "notice.acknowledge", Days: 1, Basis: "交换平台约定"},
		},
		MaxOpenRequests: 100, MaxThresholds: 3, MaxRemovedPercent: 10, AfterTheFactHours: 24,
		MaxStatusQuestions: 300, ExpiryNoticeDays: 365,
	}
}

// Term is how long a kind of deadline runs, in working days.
type Term struct {
	Days int
	// Extension is by how many it may be extended, once; 0 if it may not.
	Extension int
	Basis     string
}

// Settings are the settings in force at one moment. They do not change.
type Settings struct {
	// MaxOpenRequests bounds the open requests for grants of a participant.
	MaxOpenRequests int
	// MaxThresholds bounds the distinct thresholds asked of one subject in one
	// case.
	MaxThresholds int
	// MaxRemovedPercent is the share of a topic's records that the end of a full
	// load may remove.
	MaxRemovedPercent int
	// AfterTheFact is how long after the application a case counts as opened after
	// the fact.
	AfterTheFact time.Duration
	// MaxStatusQuestions bounds how often a participant asks in an hour how
	// certificates stand.
	MaxStatusQuestions int
	// ExpiryNoticeDays is for how many days after its end a case still hears that a
	// record expired.
	ExpiryNoticeDays int
	Calendar         *calendar.Calendar

	terms   map[string]Term
	message *accessv1.Settings
}

// Term gives how long a kind of deadline runs, and whether there is such a kind.
func (s *Settings) Term(kind string) (Term, bool) {
	t, ok := s.terms[kind]
	return t, ok
}

// Message gives the settings as the API shows them; the caller does not change
// it.
func (s *Settings) Message() *accessv1.Settings { return s.message }

func newSettings(m *accessv1.Settings, c *calendar.Calendar) *Settings {
	s := &Settings{
		MaxOpenRequests: int(m.MaxOpenRequests), MaxThresholds: int(m.MaxThresholds),
		MaxRemovedPercent: int(m.MaxRemovedPercent), AfterTheFact: time.Duration(m.AfterTheFactHours) * time.Hour,
		MaxStatusQuestions: int(m.MaxStatusQuestions), ExpiryNoticeDays: int(m.ExpiryNoticeDays), Calendar: c, terms: map[string]Term{}, message: m,
	}
	for _, d := range m.Deadlines {
		s.terms[d.Kind] = Term{Days: int(d.Days), Extension: int(d.Extension), Basis: d.Basis}
	}
	return s
}

// Read reads the settings in force in a transaction.
func Read(ctx context.Context, tx store.Tx) (*Settings, error) {
	years, err := Years(ctx, tx)
	if err != nil {
		return nil, err
	}
	c, err := calendar.New(years...)
	if err != nil {
		return nil, err
	}
	m, err := Stored(ctx, tx)
	if err != nil {
		return nil, err
	}
	if m == nil {
		m = Defaults()
	}
	return newSettings(completed(m), c), nil
}

// completed fills in the defaults of what there was no setting of yet when the
// operator set the others.
func completed(m *accessv1.Settings) *accessv1.Settings {
	full := proto.CloneOf(m)
	for _, d := range Defaults().Deadlines {
		if !slices.ContainsFunc(full.Deadlines, func(set *accessv1.DeadlineSetting) bool { return set.Kind == d.Kind }) {
			full.Deadlines = append(full.Deadlines, d)
		}
	}
	if full.MaxStatusQuestions == 0 {
		full.MaxStatusQuestions = Defaults().MaxStatusQuestions
	}
	if full.ExpiryNoticeDays == 0 {
		full.ExpiryNoticeDays = Defaults().ExpiryNoticeDays
	}
	return full
}

// Stored reads what the operator set; nil if nothing.
func Stored(ctx context.Context, tx store.Tx) (*accessv1.Settings, error) {
	var raw []byte
	err := tx.QueryRowContext(ctx, "SELECT body FROM settings WHERE id = $1", Key).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &accessv1.Settings{}
	if err := proto.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("the settings cannot be read: %w", err)
	}
	return m, nil
}

// Years reads the years of the calendar that the operator set.
func Years(ctx context.Context, tx store.Tx) (years []*accessv1.CalendarYear, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT body FROM calendar_years ORDER BY year")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var raw []byte
		if err := rows.Scan(&raw); err != nil {
			return nil, err
		}
		y := &accessv1.CalendarYear{}
		if err := proto.Unmarshal(raw, y); err != nil {
			return nil, fmt.Errorf("a year of the calendar cannot be read: %w", err)
		}
		years = append(years, y)
	}
	return years, rows.Err()
}

// Changed says whether anything was set since a count of policy changes.
func Changed(ctx context.Context, tx store.Tx, since uint64) (bool, error) {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM settings WHERE changed > $1) +
		(SELECT count(*) FROM calendar_years WHERE changed > $1)`, int64(since)).Scan(&n)
	return n > 0, err
}

const (
	maxDays     = 250 // about the working days of a year
	maxRequests = 100_000
	maxNumber   = 1000
	maxHours    = 24 * 365
	maxBasis    = 300
	// Some records are kept for thirty years.
	maxNoticeDays = 30 * 366
)

// Check refuses settings that cannot be.
func Check(s *accessv1.Settings) error {
	for _, bound := range []struct {
		field string
		value uint32
		most  uint32
	}{
		{"max_open_requests", s.GetMaxOpenRequests(), maxRequests},
		{"max_thresholds", s.GetMaxThresholds(), maxNumber},
		{"max_removed_percent", s.GetMaxRemovedPercent(), 100},
		{"after_the_fact_hours", s.GetAfterTheFactHours(), maxHours},
		{"max_status_questions", s.GetMaxStatusQuestions(), maxRequests},
		{"expiry_notice_days", s.GetExpiryNoticeDays(), maxNoticeDays},
	} {
		if bound.value == 0 || bound.value > bound.most {
			return fault.Field("settings."+bound.field, "settings."+bound.field, "is 1 to %d", bound.most)
		}
	}
	known := map[string]bool{}
	for _, d := range Defaults().Deadlines {
		known[d.Kind] = true
	}
	for i, d := range s.GetDeadlines() {
		field := fmt.Sprintf("settings.deadlines[%d]", i)
		switch {
		case !known[d.GetKind()]:
			return fault.Field(field+".kind", "settings.deadline.kind", "is no kind of deadline, or named twice")
		case d.Days == 0 || d.Days > maxDays:
			return fault.Field(field+".days", "settings.deadline.days", "is 1 to %d working days", maxDays)
		case d.Extension > maxDays:
			return fault.Field(field+".extension", "settings.deadline.extension", "is at most %d working days", maxDays)
		case strings.TrimSpace(d.Basis) == "" || len(d.Basis) > maxBasis || contract.HoldsResidentID(d.Basis):
			return fault.Field(field+".basis", "settings.deadline.basis", "names what the term rests on, in at most %d bytes, and no person", maxBasis)
		}
		known[d.Kind] = false
	}
	for kind, missing := range known {
		if missing {
			return fault.Field("settings.deadlines", "settings.deadline.required", "%s is missing; name every kind", kind)
		}
	}
	return nil
}
