package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// What a full load does not mention is removed at its end.
func ExamplePublisher_BeginFullLoad() {
	exchange := startExample()
	defer exchange.end()
	exchange.publish(
		exampleMarriage("J999999-2025-000001", "999999199001010016"),
		exampleMarriage("J999999-2025-000002", "999999195003010038"),
	)
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	publisher := client.Publisher(sdk.PublisherConfig{})
	defer publisher.Close(ctx)

	load, err := publisher.BeginFullLoad(ctx, "marriage")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := load.Publish(ctx, exampleMarriage("J999999-2025-000001", "999999199001010016")); err != nil {
		log.Fatal(err)
	}
	_, err = load.End(ctx)
	fmt.Println(err) // one of two is more than a provider may lose unasked
	ended, err := load.End(ctx, sdk.WithConfirmedRemovals(1))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ended.Removed, "removed of", ended.Held)
	// Output:
	// 1 of 2 records held were not mentioned, more than 10 %; publish what is missing, abandon the load, or confirm the exact number [snapshot.share]
	// 1 removed of 2
}

// TestFullLoadWithRefusedRecord: a record that was refused would be taken for one
// that the source no longer has; and so would one whose key is of before the load.
func TestFullLoadWithRefusedRecord(t *testing.T) {
	x := open(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	p := civil.Publisher(sdk.PublisherConfig{})
	defer closePublisher(t, p)
	records := some(3)
	key := sdk.NewIdempotencyKey()
	if _, err := p.Publish(soon(t), marriages, records[0], sdk.WithIdempotencyKey(key)); err != nil {
		t.Fatal(err)
	}
	load, err := p.BeginFullLoad(soon(t), marriages)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.BeginFullLoad(soon(t), marriages); fault.RuleOf(err) != "snapshot.under_way" {
		t.Fatal(err)
	}
	bad := proto.CloneOf(records[1])
	bad.PartyANumber = "999999199001010017"
	if _, err := load.Publish(soon(t), bad); fault.KindOf(err) != fault.Invalid {
		t.Fatal(err)
	}
	again, err := load.PublishAsync(soon(t), sdk.Publication{Message: records[0]}, sdk.WithIdempotencyKey(key))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := load.End(soon(t)); !errors.Is(err, &fault.Error{Kind: fault.Conflict, Rule: "sdk.full_load"}) || load.Missed() != 2 {
		t.Fatal(load.Missed(), err)
	}
	if r := again.Result(); r.Err != nil || !r.Receipt.Repeat {
		t.Fatal(r)
	}
	resumed, err := p.ResumeFullLoad(soon(t), marriages)
	if err != nil || resumed.Begun() != load.Begun() {
		t.Fatal(resumed, err)
	}
	ended, err := resumed.Abandon(soon(t))
	if err != nil || ended.Removed != 0 || ended.State != exchangev1.SnapshotState_SNAPSHOT_STATE_ABANDONED {
		t.Fatal(ended, err)
	}
	if again, err := resumed.Abandon(soon(t)); err != nil || again.Ended != ended.Ended {
		t.Fatal(again, err)
	}
	if _, err := resumed.End(soon(t)); fault.RuleOf(err) != "snapshot.ended" {
		t.Fatal(err)
	}
}
