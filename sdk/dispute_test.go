package sdk_test

import (
	"context"
	"fmt"
	"log"

	"github.com/huitong-bus/huitong/sdk"
)

// A department that finds a record wrong asks its provider to verify it.
func ExampleClient_DisputeRecord() {
	exchange := startExample()
	defer exchange.end()
	wrong := exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))
	ctx := context.Background()
	hall, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer hall.Close()
	exampleCase(hall)
	dispute, err := hall.DisputeRecord(ctx, sdk.NewDispute{
		Topic: "marriage", Index: wrong.Index, Fields: []string{"party_a_name"}, Reason: "姓名与身份证不一致",
		Acting: sdk.Acting{Person: "clerk-017", Case: "SF-2026-000042"},
	})
	if err != nil {
		log.Fatal(err)
	}

	// The registry answers, with a later version of the record.
	right := exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))
	registry, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer registry.Close()
	answered, err := registry.AnswerCorrected(ctx, dispute.Entry, right.Index, "officer-3", "已更正")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(dispute.Reason, answered.State, answered.Late)
	// Output: 姓名与身份证不一致 DISPUTE_STATE_CORRECTED false
}
