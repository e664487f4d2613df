package sdk_test

import (
	"context"
	"fmt"
	"log"
	"time"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// allowance is a service item of the hall. A marriage that civil affairs holds
// stands in for one of its materials, and what was submitted once for the other.
var allowance = sample.ServiceHall.Code + "4000711004000"

func (e *exampleExchange) publishItem() {
	for name, contract := range map[string]string{"service-items": "ServiceItem", "submitted-material": "SubmittedMaterial"} {
		t := topic(name, contract)
		t.DeliveryModes = []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY}
		t.Provider, t.SharingClass, t.Conditions = sample.ServiceHall.Code, cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL, ""
		e.list(t)
	}
	agreed := grant("marriage", "certificate_number", "state", "party_a_name", "party_b_name")
	agreed.ServiceItems = []string{allowance}
	e.agree(agreed)
	ctx := context.Background()
	client, err := sdk.Connect(ctx, e.hall)
	check(err)
	publisher := client.Publisher(sdk.PublisherConfig{})
	lease := sample.IssuedMaterial("lease", "租房合同", sample.Department{Name: "出租人"},
		&recordsv1.Evidence{Topic: "submitted-material", MinGrade: recordsv1.TrustGrade_TRUST_GRADE_B})
	lease.Source = recordsv1.MaterialSource_MATERIAL_SOURCE_OTHER
	_, err = publisher.Publish(ctx, "service-items", sample.ServiceItem(allowance, "困难残疾人生活补贴", sample.ServiceHall,
		sample.IssuedMaterial("marriage", "结婚证", sample.CivilAffairs, &recordsv1.Evidence{Topic: "marriage", Condition: "r.state == 1"}), lease))
	check(err)
	check(publisher.Close(ctx))
	_, err = client.OpenCase(ctx, sdk.NewCase{
		Number: "SF-2026-000042", Item: allowance, Person: "clerk-017", Subjects: []sdk.Subject{{Type: "111", Number: "999999199001010016", Role: "applicant"}},
	})
	check(err)
	check(client.Close())
}

// Nothing of the records leaves: the applicant sees what need not be brought, and
// what the copies would show.
func ExampleClient_Prepare() {
	exchange := startExample()
	defer exchange.end()
	exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))
	exchange.publishItem()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	acting := sdk.Acting{Person: "clerk-017", Purpose: allowance, Case: "SF-2026-000042"}
	prepared, err := client.Prepare(ctx, acting, sdk.Subject{Type: "111", Number: "999999199001010016"})
	if err != nil {
		log.Fatal(err)
	}
	if prepared.Unknown {
		fmt.Println("the exchange cannot be reached: accept the papers, report them later")
		return
	}
	for _, m := range prepared.Materials {
		fmt.Println(m.Name, m.State, m.Shows)
		fmt.Println("  next:", m.NextStep)
	}
	// Output:
	// 结婚证 MATERIAL_STATE_HELD [婚姻登记证字号 婚姻状态 一方姓名 另一方姓名]
	//   next: collect it
	// 租房合同 MATERIAL_STATE_TO_SUBMIT []
	//   next: the applicant submits it
}

// The applicant's choice is made once: with the same choice the same copies come
// again, under the same entries; another choice is refused.
func ExampleClient_Collect() {
	exchange := startExample()
	defer exchange.end()
	exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))
	exchange.publishItem()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ask := sdk.Collect{
		Acting:    sdk.Acting{Person: "clerk-017", Purpose: allowance, Case: "SF-2026-000042"},
		Applicant: sdk.Subject{Type: "111", Number: "999999199001010016"},
		Declined:  nil, // the codes of what the applicant would rather bring
	}
	collected, err := client.Collect(ctx, ask)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range collected.Copies {
		marriage, err := sdk.As[*recordsv1.Marriage](&c.Record)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(c.Name, marriage.PartyAName, "proven:", c.Receipt.Proven(), "usable for a while:", c.UsableUntil.After(time.Now()))
	}
	for _, m := range collected.Others {
		fmt.Println(m.Name, m.NextStep)
	}

	again, err := client.Collect(ctx, ask)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same entry:", again.Repeat && again.Copies[0].Receipt.Index == collected.Copies[0].Receipt.Index)
	// Output:
	// 结婚证 张伟 proven: true usable for a while: true
	// 租房合同 the applicant submits it
	// the same entry: true
}

// What was submitted once is held from then on.
func ExampleClient_Submit() {
	exchange := startExample()
	defer exchange.end()
	exchange.publishItem()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	acting := sdk.Acting{Person: "clerk-017", Purpose: allowance, Case: "SF-2026-000042"}
	receipt, err := client.Submit(ctx, sdk.Submission{Acting: acting, Material: &sdk.Publication{
		Topic: "submitted-material", Message: &recordsv1.SubmittedMaterial{
			MaterialId: "2026-000042-2", MaterialCode: "lease", MaterialName: "租房合同",
			ItemCode: allowance, CaseNumber: "SF-2026-000042",
			ApplicantType: "111", ApplicantNumber: "999999199001010016", ApplicantName: "张伟",
			TrustGrade: recordsv1.TrustGrade_TRUST_GRADE_B, SubmittedDate: "2026-11-01",
			ReceiverCode: sample.ServiceHall.Code, ReceiverName: sample.ServiceHall.Name,
			ReuseConsented: true, // other items may use it too
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("proven:", receipt.Proven())
	prepared, err := client.Prepare(ctx, acting, sdk.Subject{Type: "111", Number: "999999199001010016"})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range prepared.Held() {
		fmt.Println(m.Name, "is held, of grade", m.Grade)
	}
	// Output:
	// proven: true
	// 租房合同 is held, of grade B
}

// What the applicants of a department were spared, from the ledger alone.
func ExampleClient_ReuseStatistics() {
	exchange := startExample()
	defer exchange.end()
	exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))
	exchange.publishItem()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	acting := sdk.Acting{Person: "clerk-017", Purpose: allowance, Case: "SF-2026-000042"}
	applicant := sdk.Subject{Type: "111", Number: "999999199001010016"}
	for range 2 { // a case that is prepared again counts once
		if _, err := client.Prepare(ctx, acting, applicant); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := client.Collect(ctx, sdk.Collect{Acting: acting, Applicant: applicant}); err != nil {
		log.Fatal(err)
	}
	now := time.Now()
	counts, err := client.ReuseStatistics(ctx, sdk.ReuseQuery{From: now.AddDate(0, 0, -1), Until: now.AddDate(0, 0, 1), Item: allowance})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range counts {
		fmt.Printf("%d case: %d materials asked, %d held, %d reused\n", c.Cases, c.Asked, c.Held, c.Reused)
	}
	others, err := client.ReuseStatistics(ctx, sdk.ReuseQuery{Item: sample.ServiceHall.Code + "4000711005000"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("of another item:", len(others))
	// Output:
	// 1 case: 2 materials asked, 1 held, 1 reused
	// of another item: 0
}

// A portal shows the items that every portal shows. They are public: it needs no
// grant and no case.
func ExampleClient_ServiceItem() {
	exchange := startExample()
	defer exchange.end()
	exchange.publishItem()
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.registry)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	for item, err := range client.ServiceItems(ctx, sdk.ServiceItemFilter{Department: sample.ServiceHall.Code}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(item.Item.Name, item.Item.PromisedLimit, "working days")
	}
	item, err := client.ServiceItem(ctx, allowance, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range item.Item.Materials {
		fmt.Println(m.Name, "from", m.SourceName)
	}
	// Output:
	// 困难残疾人生活补贴 5 working days
	// 结婚证 from 示范市民政局
	// 租房合同 from 出租人
}
