package node_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/notice"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// promptly bounds how long a notice may take to who relied on a record; a second
// is meant, and the rest is for a machine that is busy with other tests.
const promptly = 5 * time.Second

// arrival is a notice as it came to its reader.
type arrival struct {
	cause string
	entry uint64
	at    time.Time
}

// hears reads the notices of a department as they come.
func hears(t *testing.T, c *sdk.Client) <-chan arrival {
	t.Helper()
	if _, err := c.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "notices", Topic: notice.Notices, Start: sdk.FromAll()}); err != nil {
		t.Fatal(err)
	}
	came := make(chan arrival, 16)
	s, err := c.Subscribe(t.Context(), "notices", sdk.Handle(func(_ context.Context, _ *sdk.Delivery, m *recordsv1.Notice) error {
		came <- arrival{m.Cause, m.EntryIndex, time.Now()}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return came
}

// TestWhoReliedHearsPromptly: from the commit of a correction and of an erasure
// to the notice's arrival, over a subscription that waits for it.
func TestWhoReliedHearsPromptly(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m := r.records[0]
	seen := r.seen(t, m)
	came := hears(t, r.hall)
	next := func(cause string, after uint64) {
		t.Helper()
		select {
		case a := <-came:
			if a.cause != cause || a.entry < after {
				t.Fatalf("%s of entry %d came, not %s of one from %d on", a.cause, a.entry, cause, after)
			}
			took := a.at.Sub(r.committed(t, a.entry))
			if took > promptly {
				t.Errorf("it was heard of %s after %v", cause, took)
			}
			t.Logf("heard of %s %v after its commit", cause, took)
		case <-time.After(nodetest.Patience):
			t.Fatalf("nothing is heard of %s", cause)
		}
	}
	d, err := r.hall.DisputeRecord(t.Context(), disputing(seen.Index))
	if err != nil {
		t.Fatal(err)
	}
	right, err := r.publisher.Publish(t.Context(), "marriage", change(m, func(m *recordsv1.Marriage) { m.PartyAName = "更正" }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.civil.AnswerCorrected(t.Context(), d.Entry, right.Index, "officer-3", "已更正"); err != nil {
		t.Fatal(err)
	}
	next("corrected", right.Index+1)
	erased, err := r.publisher.Erase(t.Context(), "marriage", m.CertificateNumber, "依申请删除")
	if err != nil {
		t.Fatal(err)
	}
	next("erased", erased.Index)
}

// committed gives the time of an entry.
func (r *registry) committed(t *testing.T, index uint64) time.Time {
	t.Helper()
	var leaf []byte
	if err := r.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT leaf FROM ledger WHERE idx = $1", int64(index)).Scan(&leaf); err != nil {
		t.Fatal(err)
	}
	e := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(leaf, e); err != nil {
		t.Fatal(err)
	}
	return time.UnixMicro(e.AtUs)
}
