package sdk_test

import (
	"context"
	"fmt"
	"log"

	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// disputed starts the clock of a dispute that civil affairs must answer and for
// whose answer the service hall waits.
func (e *exampleExchange) disputed(object string) {
	_, err := e.node.Journal.Submit(context.Background(), &journal.Call{Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		disputed := &ledgerv1.ObjectChanged{Object: "source", Id: object, Change: "dispute"}
		return []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Changed{Changed: disputed}}}},
			deadline.Start(ctx, tx, slot.At, deadline.Clock{
				Kind: deadline.CorrectionAnswer, Object: object, Owner: sample.CivilAffairs.Code, Parties: []string{sample.ServiceHall.Code}, Topic: "marriage",
			})
	}})
	check(err)
}

// A department looks at what it has to answer, and by when. What passes comes by
// subscription too, on DeadlineTopic.
func ExampleClient_Deadlines() {
	exchange := startExample()
	defer exchange.end()
	exchange.disputed("1017")
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	for d, err := range client.Deadlines(ctx, sdk.DeadlineFilter{Owner: client.Participant(), Open: true}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(d.GetKind(), d.GetObject(), "on", d.GetTopic(), "in", d.GetDays(), "working days; late:", d.GetLate())
	}
	// Output: correction.answer 1017 on marriage in 10 working days; late: false
}
