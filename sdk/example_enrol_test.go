package sdk_test

import (
	"context"
	"fmt"
	"log"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// enrolledOnly lists a topic of marriages that the hall is told of by the
// persons that it enrols, and by nobody else.
func (e *exampleExchange) enrolledOnly() {
	e.list(topic("marriage-changes", "Marriage"))
	g := grant("marriage-changes", "certificate_number", "state")
	g.Scope = accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS
	e.agree(g)
	client, err := sdk.Connect(context.Background(), e.registry)
	check(err)
	publisher := client.Publisher(sdk.PublisherConfig{})
	for certificate, partyA := range map[string]string{"J999999-2025-000001": "999999199001010016", "J999999-2025-000002": "999999195003010038"} {
		_, err := publisher.Publish(context.Background(), "marriage-changes", exampleMarriage(certificate, partyA))
		check(err)
	}
	check(publisher.Close(context.Background()))
	check(client.Close())
}

// A subscription whose grant is for enrolled subjects is told of whom it enrols,
// each with an open case: the present record first, then each change of it.
func ExampleClient_Enrol() {
	exchange := startExample()
	defer exchange.end()
	exchange.enrolledOnly()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	applicant := sdk.Subject{Type: "111", Number: "999999199001010016"}
	_, err = client.OpenCase(ctx, sdk.NewCase{Number: "SF-2026-000042", Item: "000711004000", Person: "clerk-017", Subjects: []sdk.Subject{applicant}})
	if err != nil {
		log.Fatal(err)
	}

	if _, err := client.EnsureSubscription(ctx, sdk.NewSubscription{Name: "changes", Topic: "marriage-changes"}); err != nil {
		log.Fatal(err)
	}
	if _, err := client.Enrol(ctx, "changes", "clerk-017", sdk.Enrolment{Subject: applicant, Case: "SF-2026-000042"}); err != nil {
		log.Fatal(err)
	}
	received := make(chan string)
	subscription, err := client.Subscribe(ctx, "changes", sdk.Handle(
		func(ctx context.Context, d *sdk.Delivery, m *recordsv1.Marriage) error {
			received <- m.GetCertificateNumber()
			return nil
		}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("told of", <-received)
	subscription.Drain()
	<-subscription.Closed()

	for e, err := range client.Enrolments(ctx, "changes") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Subject.Number, "is enrolled for", e.Case)
	}
	ended, err := client.Remove(ctx, "changes", "clerk-017", sdk.Enrolment{Subject: applicant})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ended, "enrolment ended") // closing the case would have ended it too
	// Output:
	// told of J999999-2025-000001
	// 999999199001010016 is enrolled for SF-2026-000042
	// 1 enrolment ended
}
