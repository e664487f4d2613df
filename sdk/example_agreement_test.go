package sdk_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// An official's key is made where the official works and stays there; the
// exchange gets the public key, and a proof that somebody holds the other half.
func ExampleClient_EnrolPerson() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	dir, err := os.MkdirTemp("", "keys-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	key, err := sdk.NewPersonKey()
	if err != nil {
		log.Fatal(err)
	}
	file := filepath.Join(dir, "zhou.key")
	if err := key.WriteFile(file); err != nil { // for its owner alone; LoadPersonKey reads it
		log.Fatal(err)
	}
	person, err := client.EnrolPerson(ctx, sdk.NewPerson{
		Reference: "ZW-1", Name: "周敏", Capacities: []cataloguev1.Capacity{sdk.AsHandler}, Key: key,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(person.Reference, person.Name, person.Capacities)

	// Who leaves signs nothing any more; what was signed before stands.
	kept, err := sdk.LoadPersonKey(file)
	if err != nil {
		log.Fatal(err)
	}
	if err := client.RemovePerson(ctx, kept.Fingerprint(), "调离"); err != nil {
		log.Fatal(err)
	}
	persons, err := client.Persons(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(persons[0].State)
	// Output:
	// ZW-1 周敏 [CAPACITY_HANDLER]
	// PERSON_STATE_REMOVED
}

// A grant is an agreement: the consumer's handler requests, its head approves;
// the provider's handler answers, its head approves. Each step is signed by an
// official and by the system, and is a ledger entry.
func ExampleClient_RequestGrant() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	hall, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer hall.Close()
	registry, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer registry.Close()
	requests, approves := enrolled(hall, "ZW-1", sdk.AsHandler), enrolled(hall, "ZW-2", sdk.AsHead)
	answers, agrees := enrolled(registry, "MZ-1", sdk.AsHandler), enrolled(registry, "MZ-2", sdk.AsHead)

	terms := &sdk.Grant{
		Topic: "marriage", Consumer: hall.Participant(), Basis: "社会救助暂行办法第五十八条", Scenario: "困难补贴审核",
		Fields: []string{"certificate_number", "state"}, ServiceItems: []string{"000115004000"},
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	}
	requested, err := hall.RequestGrant(ctx, "", terms, requests)
	if err != nil {
		log.Fatal(err)
	}
	for _, next := range []struct {
		by   *sdk.Client
		step sdk.Step
	}{
		{hall, sdk.Step{Side: "consumer", Name: "approve", Person: approves}},
		{registry, sdk.Step{Side: "provider", Name: "accept", Person: answers}},
		{registry, sdk.Step{Side: "provider", Name: "approve", Person: agrees}},
	} {
		grant, err := next.by.TakeStep(ctx, requested.Id, next.step)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(next.step.Side, next.step.Name, "-", grant.State)
	}
	// Output:
	// consumer approve - GRANT_STATE_REQUESTED
	// provider accept - GRANT_STATE_ACCEPTING
	// provider approve - GRANT_STATE_ACTIVE
}

// A request that lacks something is returned, once, with all that is missing;
// requested again under the grant's id it is the grant's next version.
func ExampleClient_TakeStep() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	hall, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer hall.Close()
	registry, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer registry.Close()
	requests, approves := enrolled(hall, "ZW-1", sdk.AsHandler), enrolled(hall, "ZW-2", sdk.AsHead)
	answers := enrolled(registry, "MZ-1", sdk.AsHandler)
	terms := &sdk.Grant{
		Topic: "marriage", Consumer: hall.Participant(), Basis: "工作需要", Fields: []string{"state"}, ServiceItems: []string{"000115004000"},
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	}
	grant, err := hall.RequestGrant(ctx, "", terms, requests)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := hall.TakeStep(ctx, grant.Id, sdk.Step{Side: "consumer", Name: "approve", Person: approves}); err != nil {
		log.Fatal(err)
	}

	returned, err := registry.TakeStep(ctx, grant.Id, sdk.Step{
		Side: "provider", Name: "return", Missing: []string{"写明依据的法规条款"}, Person: answers,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("version", returned.Version, returned.State, returned.Steps[len(returned.Steps)-1].Missing)
	terms.Basis = "社会救助暂行办法第五十八条"
	if grant, err = hall.RequestGrant(ctx, grant.Id, terms, requests); err != nil {
		log.Fatal(err)
	}
	fmt.Println("version", grant.Version, grant.State)
	// Output:
	// version 1 GRANT_STATE_RETURNED [写明依据的法规条款]
	// version 2 GRANT_STATE_PREPARED
}
