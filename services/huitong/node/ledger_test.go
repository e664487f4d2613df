package node_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// What really was published, delivered, acknowledged, queried and refused is in
// the ledger, an auditor verifies it, and the database checks out against it.
func TestTheLedgerOfADay(t *testing.T) {
	dir := t.TempDir()
	x, err := nodetest.Open(t.Context(), dir, node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := &registry{Exchange: x, civil: x.Join(t, sample.CivilAffairs, "registry"), hall: x.Join(t, sample.ServiceHall, "hall")}
	auditor := x.Join(t, sample.HumanResources, "audit", cataloguev1.Role_ROLE_AUDITOR)
	marriageTopic(t, x)
	watched := watchPublished(t, auditor)
	r.publisher = r.civil.Publisher(sdk.PublisherConfig{})
	r.records = marriages(300)
	for _, m := range r.records {
		if _, err := r.publisher.Publish(t.Context(), "marriage", m); err != nil {
			t.Fatal(err)
		}
	}
	r.openCase(t)
	if _, err := r.ask(t, bySpouse(r.records[0])); err == nil {
		t.Error("a query without a grant was answered")
	}
	r.receiveAll(t)
	if _, err := r.ask(t, bySpouse(r.records[0])); err != nil {
		t.Error(err)
	}
	if _, err := r.publisher.Revoke(t.Context(), "marriage", r.records[1].CertificateNumber, "登记有误"); err != nil {
		t.Error(err)
	}
	if _, err := r.publisher.Erase(t.Context(), "marriage", r.records[2].CertificateNumber, "依法删除"); err != nil {
		t.Error(err)
	}
	for range len(r.records) + 2 {
		select {
		case <-watched:
		case <-time.After(nodetest.Patience):
			t.Fatal("the watch misses publications")
		}
	}
	kinds := audited(t, x, auditor)
	for _, kind := range []string{"published", "released", "queried", "refused", "changed", "certificate", "erased", "read"} {
		if kinds[kind] == 0 {
			t.Errorf("no entry of kind %q", kind)
		}
	}
	_ = r.publisher.Close(t.Context())
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	checksOut(t, dir)
}

// receiveAll grants the hall delivery and query, and receives every record.
func (r *registry) receiveAll(t *testing.T) {
	t.Helper()
	_, err := r.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: "marriage", Consumer: sample.ServiceHall.Code, Basis: "办法第五条", Scenario: "补贴审核",
		Fields: []string{"certificate_number", "party_a_name"}, ServiceItems: []string{acting.Purpose}, DailyLimit: 5,
		StandingPurpose: "SUBSIDY-01", StandingLegalBasis: "办法第五条",
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE, cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.hall.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "day", Topic: "marriage", Start: sdk.FromAll()}); err != nil {
		t.Fatal(err)
	}
	var got atomic.Int64
	all := make(chan struct{})
	s, err := r.hall.Subscribe(t.Context(), "day", sdk.Handle(func(context.Context, *sdk.Delivery, *recordsv1.Marriage) error {
		if got.Add(1) == int64(len(r.records)) {
			close(all)
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-all:
	case <-time.After(nodetest.Patience):
		t.Fatalf("%d records came", got.Load())
	}
	s.Drain()
	<-s.Closed()
}

// watchPublished gives each publication as the watch of an auditor shows it.
func watchPublished(t *testing.T, auditor *sdk.Client) <-chan *ledgerv1.Entry {
	t.Helper()
	stream, err := ledgerv1.NewLedgerServiceClient(auditor.Conn()).WatchEntries(t.Context(), &ledgerv1.WatchEntriesRequest{
		Filter: &ledgerv1.EntryFilter{Kinds: []string{"published"}, FromIndex: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	watched := make(chan *ledgerv1.Entry, 1000)
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			watched <- m.Entry
		}
	}()
	return watched
}

// audited exports the ledger, audits it offline, and lists it in pages.
func audited(t *testing.T, x *nodetest.Exchange, auditor *sdk.Client) map[string]uint64 {
	t.Helper()
	var out bytes.Buffer
	checkpoint, err := auditor.Export(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	a, err := sdk.AuditExport(&out, checkpoint.Signed, x.Node.LedgerKey())
	if err != nil {
		t.Fatal(err)
	}
	ledger, n, token := ledgerv1.NewLedgerServiceClient(auditor.Conn()), uint64(0), ""
	for {
		page, err := ledger.ListEntries(t.Context(), &ledgerv1.ListEntriesRequest{PageSize: 97, PageToken: token})
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		n += uint64(len(page.Entries))
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if n < a.Entries {
		t.Errorf("%d entries listed, %d audited", n, a.Entries)
	}
	return a.Kinds
}

func checksOut(t *testing.T, dir string) {
	t.Helper()
	d, err := identity.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), node.DefaultDatabase(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	report, err := inspect.Check(t.Context(), db, d.Keyring, inspect.CheckOptions{Index: true})
	if err != nil {
		t.Fatal(err)
	}
	if report.Wrong != nil {
		t.Errorf("wrong: %v", report.Wrong)
	}
	if report.Acknowledgements == 0 || report.SignedCalls == 0 {
		t.Errorf("checked %d acknowledgements and %d signed calls", report.Acknowledgements, report.SignedCalls)
	}
}
