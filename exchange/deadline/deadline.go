// Package deadline keeps the legal clocks: who must do what by which day.
//
// A clock starts, stops and is extended in the transaction of the step that does
// it, so no step is without its clock and no clock without its step: that of a
// notice starts with the notice's entry and stops as its acknowledgement is taken. It runs for
// working days in Asia/Shanghai; the day of receipt does not count. The row
// keeps the start and the term; the due day follows from these and from the
// calendar in force, so a notice that comes later moves it. A clock that stopped
// keeps whether it was late by the calendar of that moment.
//
// A deadline passes when its due day ends. Nobody is stopped by that: it is an
// event on a topic of the exchange's own (Sweeper), and it shows in the list.
package deadline

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/calendar"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/settings"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// Kind is what a clock runs for. Its term is a setting.
type Kind string

// The kinds, with the terms of Decree 809 that are their defaults.
const (
	// GrantAnswerUnconditional: answer a request for data shared unconditionally;
	// 1 working day (art. 21).
	GrantAnswerUnconditional Kind = "grant.answer.unconditional"
	// GrantAnswerConditional: answer a request for data shared conditionally; 10
	// working days, once 10 more (art. 21).
	GrantAnswerConditional Kind = "grant.answer.conditional"
	// GrantSupply: supply what was agreed to; 20 working days (art. 22).
	GrantSupply Kind = "grant.supply"
	// CorrectionAnswer: verify and correct disputed data, and report back; 10
	// working days (art. 26).
	CorrectionAnswer Kind = "correction.answer"
	// CatalogueUpdate: update the catalogue after a change of law or duty; 10
	// working days, once 5 more (art. 17).
	CatalogueUpdate Kind = "catalogue.update"
	// CatalogueReview: review and publish a catalogue entry; 2 working days
	// (art. 17).
	CatalogueReview Kind = "catalogue.review"
	// NoticeAcknowledge: acknowledge a notice; 1 working day, which the exchange
	// sets and no law.
	NoticeAcknowledge Kind = "notice.acknowledge"
)

// Clock is what starts to run.
type Clock struct {
	Kind Kind
	// Object is what must be dealt with: a grant, a dispute, a topic, a notice. Of one kind
	// and object one clock runs at a time.
	Object string
	// Owner is the participant that must act.
	Owner string
	// Parties are the participants that wait.
	Parties []string
	Topic   string
}

// What is to be told of yet.
const (
	untoldExtension = 1
	untoldLate      = 2
)

// Start starts a clock at a time, µs UTC: that of the entry that starts it. Call
// it in the entry's transaction.
func Start(ctx context.Context, tx store.Tx, at int64, c Clock) error {
	s, err := settings.Read(ctx, tx)
	if err != nil {
		return err
	}
	term, known := s.Term(string(c.Kind))
	if !known || c.Object == "" || c.Owner == "" {
		return fault.New(fault.Internal, "deadline.kind", "no clock of kind %q can run for %q", c.Kind, c.Object)
	}
	running, err := open(ctx, tx, c.Kind, c.Object)
	if err != nil {
		return err
	}
	if running != nil {
		return fault.New(fault.Conflict, "deadline.running", "the clock for this runs already")
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO deadlines
		(id, kind, object, owner, parties, topic, started_at, days, extension, stopped_at, late, passed, passed_day, untold)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, 0, 0, 0)`,
		ID(c.Kind, c.Object, at), string(c.Kind), c.Object, c.Owner, packParties(c.Parties), c.Topic, at, int64(term.Days))
	return err
}

// Stop stops the clock of a kind and object, if one runs, and says whether it was
// late.
func Stop(ctx context.Context, tx store.Tx, at int64, kind Kind, object string) (late bool, err error) {
	d, err := open(ctx, tx, kind, object)
	if err != nil || d == nil {
		return false, err
	}
	s, err := settings.Read(ctx, tx)
	if err != nil {
		return false, err
	}
	return d.stop(ctx, tx, at, s)
}

func (d *Deadline) stop(ctx context.Context, tx store.Tx, at int64, s *settings.Settings) (late bool, err error) {
	today := calendar.DayOf(time.UnixMicro(at))
	if due, _ := d.Due(s.Calendar); today > due {
		by, _ := s.Calendar.Between(due, today)
		d.late, d.untold = 1+by, d.untold|untoldLate
	}
	_, err = tx.ExecContext(ctx, "UPDATE deadlines SET stopped_at = $1, late = $2, untold = $3 WHERE id = $4",
		at, int64(d.late), int64(d.untold), d.ID)
	return d.late > 0, err
}

// Extend extends a running clock, once and before it passes, by what the setting
// of its kind allows.
func Extend(ctx context.Context, tx store.Tx, at int64, kind Kind, object string) error {
	d, err := open(ctx, tx, kind, object)
	if err != nil {
		return err
	}
	s, err := settings.Read(ctx, tx)
	if err != nil {
		return err
	}
	term, _ := s.Term(string(kind))
	switch {
	case d == nil:
		return fault.New(fault.Conflict, "deadline.stopped", "no clock runs for this")
	case term.Extension == 0:
		return fault.New(fault.Conflict, "deadline.extension", "this deadline cannot be extended")
	case d.extension > 0:
		return fault.New(fault.Conflict, "deadline.extended", "the deadline was extended already, and may be once")
	}
	if due, _ := d.Due(s.Calendar); calendar.DayOf(time.UnixMicro(at)) > due {
		return fault.New(fault.Conflict, "deadline.passed", "the deadline passed on %s; answer now", due)
	}
	_, err = tx.ExecContext(ctx, "UPDATE deadlines SET extension = $1, untold = $2 WHERE id = $3",
		int64(term.Extension), int64(d.untold|untoldExtension), d.ID)
	return err
}

// ID names a clock.
func ID(kind Kind, object string, startedAt int64) string {
	h := sha256.Sum256(fmt.Appendf(nil, "huitong deadline\x00%s\x00%s\x00%d", kind, object, startedAt))
	return hex.EncodeToString(h[:10])
}

// Deadline is a clock that runs, or ran.
type Deadline struct {
	ID string
	Clock
	// StartedAt and StoppedAt are times, µs UTC; StoppedAt is 0 while it runs.
	StartedAt, StoppedAt int64

	days, extension int
	late            int // 1 + working days
	passed          uint64
	passedDay       calendar.Day
	untold          int
}

// Due gives the last day to act.
func (d *Deadline) Due(c *calendar.Calendar) (due calendar.Day, provisional bool) {
	return c.Add(calendar.DayOf(time.UnixMicro(d.StartedAt)), d.days+d.extension)
}

// columns of a row, in the order of scan.
const columns = "id, kind, object, owner, parties, topic, started_at, days, extension, stopped_at, late, passed, passed_day, untold"

func scan(row interface{ Scan(into ...any) error }) (*Deadline, error) {
	d := &Deadline{}
	var parties string
	err := row.Scan(&d.ID, &d.Kind, &d.Object, &d.Owner, &parties, &d.Topic, &d.StartedAt, &d.days, &d.extension, &d.StoppedAt,
		&d.late, &d.passed, &d.passedDay, &d.untold)
	d.Parties = strings.Fields(parties)
	return d, err
}

// packParties writes participants each between spaces, so that one can be found.
func packParties(parties []string) string {
	if len(parties) == 0 {
		return ""
	}
	return " " + strings.Join(parties, " ") + " "
}

// open reads the running clock of a kind and object; nil if none runs.
func open(ctx context.Context, tx store.Tx, kind Kind, object string) (*Deadline, error) {
	d, err := scan(tx.QueryRowContext(ctx, "SELECT "+columns+" FROM deadlines WHERE object = $1 AND kind = $2 AND stopped_at = 0",
		object, string(kind)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return d, err
}

// Message gives a deadline as the API shows it today.
func (d *Deadline) Message(c *calendar.Calendar, today calendar.Day) *accessv1.Deadline {
	due, provisional := d.Due(c)
	m := &accessv1.Deadline{
		Id: d.ID, Kind: string(d.Kind), Object: d.Object, Owner: d.Owner, Parties: d.Parties, Topic: d.Topic,
		StartedAt: stamp(d.StartedAt), Days: uint32(d.days + d.extension), Extended: d.extension > 0,
		Due: due.String(), Provisional: provisional, EventPlusOne: d.passed,
	}
	if d.StoppedAt != 0 {
		m.StoppedAt = stamp(d.StoppedAt)
		m.Late, m.DaysLate = d.late > 0, uint32(max(0, d.late-1))
		return m
	}
	left, _ := c.Between(today, due)
	over, _ := c.Between(due, today)
	m.Late, m.DaysLeft, m.DaysLate = today > due, uint32(left), uint32(over)
	return m
}

func stamp(us int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMicro(us).UTC()) }
