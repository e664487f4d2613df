package inspect_test

import (
	"context"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/calendar"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/settings"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// clocks sets settings and a year of the calendar, and lets deadlines pass: one
// that is open, that of a notice, and one that runs.
func (w *world) clocks(t testing.TB) {
	t.Helper()
	s := settings.Defaults()
	s.MaxThresholds = 5
	_, _, err := w.Catalogue.SetSettings(t.Context(), w.ByOperator(), s)
	must(t, err)
	y := calendar.Shipped()[0]
	y.Title += "（更正）"
	_, _, err = w.Catalogue.SetCalendarYear(t.Context(), w.ByOperator(), y)
	must(t, err)

	board, err := notice.Open(t.Context(), w.Catalogue, w.intake)
	must(t, err)
	step := func(do func(ctx context.Context, tx store.Tx, at int64) error) {
		_, err := w.Journal.Submit(t.Context(), &journal.Call{Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
			changed := &ledgerv1.ObjectChanged{Object: "source", Id: "x", Change: "step"}
			return []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Changed{Changed: changed}}}}, do(ctx, tx, slot.At)
		}})
		must(t, err)
	}
	start := func(kind deadline.Kind, object string) {
		step(func(ctx context.Context, tx store.Tx, at int64) error {
			return deadline.Start(ctx, tx, at, deadline.Clock{
				Kind: kind, Object: object, Owner: catalogtest.Security, Parties: []string{catalogtest.Civil}, Topic: people,
			})
		})
	}
	start(deadline.GrantSupply, "g1")
	start(deadline.CatalogueReview, people)
	told := &recordsv1.Notice{NoticeId: "n1", Recipient: catalogtest.Civil, Cause: "revoked", Topic: people, Happened: "提供部门已撤销该记录"}
	must(t, board.PublishWith(t.Context(), notice.Notices, [16]byte{1}, told, func(ctx context.Context, tx store.Tx, index uint64, at int64) error {
		return deadline.Start(ctx, tx, at, deadline.OfNotice(index, catalogtest.Civil, catalogtest.Security, people))
	}))
	later := time.Now().AddDate(0, 0, 14) // past the review's two working days, and on some days of the year past others' ten
	sweeper := deadline.NewSweeper(deadline.SweeperConfig{
		DB: w.DB, Journal: w.Journal, Board: board, Settings: w.Catalogue, Clock: func() time.Time { return later },
	})
	defer sweeper.Close()
	catalogtest.Within(t, catalogtest.Patience, "the deadlines are told of", func() bool {
		var n int
		must(t, w.DB.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM deadlines WHERE passed > 0 AND kind IN ($1, $2)",
			string(deadline.CatalogueReview), string(deadline.NoticeAcknowledge)).Scan(&n))
		return n == 2
	})
}

// TestCheckFindsANoticeThatNobodyAcknowledged: its clock was stopped by hand.
func TestCheckFindsANoticeThatNobodyAcknowledged(t *testing.T) {
	w := newWorld(t)
	w.clocks(t)
	execOn(t, w.DB.Journal, "INSERT INTO hearing (id, next) VALUES (1, 0)")
	execOn(t, w.DB.Journal, "UPDATE deadlines SET stopped_at = started_at WHERE kind = 'notice.acknowledge'")
	if f := w.check(t); f == nil || f.Table != "deadlines" || f.Message != "stopped_at does not say whether the notice was acknowledged" {
		t.Errorf("%v", f)
	}
}
