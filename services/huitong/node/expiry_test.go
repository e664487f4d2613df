package node_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestWhoReliedOnAnExpiredRecordHears once, when its last day in Asia/Shanghai is
// over, with the cases that it still matters to; and nobody else of anything.
func TestWhoReliedOnAnExpiredRecordHears(t *testing.T) {
	clock := &movable{}
	clock.put(beforeNationalDay())
	in := newIssuing(t, node.Config{Clock: clock.Now, Database: "sqlite:" + t.TempDir()})
	shanghai := time.FixedZone("Asia/Shanghai", 8*60*60)
	year := clock.Now().Year()
	day := func(month time.Month, day int) string {
		return time.Date(year, month, day, 0, 0, 0, 0, shanghai).Format(time.DateOnly)
	}
	in.relyOnCertificates(t)
	until := func(serial int, last string) string {
		m := certificateOf(certificateID(serial, 1))
		m.ValidUntil = last
		in.issue(t, m)
		return m.Identifier
	}
	first, ended, second, yesterday := until(1, day(9, 30)), until(2, day(9, 30)), until(3, day(10, 2)), until(4, day(9, 29))
	until(6, day(9, 30)) // which nobody reads
	lasting := until(5, "")
	const other = "SF-2026-000043"
	for _, number := range []string{acting.Case, other} {
		in.OpenCase(t, in.hall, number, acting.Purpose, sdk.Subject{Type: "111", Number: earner})
	}
	in.read(t, acting.Case, first, second, lasting, yesterday)
	in.read(t, other, first, ended)
	if _, err := in.hall.CloseCase(t.Context(), other, acting.Person, "办结"); err != nil {
		t.Fatal(err)
	}

	// On the last day itself nobody hears; what is to be told is told when it is over.
	clock.put(time.Date(year, 9, 30, 12, 0, 0, 0, shanghai))
	if n := awaitNotices(t, in.Exchange, 1)[0]; n.Date != day(9, 29) {
		t.Errorf("%v", n)
	}
	catalogtest.Within(t, nodetest.Patience, "all of the page is told", func() bool {
		var tokens int
		err := in.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM expiry_sweep WHERE length(key_token) > 1").Scan(&tokens)
		return err == nil && tokens == 1
	})
	before := in.entries(t)
	clock.put(time.Date(year, 10, 1, 0, 0, 1, 0, shanghai))
	n := awaitNotices(t, in.Exchange, 2)[1]
	if n.Cause != "expired" || n.Recipient != sample.ServiceHall.Code || n.Date != day(9, 30) || !slices.Equal(n.CaseNumbers, []string{acting.Case}) {
		t.Errorf("%v", n)
	}
	if at, over := toldAt(t, in, 1), time.Date(year, 10, 1, 0, 0, 0, 0, shanghai); at.Before(over) || at.After(over.Add(time.Minute)) {
		t.Errorf("told at %v, not within a minute of %v", at, over)
	}
	// The next to expire is told of alone: what was told is not told again, even if
	// the place that was reached is lost, and the rest is nobody's.
	err := in.Node.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE expiry_sweep SET until = 0, topic = 0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	clock.put(time.Date(year, 10, 3, 0, 0, 1, 0, shanghai))
	all := awaitNotices(t, in.Exchange, 3)
	if len(all) != 3 || all[2].Date != day(10, 2) {
		t.Errorf("%v", all)
	}
	if grown := in.entries(t) - before; grown != 2 {
		t.Errorf("the ledger has %d entries more, not the two notices", grown)
	}
	fsck(t, in.Exchange)
}

// toldAt gives when a notice was committed.
func toldAt(t *testing.T, in *issuing, n int) time.Time {
	t.Helper()
	rows, err := journal.TopicAfter(t.Context(), in.Node.DB.Reader(), journal.Number(notice.Notices), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(rows[n].Leaf, &entry); err != nil {
		t.Fatal(err)
	}
	return time.UnixMicro(entry.AtUs)
}

// entries counts the ledger's entries as they are on disk, but those that tell of
// deadlines: a notice that nobody acknowledges makes one when its day is over.
func (in *issuing) entries(t *testing.T) (n int) {
	t.Helper()
	if err := in.Node.DB.Reader().QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM ledger) -
		(SELECT count(*) FROM sealed WHERE topic = $1 AND pos > 0)`, journal.Number(notice.Deadlines)).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// relyOnCertificates lets the hall query certificates, and has cases hear of
// nothing that expires a day after their end.
func (in *issuing) relyOnCertificates(t *testing.T) {
	t.Helper()
	_, err := in.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: certificates, Consumer: sample.ServiceHall.Code, Basis: "社会救助暂行办法第五十八条", Scenario: "补贴审核", Fields: []string{"name"},
		ServiceItems: []string{acting.Purpose}, DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	})
	if err != nil {
		t.Fatal(err)
	}
	deadlines := accessv1.NewDeadlineServiceClient(in.Client.Conn())
	got, err := deadlines.GetSettings(t.Context(), &accessv1.GetSettingsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Settings.ExpiryNoticeDays != 365 {
		t.Errorf("the default is %d days", got.Settings.ExpiryNoticeDays)
	}
	got.Settings.ExpiryNoticeDays = 1
	if _, err := deadlines.SetSettings(t.Context(), &accessv1.SetSettingsRequest{Settings: got.Settings}); err != nil {
		t.Fatal(err)
	}
}

// read has the hall query certificates for a case.
func (in *issuing) read(t *testing.T, number string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		of := acting
		of.Case = number
		answer, err := in.hall.Query(t.Context(), sdk.Query{Topic: certificates, Acting: of, By: sdk.ByKey(id)})
		if err != nil || len(answer.Records) != 1 {
			t.Fatal(answer, err)
		}
	}
}
