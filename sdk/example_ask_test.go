package sdk_test

import (
	"context"
	"fmt"
	"log"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// married is a check that civil affairs and the service hall agreed: the hall
// learns whether somebody is married, and to nobody whom.
func married() *accessv1.Grant {
	g := grant("marriage")
	g.DeliveryModes = []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK}
	g.StandingPurpose, g.StandingLegalBasis = "", ""
	g.Checks = []*accessv1.GrantCheck{{
		Name: "married", Title: "是否已婚", Fields: []string{"state"},
		Predicate: "records.exists(r, r.state == MarriageState.MARRIAGE_STATE_MARRIED)",
	}}
	return g
}

// Only yes, no or "not held" comes; the ledger commits to which.
func ExampleClient_Check() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))
	exchange.agree(married())
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = client.OpenCase(ctx, sdk.NewCase{
		Number: "SF-2026-000042", Item: "000711004000", Person: "clerk-017", Subjects: []sdk.Subject{{Type: "111", Number: "999999199001010016"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := client.Check(ctx, sdk.Check{
		Topic: "marriage", Name: "married", Subject: sdk.Subject{Type: "111", Number: "999999199001010016"},
		Acting: sdk.Acting{Person: "clerk-017", Purpose: "000711004000", Case: "SF-2026-000042"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("married:", answer.Answer, "- proven:", answer.Receipt.Proven())
	// Output: married: yes - proven: true
}

// What a system may use, by the same decision that is made when it does.
func ExampleClient_AllowedTopics() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	exchange.agree(married())
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	for topic, err := range client.AllowedTopics(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		for _, use := range topic.Uses {
			for _, check := range use.Checks {
				fmt.Println(topic.Name, "may be checked:", check.Title)
			}
		}
	}
	// Output: marriage may be checked: 是否已婚
}
