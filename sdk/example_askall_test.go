package sdk_test

import (
	"context"
	"fmt"
	"log"

	"github.com/huitong-bus/huitong/sdk"
)

// A means test: civil affairs answers live whether somebody is married, and what
// the exchange holds it answers itself. One source that is refused is a result.
func ExampleClient_AskAll() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))
	live, ungranted := topic("marriage-now", "Marriage"), topic("marriage-other", "Marriage")
	live.AnsweredLive, ungranted.AnsweredLive = true, true
	exchange.list(live)
	exchange.list(ungranted)
	exchange.agree(grant("marriage-now", "certificate_number", "state"))

	// In the provider's own system.
	registry, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer registry.Close()
	supplying, err := registry.Supply(ctx, "marriage-now", func(ctx context.Context, asked *sdk.Asked) (*sdk.Supplied, error) {
		return sdk.Found(exampleMarriage("J999999-2025-000009", asked.Subject.Number)), nil
	})
	if err != nil {
		log.Fatal(err)
	}
	defer supplying.Stop()

	// In the service hall.
	hall, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer hall.Close()
	applicant := sdk.Subject{Type: "111", Number: "999999199001010016"}
	_, err = hall.OpenCase(ctx, sdk.NewCase{Number: "SF-2026-000042", Item: "000711004000", Person: "clerk-017", Subjects: []sdk.Subject{applicant}})
	if err != nil {
		log.Fatal(err)
	}
	asked, err := hall.AskAll(ctx, sdk.FanOutQuestion{
		Acting: sdk.Acting{Person: "clerk-017", Purpose: "000711004000", Case: "SF-2026-000042"},
		Sources: []sdk.Source{
			{Topic: "marriage", Subject: applicant}, {Topic: "marriage-now", Subject: applicant}, {Topic: "marriage-other", Subject: applicant},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range asked.Results {
		switch r.State {
		case sdk.SourceFound:
			fmt.Println(r.Source.Topic, "found", len(r.Answer.Records), "live:", r.Live)
		default:
			fmt.Println(r.Source.Topic, "refused by", r.Rule)
		}
	}
	// Output:
	// marriage found 1 live: false
	// marriage-now found 1 live: true
	// marriage-other refused by grant.required
}
