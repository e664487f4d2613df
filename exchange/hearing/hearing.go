// Package hearing tells those who have to do with a record what became of it:
// who queried or checked it hears when it is revoked, cancelled, superseded,
// suspended, resumed, erased or corrected, and when its validity is over; its
// provider and who subscribes to its topic hear that it is disputed, and who raised
// the dispute how it ended.
//
// It follows the ledger by position and publishes each notice on
// "huitong-notices" under a key that derives from the entry that is the cause and
// from the participant. The position moves when all notices of a cause are
// committed: a crash repeats some, which changes nothing, and loses none.
//
// With each notice a clock starts by which its participant acknowledges it, on
// whatever subscription of whichever of its systems; see deadline.OfNotice.
package hearing

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/calendar"
	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/settings"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
)

const (
	// causesAtOnce is how many causes are read at once.
	causesAtOnce = 100
	// retry is how long the follower waits after an error.
	retry = time.Second
)

// Board publishes the exchange's own records; a notice.Board.
type Board interface {
	PublishWith(ctx context.Context, topic string, idempotencyKey [verify.KeySize]byte, m proto.Message, with journal.With) error
}

// Config is what hearing needs.
type Config struct {
	DB      *store.DB
	Journal *journal.Journal
	Index   *inspect.Index
	Topics  interface {
		Topic(name string) (*catalog.Topic, error)
	}
	Board    Board
	Cases    Cases
	Settings interface{ Settings() *settings.Settings }
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
	Log   *slog.Logger
}

// Cases finds a participant's case by its number; nil if there is none.
type Cases interface {
	Find(ctx context.Context, participant, number string) (*cases.Case, error)
}

// Hearing tells; see the package.
type Hearing struct {
	Config
	stop context.CancelFunc
	done sync.WaitGroup
}

// Open starts to tell of what happens from now on, or from where telling
// stopped, until Close.
func Open(ctx context.Context, c Config) (*Hearing, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	h := &Hearing{Config: c}
	err := c.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO hearing (id, next) VALUES (1, $1) ON CONFLICT (id) DO NOTHING", int64(c.Journal.Head().Size))
		return errors.Join(err, beginExpiry(ctx, tx, calendar.DayOf(c.Clock())))
	})
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.done.Go(func() { h.run(running) })
	h.done.Go(func() { h.runExpiry(running) })
	return h, nil
}

// Close ends it. What is not told yet is told when it is opened again.
func (h *Hearing) Close() {
	h.stop()
	h.done.Wait()
}

func (h *Hearing) run(ctx context.Context) {
	for ctx.Err() == nil {
		changed := h.Index.Changed()
		err := h.tell(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			h.Log.Error("those who relied on a record cannot be told; trying again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(retry):
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// tell tells of every cause that the index has.
func (h *Hearing) tell(ctx context.Context) error {
	for {
		next, err := h.next(ctx)
		if err != nil {
			return err
		}
		causes, err := h.Index.CausesFrom(ctx, next, causesAtOnce)
		if err != nil || len(causes) == 0 {
			return err
		}
		for _, cause := range causes {
			if err := h.one(ctx, cause); err != nil {
				return err
			}
			// A crash here leaves everybody told and the position before the cause:
			// the notices are published again under their keys, and nothing changes.
			crashpoint.Here("hearing.told")
			if err := h.advance(ctx, cause+1); err != nil {
				return err
			}
		}
	}
}

func (h *Hearing) next(ctx context.Context) (next uint64, err error) {
	err = h.DB.Reader().QueryRowContext(ctx, "SELECT next FROM hearing WHERE id = 1").Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fault.New(fault.Internal, "hearing.position", "the position of what was told is gone")
	}
	return next, err
}

func (h *Hearing) advance(ctx context.Context, next uint64) error {
	return h.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE hearing SET next = $1 WHERE id = 1 AND next < $1", int64(next))
		return err
	})
}
