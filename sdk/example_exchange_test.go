package sdk_test

import (
	"context"
	"log"
	"os"
	"slices"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// exampleExchange is what examples talk to: an exchange in this process, with a
// topic of marriages that civil affairs' registry publishes on and the service
// hall may read.
type exampleExchange struct {
	registry, hall sdk.Config
	node           *node.Node
	ledgerKey      string
	end            func()
	// agree makes a further grant, list a further topic.
	agree func(*accessv1.Grant)
	list  func(*cataloguev1.Topic)
}

func startExample() *exampleExchange {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "huitong-example-")
	check(err)
	x, err := nodetest.Open(ctx, dir, node.Config{})
	check(err)
	e := &exampleExchange{node: x.Node, ledgerKey: x.Node.LedgerKey(), end: func() {
		check(x.Close())
		check(os.RemoveAll(dir))
	}}
	check(x.Register(ctx, participant(sample.CivilAffairs)))
	check(x.Register(ctx, participant(sample.ServiceHall)))
	marriage := topic("marriage", "Marriage")
	marriage.DeliveryModes = append(slices.Clone(bothModes), cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK)
	check(x.CreateTopic(ctx, marriage))
	e.agree = func(g *accessv1.Grant) {
		_, err := x.CreateGrant(ctx, g)
		check(err)
	}
	e.list = func(t *cataloguev1.Topic) { check(x.CreateTopic(ctx, t)) }
	_, err = x.CreateGrant(ctx, grant("marriage", "certificate_number", "state", "party_a_name", "party_b_name"))
	check(err)
	certify := func(d sample.Department, system string) sdk.Config {
		config, err := x.Certify(ctx, &cataloguev1.System{
			Participant: d.Code, Name: system, Title: d.Name, Roles: []cataloguev1.Role{cataloguev1.Role_ROLE_DEPARTMENT},
		})
		check(err)
		return *config
	}
	e.registry, e.hall = certify(sample.CivilAffairs, "registry"), certify(sample.ServiceHall, "hall")
	return e
}

// publish publishes marriages as the registry; it gives the last receipt.
func (e *exampleExchange) publish(all ...*recordsv1.Marriage) (receipt *sdk.Receipt) {
	ctx := context.Background()
	client, err := sdk.Connect(ctx, e.registry)
	check(err)
	publisher := client.Publisher(sdk.PublisherConfig{})
	for _, m := range all {
		receipt, err = publisher.Publish(ctx, "marriage", m)
		check(err)
	}
	check(publisher.Close(ctx))
	check(client.Close())
	return receipt
}

func exampleMarriage(certificate, partyA string) *recordsv1.Marriage {
	return &recordsv1.Marriage{
		CertificateNumber: certificate, State: recordsv1.MarriageState_MARRIAGE_STATE_MARRIED,
		PartyAType: "111", PartyANumber: partyA, PartyAName: "张伟",
		PartyBType: "111", PartyBNumber: "999999198506150028", PartyBName: "李秀英",
		RegisteredDate: "2025-05-20", RegistrarCode: sample.CivilAffairs.Code, RegistrarName: sample.CivilAffairs.Name,
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
