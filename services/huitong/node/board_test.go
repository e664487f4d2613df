package node_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/notice"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// reader is a system that subscribes to notices.
type reader struct {
	mu  sync.Mutex
	got []string
}

func read(t *testing.T, c *sdk.Client) *reader {
	t.Helper()
	r := &reader{}
	if _, err := c.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "board", Topic: notice.Notices, Start: sdk.FromAll(), Lanes: 1}); err != nil {
		t.Fatal(err)
	}
	s, err := c.Subscribe(t.Context(), "board", sdk.Handle(func(_ context.Context, _ *sdk.Delivery, m *recordsv1.Notice) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, m.NoticeId)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return r
}

// has says whether these came, each once and nothing else; different records may
// come in any order, for several are handled at once.
func (r *reader) has(ids ...string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Equal(slices.Sorted(slices.Values(r.got)), ids)
}

// TestEachReadsItsOwnOfTheBoard: a department reads what names it, without a
// grant, and nothing else; who oversees the exchange reads all. A witness reads
// nothing.
func TestEachReadsItsOwnOfTheBoard(t *testing.T) {
	x := nodetest.Start(t)
	post := func(id string, d sample.Department) {
		t.Helper()
		key := sha256.Sum256([]byte(id))
		if err := x.Node.Board.Publish(t.Context(), notice.Notices, [16]byte(key[:16]), &recordsv1.Notice{
			NoticeId: id, Recipient: d.Code, Cause: "corrected", Topic: "marriage", Provider: sample.CivilAffairs.Code, Happened: "记录已更正",
		}); err != nil {
			t.Fatal(err)
		}
	}
	hall, housing := x.Join(t, sample.ServiceHall, "hall"), x.Join(t, sample.Housing, "estate")
	// A department system of the very participant that is listed as provider.
	office := x.Join(t, sample.DataAuthority, "office")
	audit := x.Join(t, sample.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR)
	post("1", sample.ServiceHall)
	post("2", sample.Housing)
	post("3", sample.ServiceHall)
	readers := map[string]*reader{"hall": read(t, hall), "housing": read(t, housing), "office": read(t, office), "audit": read(t, audit), "operator": read(t, x.Client)}
	post("4", sample.Housing)
	post("5", sample.DataAuthority)
	post("6", sample.ServiceHall)
	for name, want := range map[string][]string{
		"hall": {"1", "3", "6"}, "housing": {"2", "4"}, "office": {"5"},
		"audit": {"1", "2", "3", "4", "5", "6"}, "operator": {"1", "2", "3", "4", "5", "6"},
	} {
		catalogtest.Within(t, nodetest.Patience, fmt.Sprintf("%s reads %v", name, want), func() bool { return readers[name].has(want...) })
	}
	// Offline, an auditor finds what the exchange published without a signature.
	var ledger bytes.Buffer
	checkpoint, err := audit.Export(t.Context(), &ledger)
	if err != nil {
		t.Fatal(err)
	}
	a, err := sdk.AuditExport(&ledger, checkpoint.Signed, x.Node.LedgerKey())
	if err != nil || a.Kinds["published"] != 6 || a.OwnCalls != 6 || a.UnsignedCalls != 0 {
		t.Errorf("%+v %v", a, err)
	}
	witness := x.Join(t, sample.PublicSecurity, "witness", cataloguev1.Role_ROLE_WITNESS)
	_, err = witness.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "notices", Topic: notice.Notices})
	if fault.KindOf(err) != fault.Denied || fault.RuleOf(err) != "role.department" {
		t.Errorf("a witness: %v", err)
	}
}
