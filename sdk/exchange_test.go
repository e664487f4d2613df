package sdk_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// These tests run the SDK against a whole exchange behind its real server.

const (
	marriages = "marriage"
	// purpose is the service item that grants of these tests name.
	purpose = "000711004000"
	basis   = "婚姻登记条例"
)

// topic describes a topic of civil affairs that takes signed calls only.
func topic(name, contract string) *cataloguev1.Topic {
	return &cataloguev1.Topic{
		Name: name, Title: name, Provider: sample.CivilAffairs.Code, Contract: "huitong.records.v1." + contract,
		SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "按事项授权",
		DeliveryModes: bothModes, SignatureRequired: true,
	}
}

var bothModes = []cataloguev1.DeliveryMode{
	cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY, cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE,
}

// grant lets the service hall read a topic for query and subscription.
func grant(topic string, fields ...string) *accessv1.Grant {
	return &accessv1.Grant{
		Topic: topic, Consumer: sample.ServiceHall.Code, Basis: basis, Scenario: "材料核验", Fields: fields,
		ServiceItems: []string{purpose}, DeliveryModes: bothModes,
		StandingPurpose: purpose, StandingLegalBasis: basis, Scope: accessv1.GrantScope_GRANT_SCOPE_ALL_SUBJECTS,
	}
}

// open starts an exchange that has civil affairs' marriages.
func open(t *testing.T, configs ...node.Config) *nodetest.Exchange {
	t.Helper()
	x := nodetest.Start(t, configs...)
	list(t, x, topic(marriages, "Marriage"))
	return x
}

func list(t *testing.T, x *nodetest.Exchange, topics ...*cataloguev1.Topic) {
	t.Helper()
	if err := x.Register(t.Context(), participant(sample.CivilAffairs)); err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		if err := x.CreateTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
}

func participant(d sample.Department) *cataloguev1.Participant {
	return &cataloguev1.Participant{Code: d.Code, Name: d.Name, Region: sample.Region}
}

// some gives so many marriages, each a record of its own.
func some(n int) []*recordsv1.Marriage {
	all := sample.NewCity(2, 4*n+40).Marriages()
	return all[:n]
}

// soon bounds a wait of a test.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), nodetest.Patience)
	t.Cleanup(cancel)
	return ctx
}

// await waits until a condition holds, looking often.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, tick := soon(t), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

// leaves reads the whole ledger from the exchange's database.
func leaves(t *testing.T, x *nodetest.Exchange) (all []*ledgerv1.LedgerEntry) {
	t.Helper()
	rows, err := x.Node.DB.Reader().QueryContext(t.Context(), "SELECT leaf FROM ledger ORDER BY idx")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var leaf []byte
		if err := rows.Scan(&leaf); err != nil {
			t.Fatal(err)
		}
		e := &ledgerv1.LedgerEntry{}
		if err := proto.Unmarshal(leaf, e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// published are the entries of publications.
func published(t *testing.T, x *nodetest.Exchange) (all []*ledgerv1.RecordPublished) {
	t.Helper()
	for _, e := range leaves(t, x) {
		if p := e.GetPublished(); p != nil {
			all = append(all, p)
		}
	}
	return all
}
