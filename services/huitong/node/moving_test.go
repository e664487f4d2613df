package node_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// anew runs fn in n goroutines, over and over, until the returned stop.
func anew(ctx context.Context, n int, fn func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for range n {
		running.Go(func() {
			for ctx.Err() == nil {
				fn(ctx)
			}
		})
	}
	return func() { cancel(); running.Wait() }
}

// TestOneDepartmentDoesNotKeepThePolicyMoving: a department that changes its own
// part of the catalogue as fast as it can does not keep others from reading.
func TestOneDepartmentDoesNotKeepThePolicyMoving(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	estate := cataloguev1.NewCatalogueServiceClient(r.Join(t, sample.Housing, "estate").Conn())
	var asked, changed atomic.Int64
	stop := anew(t.Context(), 32, func(ctx context.Context) {
		topic := unconditional(fmt.Sprint("estate-", asked.Add(1)), "Property", sample.Housing)
		if _, err := estate.CreateTopic(ctx, &cataloguev1.CreateTopicRequest{Topic: topic}); err == nil {
			changed.Add(1)
		}
	})
	defer stop()
	for changed.Load() < 1000 && t.Context().Err() == nil {
		if _, err := r.ask(t, sdk.ByKey(r.records[0].CertificateNumber)); err != nil {
			t.Fatalf("after %d changes: %v", changed.Load(), err)
		}
	}
}

// consuming is a registry whose hall subscribes, queries and acknowledges flat
// out while civil affairs publishes.
func consuming(t *testing.T) (r *registry, grant *accessv1.Grant, stop func()) {
	r = newRegistry(t)
	grant, err := r.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: "marriage", Consumer: sample.ServiceHall.Code, Basis: "办法第五条", Fields: []string{"party_a_name"},
		ServiceItems: []string{acting.Purpose}, StandingPurpose: "SUBSIDY-01", StandingLegalBasis: "办法第五条",
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE, cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.hall.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "marriages", Topic: "marriage", Start: sdk.FromAll()}); err != nil {
		t.Fatal(err)
	}
	s, err := r.hall.Subscribe(t.Context(), "marriages", sdk.Handle(func(context.Context, *sdk.Delivery, *recordsv1.Marriage) error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	publishing := anew(t.Context(), 4, func(ctx context.Context) {
		m := proto.CloneOf(r.records[int(n.Add(1))%len(r.records)])
		_, _ = r.publisher.Publish(ctx, "marriage", m)
	})
	asking := anew(t.Context(), 4, func(ctx context.Context) {
		_, _ = r.hall.Query(ctx, sdk.Query{Topic: "marriage", Acting: acting, By: sdk.ByKey(r.records[0].CertificateNumber)})
	})
	return r, grant, func() {
		publishing()
		asking()
		s.Stop()
		<-s.Closed()
	}
}

// walk goes through the ledger and counts what left, and fails for what left
// under another count of policy changes than was in force at its place, or while
// the grant was suspended, or after its caller's certificate was revoked.
func walk(t *testing.T, entries []*ledgerv1.LedgerEntry, grant string) (released, queried int) {
	var policy uint64
	suspended, revoked := false, map[string]bool{}
	left := func(e *ledgerv1.LedgerEntry, at uint64) {
		if at != policy {
			t.Errorf("entry %d let records leave under count %d, and %d was in force", e.Index, at, policy)
		}
		if suspended {
			t.Errorf("entry %d let records leave while the grant was suspended", e.Index)
		}
		if revoked[string(e.ActorCertificate)] {
			t.Errorf("entry %d let records leave by a revoked certificate", e.Index)
		}
	}
	for _, e := range entries {
		switch b := e.Body.(type) {
		case *ledgerv1.LedgerEntry_Changed:
			if b.Changed.Policy != 0 {
				policy = b.Changed.Policy
			}
			if b.Changed.Object == "grant" && b.Changed.Id == grant {
				suspended = b.Changed.Change == "suspend"
			}
		case *ledgerv1.LedgerEntry_Certificate:
			policy = b.Certificate.Policy
			if b.Certificate.Change == "revoke" {
				revoked[string(b.Certificate.Fingerprint)] = true
			}
		case *ledgerv1.LedgerEntry_Released:
			released++
			left(e, b.Released.Policy)
		case *ledgerv1.LedgerEntry_Queried:
			queried++
			left(e, b.Queried.Policy)
		}
	}
	return released, queried
}

// TestNothingLeavesUnderAnOlderPolicy suspends and resumes a grant, and at last
// revokes the certificate, while records are delivered and queried flat out.
func TestNothingLeavesUnderAnOlderPolicy(t *testing.T) {
	r, grant, stop := consuming(t)
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for range 20 {
		for range 4 {
			<-pause.C
		}
		if _, err := r.Access.SuspendGrant(t.Context(), &accessv1.SuspendGrantRequest{Id: grant.Id, Reason: "核查"}); err != nil {
			t.Fatal(err)
		}
		<-pause.C
		if _, err := r.Access.ResumeGrant(t.Context(), &accessv1.ResumeGrantRequest{Id: grant.Id}); err != nil {
			t.Fatal(err)
		}
	}
	// It still flows.
	before, patience := r.Node.Journal.Head().Size, time.After(nodetest.Patience)
	for flows := false; !flows; {
		select {
		case <-pause.C:
			flows = slices.ContainsFunc(entriesFrom(t, r.Exchange, before), func(e *ledgerv1.LedgerEntry) bool { return e.GetReleased() != nil })
		case <-patience:
			t.Fatal("nothing is delivered any more")
		}
	}
	list, err := r.Catalogue.ListCertificates(t.Context(), &cataloguev1.ListCertificatesRequest{System: sample.ServiceHall.Code + "/hall"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Catalogue.RevokeCertificate(t.Context(), &cataloguev1.RevokeCertificateRequest{Fingerprint: list.Certificates[0].Fingerprint, Reason: "遗失"}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		<-pause.C
	}
	stop()
	released, queried := walk(t, entriesFrom(t, r.Exchange, 0), grant.Id)
	if released < 10 || queried < 30 {
		t.Errorf("only %d releases and %d queries", released, queried)
	}
}
