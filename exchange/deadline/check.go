package deadline

import (
	"context"
	"errors"
	"slices"

	"github.com/huitong-bus/huitong/exchange/store"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// Each gives every deadline, in the order of the starts.
func Each(ctx context.Context, tx store.Tx, do func(d *Deadline) error) error {
	at, id := int64(0), ""
	for {
		page, err := read(ctx, tx, "", at, id)
		if err != nil {
			return err
		}
		for _, d := range page {
			at, id = d.StartedAt, d.ID
			if err := do(d); err != nil {
				return err
			}
		}
		if len(page) < readPage {
			return nil
		}
	}
}

// Told is the index plus one of the last record that told of the deadline; 0 if
// none did.
func (d *Deadline) Told() uint64 { return d.passed }

// Plausible refuses a row that nothing here writes.
func (d *Deadline) Plausible() error {
	switch {
	case d.ID != ID(d.Kind, d.Object, d.StartedAt):
		return errors.New("id is not that of kind, object and start")
	case d.days < 1 || d.extension < 0 || d.untold < 0 || d.untold > untoldExtension|untoldLate:
		return errors.New("days, extension or untold is out of range")
	case d.untold&untoldExtension != 0 && d.extension == 0, d.untold&untoldLate != 0 && d.late == 0:
		return errors.New("untold says of something that did not happen")
	case d.StoppedAt != 0 && d.StoppedAt < d.StartedAt, d.late != 0 && d.StoppedAt == 0, d.late < 0:
		return errors.New("it stopped before it started, or is late and did not stop")
	case d.passed == 0 && d.passedDay != 0:
		return errors.New("passed_day is set, and nothing told that it passed")
	}
	return nil
}

// Matches compares a deadline with the last record that told of it.
func (d *Deadline) Matches(m *recordsv1.Deadline) error {
	switch {
	case m.DeadlineId != d.ID || m.Kind != string(d.Kind) || m.Object != d.Object || m.Owner != d.Owner ||
		!slices.Equal(m.Parties, d.Parties) || m.Topic != d.Topic || m.StartedDate != dayOf(d.StartedAt):
		return errors.New("the row is not what was told of it")
	case d.untold&untoldExtension == 0 && m.Days != uint32(d.days+d.extension):
		return errors.New("days and extension are not what was told of it")
	case m.Event == recordsv1.DeadlineEvent_DEADLINE_EVENT_MET_LATE && (m.MetDate != dayOf(d.StoppedAt) || int(m.DaysLate) != d.late-1):
		return errors.New("stopped_at or late is not what was told of it")
	case m.Event == recordsv1.DeadlineEvent_DEADLINE_EVENT_PASSED && d.passedDay.String() != m.DueDate:
		return errors.New("passed_day is not the due day that was told of")
	}
	return nil
}

// Has says whether a deadline of an id is there.
func Has(ctx context.Context, tx store.Tx, id string) (bool, error) {
	var n int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM deadlines WHERE id = $1", id).Scan(&n)
	return n == 1, err
}
