package sdk_test

import (
	"context"
	"fmt"
	"log"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// The certificate, its key and the CA's certificates usually come from files:
// CertFile, KeyFile and CAFile.
func ExampleConnect() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()

	client, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	fmt.Println("connected as", client.System())
	// Output: connected as 11999900MB00000278/registry
}

// Publish returns when the record is on disk and in the ledger.
func ExamplePublisher_Publish() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	publisher := client.Publisher(sdk.PublisherConfig{})
	defer publisher.Close(ctx)
	receipt, err := publisher.Publish(ctx, "marriage", &recordsv1.Marriage{
		CertificateNumber: "J999999-2025-000001", State: recordsv1.MarriageState_MARRIAGE_STATE_MARRIED,
		PartyAType: "111", PartyANumber: "999999199001010016", PartyAName: "张伟",
		PartyBType: "111", PartyBNumber: "999999198506150028", PartyBName: "李秀英",
		RegisteredDate: "2025-05-20",
		RegistrarCode:  "11999900MB00000278", RegistrarName: "示范市民政局",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("proven:", receipt.Proven(), "warnings:", len(receipt.Warnings))
	// Output: proven: true warnings: 0
}

// A batch is not atomic: each record is accepted or refused alone.
func ExampleTyped_PublishBatch() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	publisher := client.Publisher(sdk.PublisherConfig{})
	defer publisher.Close(ctx)

	marriages := sdk.For[*recordsv1.Marriage](publisher, "marriage")
	results, err := marriages.PublishBatch(ctx, []*recordsv1.Marriage{
		exampleMarriage("J999999-2025-000001", "999999199001010016"),
		exampleMarriage("J999999-2025-000002", "999999199001010017"), // a wrong check digit
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range results {
		fmt.Println(r.Receipt != nil, r.Err)
	}
	// Output:
	// true <nil>
	// false party_a_number: the check digit is wrong [identifier.resident_id]
}

// A query names the person who asks, the service item and a case that is open
// and names who is asked about.
func ExampleClient_Query() {
	exchange := startExample()
	defer exchange.end()
	exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = client.OpenCase(ctx, sdk.NewCase{
		Number: "2026-0042", Item: "000711004000", Person: "clerk-17",
		Subjects: []sdk.Subject{{Type: "111", Number: "999999199001010016", Role: "applicant"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := client.Query(ctx, sdk.Query{
		Topic:  "marriage",
		Acting: sdk.Acting{Person: "clerk-17", Purpose: "000711004000", Case: "2026-0042"},
		By:     sdk.BySubject(sdk.Subject{Type: "111", Number: "999999199001010016"}),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range answer.Records {
		marriage, err := sdk.As[*recordsv1.Marriage](&r)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.Status, marriage.CertificateNumber, marriage.State)
		fmt.Printf("the spouse's number is withheld: %v, not just empty: %q\n", r.IsWithheld(7), marriage.PartyBNumber)
	}
	// Output:
	// STATUS_ACTIVE J999999-2025-000001 MARRIAGE_STATE_MARRIED
	// the spouse's number is withheld: true, not just empty: ""
}

// Leaf and proof are all that a department keeps; whoever has the ledger's key
// can check them, without the exchange, in ten years.
func ExampleReceipt_Verify() {
	exchange := startExample()
	defer exchange.end()
	receipt := exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))

	proof, err := receipt.TlogProof()
	if err != nil {
		log.Fatal(err)
	}
	leaf := receipt.Leaf // keep both, as files say

	kept, err := sdk.ReadReceipt(leaf, proof)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("as kept:", kept.Verify(exchange.ledgerKey))

	leaf[len(leaf)-1]++
	forged, err := sdk.ReadReceipt(leaf, proof)
	if err == nil {
		err = forged.Verify(exchange.ledgerKey)
	}
	fmt.Println("one byte changed:", err != nil)
	// Output:
	// as kept: <nil>
	// one byte changed: true
}
