package notice_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/intake/intaketest"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAnEarlierDatabaseGetsTheBoard: one that was made when the standard pack had
// no such contracts gets them, with the topics, once.
func TestAnEarlierDatabaseGetsTheBoard(t *testing.T) {
	x := catalogtest.New(t)
	must(t, x.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM contracts WHERE name IN ('huitong.records.v1.Deadline', 'huitong.records.v1.Notice', 'huitong.records.v1.SupplierRequest', 'huitong.records.v1.SupplierAnswer', 'huitong.records.v1.FanOutReport')")
		return err
	}))
	later := catalogtest.Join(t, x.DB, x.Identity)
	in := intaketest.Open(t, later).Intake
	before := later.Journal.Head().Size
	for range 2 {
		b, err := notice.Open(t.Context(), later.Catalogue, in)
		must(t, err)
		must(t, b.Publish(t.Context(), notice.Notices, [16]byte{1}, &recordsv1.Notice{
			NoticeId: "1", Recipient: catalogtest.Civil, Cause: "corrected", Topic: "people", Happened: "已更正",
		}))
	}
	if n := later.Journal.Head().Size - before; n != 11 {
		t.Errorf("%d entries for five contracts, five topics and one record", n)
	}
	topic, err := later.Catalogue.Topic(notice.Deadlines)
	if err != nil || topic.Provider != catalogtest.Authority {
		t.Errorf("%v %v", topic, err)
	}
}

// TestWhatIsNoNotice: a record that its contract refuses is not published.
func TestWhatIsNoNotice(t *testing.T) {
	x := catalogtest.New(t)
	b, err := notice.Open(t.Context(), x.Catalogue, intaketest.Open(t, x).Intake)
	must(t, err)
	err = b.Publish(t.Context(), notice.Notices, [16]byte{1}, &recordsv1.Notice{NoticeId: "1", Recipient: "nobody"})
	if fault.KindOf(err) != fault.Internal {
		t.Error(err)
	}
	if err := b.Publish(t.Context(), "people", [16]byte{1}, &recordsv1.Person{}); err == nil {
		t.Error("it was published on a topic that is not the exchange's")
	}
}

// TestManySweepersTellOnce: each process sweeps, and each event is one record.
func TestManySweepersTellOnce(t *testing.T) {
	x := catalogtest.New(t)
	b, err := notice.Open(t.Context(), x.Catalogue, intaketest.Open(t, x).Intake)
	must(t, err)
	objects := []string{"g1", "g2", "g3", "g4", "g5"}
	for _, object := range objects {
		_, err := x.Journal.Submit(t.Context(), &journal.Call{Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
			changed := &ledgerv1.ObjectChanged{Object: "source", Id: "x", Change: "step"}
			return []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Changed{Changed: changed}}}}, deadline.Start(ctx, tx, slot.At, deadline.Clock{
				Kind: deadline.CatalogueReview, Object: object, Owner: catalogtest.Security, Parties: []string{catalogtest.Civil},
			})
		}})
		must(t, err)
	}
	later := time.Now().AddDate(0, 0, 21)
	for range 4 {
		s := deadline.NewSweeper(deadline.SweeperConfig{
			DB: x.DB, Journal: x.Journal, Board: b, Settings: x.Catalogue, Clock: func() time.Time { return later },
		})
		defer s.Close()
	}
	told := func() (at []uint64) {
		must(t, deadline.Each(t.Context(), x.DB.Reader(), func(d *deadline.Deadline) error {
			if d.Told() > 0 {
				at = append(at, d.Told())
			}
			return nil
		}))
		return at
	}
	catalogtest.Within(t, catalogtest.Patience, "all are told of", func() bool { return len(told()) == len(objects) })
	at := told()
	slices.Sort(at)
	if at = slices.Compact(at); len(at) != len(objects) {
		t.Errorf("told at %v", at)
	}
	var published int
	must(t, x.DB.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM sealed WHERE topic = $1 AND pos > 0", journal.Number(notice.Deadlines)).Scan(&published))
	if published != len(objects) {
		t.Errorf("%d records for %d deadlines", published, len(objects))
	}
}
