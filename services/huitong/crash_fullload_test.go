package main_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

// TestKilledWhileALoadEnds kills a real exchange behind the end of a full load,
// and between its removals: they are made when it is started again, each once.
func TestKilledWhileALoadEnds(t *testing.T) {
	for _, point := range []string{"snapshot.after-end:1", "snapshot.removing:1"} {
		t.Run(point, func(t *testing.T) { killedWhileALoadEnds(t, point) })
	}
}

func killedWhileALoadEnds(t *testing.T, point string) {
	ctx := t.Context()
	c := newCity(t, storetest.URL(t))
	a, err := authority.Connect(ctx, c.dir, c.processes[0].address, "")
	must(t, err)
	defer a.Close()
	config, err := join(ctx, a, sample.PublicSecurity)
	must(t, err)
	must(t, a.CreateTopic(ctx, &cataloguev1.Topic{
		Name: "person", Title: "人口", Provider: sample.PublicSecurity.Code, Contract: "huitong.records.v1.Person",
		SharingClass: cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL, SignatureRequired: true,
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	}))
	p := c.processes[0]
	p.kill()
	p.start(point)
	client := c.connect(config, 0)
	publisher := client.Publisher(sdk.PublisherConfig{RetryFor: -1})
	defer publisher.Close(ctx)
	people := sdk.For[*recordsv1.Person](publisher, "person")
	everybody := sample.NewCity(7, 1200).Persons()
	_, err = people.PublishBatch(ctx, everybody)
	must(t, err)
	load, err := publisher.BeginFullLoad(ctx, "person")
	must(t, err)
	gone := uint64(len(everybody))
	if _, err := load.End(ctx, sdk.WithConfirmedRemovals(gone)); err == nil {
		t.Fatal("the exchange was not killed")
	}
	<-p.exited
	p.start("")
	again := c.connect(config, 0)
	tick := everyMoment(t)
	for {
		s, err := again.FullLoad(ctx, "person")
		must(t, err)
		if s.State == exchangev1.SnapshotState_SNAPSHOT_STATE_ENDED {
			if s.Removed != gone || s.Unmentioned != gone {
				t.Fatal(s)
			}
			break
		}
		tick()
	}
	c.stop()
	db, err := store.Open(ctx, c.database)
	must(t, err)
	defer db.Close()
	d, err := identity.Load(c.dir)
	must(t, err)
	report, err := inspect.Check(ctx, db, d.Keyring, inspect.CheckOptions{})
	must(t, err)
	if report.Wrong != nil {
		t.Fatal(report.Wrong)
	}
}
