package sdk_test

import (
	"context"
	"fmt"
	"log"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// Whoever is shown a certificate asks by its identifier how it stands. No grant
// is needed, and nothing of what it says is told.
func ExampleClient_Status() {
	exchange := startExample()
	defer exchange.end()
	exchange.list(topic("disability-certificate", "Certificate"))
	ctx := context.Background()
	issuer, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()
	publisher := issuer.Publisher(sdk.PublisherConfig{})
	defer publisher.Close(ctx)
	const identifier = "1.2.156.3005.2.11999900MB0000019D001.11999900MB00000278.2025000001.001.Q"
	_, err = publisher.Publish(ctx, "disability-certificate", &recordsv1.Certificate{
		Identifier: identifier, TypeCode: "11999900MB0000019D001", TypeName: "残疾人证", Name: "残疾人证", Number: "99999919900101001643",
		IssuerCode: "11999900MB00000278", IssuerName: "示范市民政局", IssueDate: "2025-01-10",
		HolderType: "111", HolderNumber: "999999199001010016", HolderName: "王小明", ValidFrom: "2025-01-10",
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := publisher.Suspend(ctx, "disability-certificate", identifier, "年审"); err != nil {
		log.Fatal(err)
	}

	hall, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer hall.Close()
	for _, shown := range []string{identifier, identifier[:len(identifier)-1] + "R"} {
		status, err := hall.Status(ctx, "disability-certificate", shown)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(status.Standing, "- proven:", status.Receipt.Proven())
	}
	// Output:
	// suspended - proven: true
	// unknown - proven: true
}
