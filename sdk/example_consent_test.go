package sdk_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"time"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// A consent on paper: the applicant signs a form with the statement's digest on
// it, two officials attest the scan, and the consent is revoked the same way. A
// consent by the applicant's identity provider takes Statement.Nonce for the
// provider's token, and ByToken for AtCounter.
func ExampleClient_GiveConsent() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	clerk, head := enrolled(client, "CK-17", sdk.AsClerk), enrolled(client, "CK-18", sdk.AsHead)

	statement, err := client.PrepareConsent(sdk.NewConsent{
		Subject:      sdk.Subject{Type: "111", Number: "999999199001010016"},
		Topics:       []sdk.ConsentedTopic{{Topic: "marriage", Fields: []string{"certificate_number", "state"}}},
		ServiceItems: []string{"000711004000"},
		Until:        time.Now().AddDate(0, 3, 0),
	})
	if err != nil {
		log.Fatal(err)
	}
	scan := sha256.Sum256([]byte("the scanned form"))
	consent, err := client.GiveConsent(ctx, statement, sdk.AtCounter(scan, clerk, head))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(consent.State, consent.Means, "weaker:", consent.Weaker)

	revocation, err := client.PrepareRevocation(consent.Digest)
	if err != nil {
		log.Fatal(err)
	}
	consent, err = client.RevokeConsent(ctx, revocation, sdk.AtCounter(scan, clerk, head))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(consent.State)
	// Output:
	// CONSENT_STATE_GIVEN CONSENT_MEANS_COUNTER weaker: true
	// CONSENT_STATE_REVOKED
}

// A guardian is recorded by the official who saw the proof; the child's consent
// names the record.
func ExampleClient_RecordRepresentation() {
	exchange := startExample()
	defer exchange.end()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	clerk := enrolled(client, "CK-17", sdk.AsClerk)

	recorded, err := client.RecordRepresentation(ctx, sdk.NewRepresentation{
		Principal:      sdk.Subject{Type: "111", Number: "999999201010200049"},
		Representative: sdk.Subject{Type: "111", Number: "999999199001010016"},
		Kind:           sdk.Guardian,
		Document:       "户口簿",
		Scan:           sha256.Sum256([]byte("the scanned page")),
		Until:          time.Now().AddDate(1, 0, 0),
	}, clerk)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(recorded.State, recorded.Representation.Kind)
	// Output:
	// REPRESENTATION_STATE_ACTIVE REPRESENTATION_KIND_GUARDIAN
}

// enrolled makes an official's key and enrols it.
func enrolled(c *sdk.Client, reference string, as cataloguev1.Capacity) *sdk.PersonKey {
	key, err := sdk.NewPersonKey()
	check(err)
	_, err = c.EnrolPerson(context.Background(), sdk.NewPerson{
		Reference: reference, Name: reference, Capacities: []cataloguev1.Capacity{as}, Key: key,
	})
	check(err)
	return key
}
