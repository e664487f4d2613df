package sdk_test

import (
	"context"
	"fmt"
	"log"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// Whatever is read is read for a case: it is open, is for the service item that
// is the purpose, and names who is asked about.
func ExampleClient_OpenCase() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	applicant := sdk.Subject{Type: "111", Number: "999999199001010016", Role: "applicant"}
	opened, err := client.OpenCase(ctx, sdk.NewCase{
		Number: "SF-2026-000042", Item: "000711004000", Person: "clerk-017", Subjects: []sdk.Subject{applicant},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(opened.Number, opened.State)
	if _, err := client.CloseCase(ctx, opened.Number, "clerk-017", "准予补贴"); err != nil {
		log.Fatal(err)
	}

	_, err = client.Query(ctx, sdk.Query{
		Topic: "marriage", By: sdk.BySubject(applicant),
		Acting: sdk.Acting{Person: "clerk-017", Purpose: "000711004000", Case: opened.Number},
	})
	fmt.Println("asked for it once more:", fault.RuleOf(err))
	// Output:
	// SF-2026-000042 CASE_STATE_OPEN
	// asked for it once more: case.closed
}

// What a decision rested on can be asked for again when the record has changed.
// Permission is decided as of now.
func ExampleAsOfIndex() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	then := exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))
	divorced := exampleMarriage("J999999-2025-000001", "999999199001010016")
	divorced.State, divorced.EndedDate = recordsv1.MarriageState_MARRIAGE_STATE_DIVORCED, "2026-03-02"
	exchange.publish(divorced)
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	exampleCase(client)

	question := sdk.Query{
		Topic: "marriage", By: sdk.BySubject(sdk.Subject{Type: "111", Number: "999999199001010016"}),
		Acting: sdk.Acting{Person: "clerk-017", Purpose: "000711004000", Case: "SF-2026-000042"},
	}
	for _, past := range []sdk.QueryAsOf{nil, sdk.AsOfIndex(then.Index)} {
		question.AsOf = past
		answer, err := client.Query(ctx, question)
		if err != nil {
			log.Fatal(err)
		}
		marriage, err := sdk.As[*recordsv1.Marriage](&answer.Records[0])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("version", answer.Records[0].Version, marriage.State)
	}
	// Output:
	// version 2 MARRIAGE_STATE_DIVORCED
	// version 1 MARRIAGE_STATE_MARRIED
}

// Erasing takes the content of every version, and all that says whom it was about.
// The receipts of before still prove themselves.
func ExamplePublisher_Erase() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	published := exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))
	client, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	publisher := client.Publisher(sdk.PublisherConfig{})
	defer publisher.Close(ctx)

	erased, err := publisher.Erase(ctx, "marriage", "J999999-2025-000001", "依申请删除")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the erasure is proven:", erased.Proven())
	fmt.Println("what was published before:", published.Verify(exchange.ledgerKey))

	exampleCase(client)
	answer, err := client.Query(ctx, sdk.Query{ // even for its past
		Topic: "marriage", By: sdk.ByKey("J999999-2025-000001"), AsOf: sdk.AsOfIndex(published.Index),
		Acting: sdk.Acting{Person: "clerk-017", Purpose: "000711004000", Case: "SF-2026-000042"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range answer.Records {
		fmt.Println("erased:", r.Erased, "with content:", r.HasPayload())
	}
	// Output:
	// the erasure is proven: true
	// what was published before: <nil>
	// erased: true with content: false
}

// exampleCase opens the case that examples read for.
func exampleCase(c *sdk.Client) {
	_, err := c.OpenCase(context.Background(), sdk.NewCase{
		Number: "SF-2026-000042", Item: "000711004000", Person: "clerk-017", Subjects: []sdk.Subject{{Type: "111", Number: "999999199001010016"}},
	})
	check(err)
}
