package node_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// notices reads what the exchange has told so far.
func notices(t *testing.T, x *nodetest.Exchange) []*recordsv1.Notice {
	t.Helper()
	rows, err := journal.TopicAfter(t.Context(), x.Node.DB.Reader(), journal.Number(notice.Notices), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var all []*recordsv1.Notice
	for _, r := range rows {
		opening, err := journal.OpenRecord(x.Node.Identity.Keyring, x.Node.Journal.Head().Origin, notice.Notices, r.KeyToken, r.Body)
		if err != nil {
			t.Fatal(err)
		}
		n := &recordsv1.Notice{}
		if err := proto.Unmarshal(opening.Payload, n); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// awaitNotices waits until so many were told, and gives them.
func awaitNotices(t *testing.T, x *nodetest.Exchange, n int) []*recordsv1.Notice {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(nodetest.Patience); ; <-tick.C {
		all := notices(t, x)
		if len(all) >= n {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d notices came: %v", len(all), n, all)
		}
	}
}

// TestWhoReliedOnARecordHears: of its correction, its revocation and its erasure,
// with the cases that it was read for, each once.
func TestWhoReliedOnARecordHears(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m := r.records[0]
	seen := r.seen(t, m)
	d, err := r.hall.DisputeRecord(t.Context(), disputing(seen.Index))
	if err != nil {
		t.Fatal(err)
	}
	first := awaitNotices(t, r.Exchange, 1)[0]
	if first.Recipient != sample.CivilAffairs.Code || first.Cause != "disputed" || first.DisputePlusOne != d.Entry+1 || len(first.CaseNumbers) != 0 {
		t.Fatal(first)
	}
	right, err := r.publisher.Publish(t.Context(), "marriage", change(m, func(m *recordsv1.Marriage) { m.PartyAName = "更正" }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.civil.AnswerCorrected(t.Context(), d.Entry, right.Index, "officer-3", "已更正"); err != nil {
		t.Fatal(err)
	}
	second := awaitNotices(t, r.Exchange, 2)[1]
	if second.Recipient != sample.ServiceHall.Code || second.Cause != "corrected" || second.ReliedIndex != seen.Index ||
		!slices.Equal(second.CaseNumbers, []string{acting.Case}) {
		t.Fatal(second)
	}
	revoked, err := r.publisher.Revoke(t.Context(), "marriage", m.CertificateNumber, "登记有误")
	if err != nil {
		t.Fatal(err)
	}
	third := awaitNotices(t, r.Exchange, 3)[2]
	if third.Cause != "revoked" || third.EntryIndex != revoked.Index || third.Recipient != sample.ServiceHall.Code {
		t.Fatal(third)
	}
	if _, err := r.publisher.Erase(t.Context(), "marriage", m.CertificateNumber, "依申请删除"); err != nil {
		t.Fatal(err)
	}
	fourth := awaitNotices(t, r.Exchange, 4)[3]
	if fourth.Cause != "erased" || !slices.Equal(fourth.CaseNumbers, []string{acting.Case}) {
		t.Fatal(fourth)
	}
	// Nobody else, nothing twice.
	if _, err := r.publisher.Revoke(t.Context(), "marriage", r.records[1].CertificateNumber, "登记有误"); err != nil {
		t.Fatal(err)
	}
	if err := r.Node.Index.Wait(t.Context(), r.Node.Journal.Head().Size); err != nil {
		t.Fatal(err)
	}
	fsck(t, r.Exchange)
	if all := notices(t, r.Exchange); len(all) != 4 {
		t.Fatal(all)
	}
}

// TestACorrectionIsToldByItself: a version that says why is told to whoever relied
// on an earlier one; one that does not is told to nobody, nor is a correction again
// with the answer to the dispute that asked for it.
func TestACorrectionIsToldByItself(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m := r.records[0]
	_, err := r.publisher.Publish(t.Context(), "marriage", change(r.records[1], func(m *recordsv1.Marriage) { m.PartyAName = "无人查" }), sdk.WithReason("登记有误"))
	ok(t, err)
	seen := r.seen(t, m)
	_, err = r.publisher.Publish(t.Context(), "marriage", change(m, func(m *recordsv1.Marriage) { m.PartyAName = "新" }))
	ok(t, err)
	right, err := r.publisher.Publish(t.Context(), "marriage", change(m, func(m *recordsv1.Marriage) { m.PartyAName = "更正" }), sdk.WithReason("登记有误"))
	ok(t, err)
	n := awaitNotices(t, r.Exchange, 1)[0]
	if n.Recipient != sample.ServiceHall.Code || n.Cause != "corrected" || n.EntryIndex != right.Index || n.ReliedIndex != seen.Index ||
		!slices.Equal(n.CaseNumbers, []string{acting.Case}) {
		t.Fatal(n)
	}
	seen = r.seen(t, m)
	d, err := r.hall.DisputeRecord(t.Context(), disputing(seen.Index))
	ok(t, err)
	again, err := r.publisher.Publish(t.Context(), "marriage", change(m, func(m *recordsv1.Marriage) { m.PartyAName = "再更正" }), sdk.WithReason("判决"))
	ok(t, err)
	_, err = r.civil.AnswerCorrected(t.Context(), d.Entry, again.Index, "officer-3", "已更正")
	ok(t, err)
	all := awaitNotices(t, r.Exchange, 4)
	if c := all[2]; c.EntryIndex != again.Index || c.ReliedIndex != seen.Index || !slices.Equal(c.CaseNumbers, []string{acting.Case}) {
		t.Error(c)
	}
	if a := all[3]; a.DisputePlusOne != d.Entry+1 || len(a.CaseNumbers) != 0 || a.Recipient != sample.ServiceHall.Code {
		t.Error(a)
	}
	fsck(t, r.Exchange)
}

// TestWhoHeardOfASuspensionHearsOfItsEnd: whoever stopped a case for it goes on.
func TestWhoHeardOfASuspensionHearsOfItsEnd(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m := r.records[0]
	seen := r.seen(t, m)
	if _, err := r.publisher.Suspend(t.Context(), "marriage", m.CertificateNumber, "复核"); err != nil {
		t.Fatal(err)
	}
	resumed, err := r.publisher.Resume(t.Context(), "marriage", m.CertificateNumber, "复核无误")
	if err != nil {
		t.Fatal(err)
	}
	n := awaitNotices(t, r.Exchange, 2)[1]
	if n.Cause != "resumed" || n.EntryIndex != resumed.Index || n.ReliedIndex != seen.Index || n.Recipient != sample.ServiceHall.Code ||
		!slices.Equal(n.CaseNumbers, []string{acting.Case}) {
		t.Fatal(n)
	}
	fsck(t, r.Exchange)
}

// TestToldOfWhatHappenedBeforeACrash: what was committed and not told before the
// exchange ended is told when it is opened again, and what was told is not.
func TestToldOfWhatHappenedBeforeACrash(t *testing.T) {
	dir := t.TempDir()
	x, err := nodetest.Open(t.Context(), dir, node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	civil, hall := x.Join(t, sample.CivilAffairs, "registry"), x.Join(t, sample.ServiceHall, "hall")
	marriageTopic(t, x)
	marriageGrant(t, x, 0)
	p := civil.Publisher(sdk.PublisherConfig{})
	m := marriages(60)[0]
	if _, err := p.Publish(t.Context(), "marriage", m); err != nil {
		t.Fatal(err)
	}
	x.OpenCase(t, hall, acting.Case, acting.Purpose, sdk.Subject{Type: "111", Number: m.PartyANumber})
	if _, err := hall.Query(t.Context(), sdk.Query{Topic: "marriage", Acting: acting, By: sdk.ByKey(m.CertificateNumber)}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Suspend(t.Context(), "marriage", m.CertificateNumber, "核实"); err != nil {
		t.Fatal(err)
	}
	awaitNotices(t, x, 1)
	// As if it had died before it wrote down how far it had told.
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	rewind(t, x)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if x, err = nodetest.Reopen(t.Context(), dir, node.Config{}); err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(nodetest.Patience); ; <-tick.C {
		var next uint64
		if err := x.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT next FROM hearing").Scan(&next); err != nil {
			t.Fatal(err)
		}
		if next > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not go on")
		}
	}
	if all := notices(t, x); len(all) != 1 || all[0].Cause != "suspended" {
		t.Fatal(all)
	}
}

// rewind forgets how far the exchange has told.
func rewind(t *testing.T, x *nodetest.Exchange) {
	t.Helper()
	awaitTold(t, x)
	if err := x.Node.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE hearing SET next = 0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// awaitTold waits until the one notice of the test is written down as told.
func awaitTold(t *testing.T, x *nodetest.Exchange) {
	t.Helper()
	of := notices(t, x)[0].EntryIndex
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(nodetest.Patience); ; <-tick.C {
		var next uint64
		if err := x.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT next FROM hearing").Scan(&next); err != nil {
			t.Fatal(err)
		}
		if next > of {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not written down")
		}
	}
}
