package deadline

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/calendar"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// Topic is where the exchange tells of deadlines.
const Topic = verify.OwnPrefix + "deadlines"

// sweepEvery is how often the sweeper looks whether a day ended.
const sweepEvery = 500 * time.Millisecond

// Board publishes a record of the exchange's own, once for each key, and gives
// the index of its entry.
type Board interface {
	Put(ctx context.Context, topic string, key [verify.KeySize]byte, m proto.Message) (index uint64, err error)
}

// SweeperConfig is what a sweeper needs.
type SweeperConfig struct {
	DB       *store.DB
	Journal  *journal.Journal
	Board    Board
	Settings Settings
	Clock    func() time.Time
	Log      *slog.Logger
}

// Sweeper tells of deadlines that passed, were extended or were met late. Each
// process has one, and none needs a lease: the key of an event is made of the
// deadline, what happened and the due day, so however many tell, it is told once.
type Sweeper struct {
	SweeperConfig
	stop context.CancelFunc
	done sync.WaitGroup

	// All that passed before day by this calendar is told.
	day      calendar.Day
	calendar *calendar.Calendar
	// size is the ledger's at the last look for what is untold.
	size uint64
}

// NewSweeper starts a sweeper; Close ends it.
func NewSweeper(c SweeperConfig) *Sweeper {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sweeper{SweeperConfig: c}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { s.run(ctx) })
	return s
}

// Close ends the sweeper.
func (s *Sweeper) Close() {
	s.stop()
	s.done.Wait()
}

func (s *Sweeper) run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("deadlines could not be told of; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweep looks for what is to be told. Only the end of a day or another calendar
// makes deadlines pass, and only an entry makes something else happen to one: in
// between it reads nothing.
func (s *Sweeper) sweep(ctx context.Context) error {
	c, today := s.Settings.Settings().Calendar, calendar.DayOf(s.Clock())
	if size := s.Journal.Head().Size; size != s.size {
		if err := s.each(ctx, " AND untold > 0", func(d *Deadline) error { return s.tellUntold(ctx, d, c) }); err != nil {
			return err
		}
		s.size = size
	}
	if s.day == today && s.calendar == c {
		return nil
	}
	err := s.each(ctx, " AND stopped_at = 0", func(d *Deadline) error {
		due, _ := d.Due(c)
		if today <= due || d.passedDay == due && d.passed != 0 {
			return nil
		}
		return s.tell(ctx, d, c, recordsv1.DeadlineEvent_DEADLINE_EVENT_PASSED,
			"UPDATE deadlines SET passed = $2, passed_day = $3 WHERE id = $1", int64(due))
	})
	if err == nil {
		s.day, s.calendar = today, c
	}
	return err
}

// each reads the deadlines of a condition, page by page.
func (s *Sweeper) each(ctx context.Context, where string, do func(d *Deadline) error) error {
	at, id := int64(0), ""
	for {
		page, err := read(ctx, s.DB.Reader(), where, at, id)
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

// tellUntold tells of an extension and of a late stop, in that order.
func (s *Sweeper) tellUntold(ctx context.Context, d *Deadline, c *calendar.Calendar) error {
	for _, one := range []struct {
		bit   int
		event recordsv1.DeadlineEvent
	}{
		{untoldExtension, recordsv1.DeadlineEvent_DEADLINE_EVENT_EXTENDED},
		{untoldLate, recordsv1.DeadlineEvent_DEADLINE_EVENT_MET_LATE},
	} {
		if d.untold&one.bit == 0 {
			continue
		}
		// Only while the row says what was read: another step may have added
		// something to tell, and the next sweep then takes both.
		if err := s.tell(ctx, d, c, one.event, "UPDATE deadlines SET passed = $2, untold = untold - $3 WHERE id = $1 AND untold = $4",
			int64(one.bit), int64(d.untold)); err != nil {
			return err
		}
		d.untold -= one.bit
	}
	return nil
}

// tell publishes an event and marks the row. A crash in between leaves the event
// published and the row unmarked: the next sweep publishes under the same key,
// which gives the first entry again, and marks the row by that.
func (s *Sweeper) tell(ctx context.Context, d *Deadline, c *calendar.Calendar, event recordsv1.DeadlineEvent, mark string, args ...any) error {
	due, provisional := d.Due(c)
	m := &recordsv1.Deadline{
		DeadlineId: d.ID, Event: event, Kind: string(d.Kind), Object: d.Object, Owner: d.Owner, Parties: d.Parties, Topic: d.Topic,
		StartedDate: dayOf(d.StartedAt), DueDate: due.String(), Days: uint32(d.days + d.extension), Provisional: provisional,
	}
	if event == recordsv1.DeadlineEvent_DEADLINE_EVENT_MET_LATE {
		m.MetDate, m.DaysLate = dayOf(d.StoppedAt), uint32(d.late-1)
	}
	index, err := s.Board.Put(ctx, Topic, EventKey(d.ID, event, due), m)
	if err != nil {
		return err
	}
	crashpoint.Here("deadline.before-mark")
	return s.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, mark, append([]any{d.ID, int64(index) + 1}, args...)...)
		return err
	})
}

func dayOf(us int64) string { return calendar.DayOf(time.UnixMicro(us)).String() }

// EventKey is the idempotency key of an event.
func EventKey(id string, event recordsv1.DeadlineEvent, due calendar.Day) (key [verify.KeySize]byte) {
	h := sha256.Sum256(fmt.Appendf(nil, "huitong deadline event\x00%s\x00%d\x00%v", id, event, due))
	copy(key[:], h[:])
	return key
}
