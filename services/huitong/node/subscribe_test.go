package node_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

func TestASubscriberReceivesWhatIsPublished(t *testing.T) {
	r := newRegistry(t)
	_, err := r.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: "marriage", Consumer: sample.ServiceHall.Code, Basis: "办法第五条", Scenario: "补贴审核",
		Fields:          []string{"certificate_number", "party_a_name"},
		StandingPurpose: "SUBSIDY-01", StandingLegalBasis: "办法第五条",
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.hall.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "marriages", Topic: "marriage", Start: sdk.FromAll()}); err != nil {
		t.Fatal(err)
	}
	var got atomic.Int64
	all := make(chan struct{})
	s, err := r.hall.Subscribe(t.Context(), "marriages", sdk.Handle(func(_ context.Context, d *sdk.Delivery, m *recordsv1.Marriage) error {
		if m.GetPartyBName() != "" || m.GetCertificateNumber() == "" {
			t.Errorf("sequence %d shows other fields than those granted", d.Sequence)
		}
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
	case <-s.Closed():
		t.Fatal(s.Err())
	case <-time.After(nodetest.Patience):
		t.Fatalf("%d of %d records came", got.Load(), len(r.records))
	}
	s.Drain()
	<-s.Closed()
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}
