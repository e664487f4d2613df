package main_test

import (
	"context"
	"errors"
	"testing"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

// supplied has a topic that the police answer live, and a hall that may ask it.
func (c *city) supplied(subject sdk.Subject) (hall *sdk.Config) {
	t, ctx := c.t, c.t.Context()
	t.Helper()
	a, err := authority.Connect(ctx, c.dir, c.processes[0].address, "")
	must(t, err)
	defer a.Close()
	police, err := join(ctx, a, sample.PublicSecurity)
	must(t, err)
	hall, err = join(ctx, a, sample.ServiceHall)
	must(t, err)
	query := []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY}
	must(t, a.CreateTopic(ctx, &cataloguev1.Topic{
		Name: "people", Title: "人口", Provider: sample.PublicSecurity.Code, Contract: "huitong.records.v1.Person", AnsweredLive: true,
		SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "补贴审核", SignatureRequired: true, DeliveryModes: query,
	}))
	_, err = a.CreateGrant(ctx, &accessv1.Grant{
		Topic: "people", Consumer: sample.ServiceHall.Code, Basis: "办法第五条", Scenario: "补贴审核", Fields: []string{"id_number", "name"},
		ServiceItems: []string{crashItem}, DeliveryModes: query,
	})
	must(t, err)
	_, err = c.connect(hall, 0).OpenCase(ctx, sdk.NewCase{Number: crashCase, Item: crashItem, Person: crashBy, Subjects: []sdk.Subject{subject}})
	must(t, err)
	s, err := c.connect(police, 0).Supply(ctx, "people", func(context.Context, *sdk.Asked) (*sdk.Supplied, error) {
		return sdk.Found(sample.NewCity(7, 3).Persons()[0]), nil
	})
	must(t, err)
	t.Cleanup(s.Stop)
	return hall
}

// TestKilledBetweenRequestAndAnswer: killed where the request is out, where the
// answer is said, or where the report is due, the exchange gives the answer when
// it is asked again, and nothing was asked, answered or reported twice.
func TestKilledBetweenRequestAndAnswer(t *testing.T) {
	person := sample.NewCity(7, 3).Persons()[0]
	subject := sdk.Subject{Type: person.IdType, Number: person.IdNumber}
	c := newCity(t, storetest.URL(t))
	hall := c.supplied(subject)
	p := c.processes[0]
	points := []string{"fanout.asked", "fanout.said", "fanout.report"}
	for _, point := range points {
		p.kill()
		p.start(point + ":1")
		q := sdk.FanOutQuestion{
			Key: sdk.NewIdempotencyKey(), Acting: sdk.Acting{Person: crashBy, Purpose: crashItem, Case: crashCase},
			Sources: []sdk.Source{{Topic: "people", Subject: subject, Wait: patience}},
		}
		life := p.life()
		_, err := c.connect(hall, 0).AskAll(life, q)
		if err != nil {
			<-life.Done()
		}
		if !p.isDead() {
			t.Fatalf("the exchange was not killed at %s: %v", point, err)
		}
		p.start("")
		f, err := c.connect(hall, 0).AskAll(t.Context(), q)
		must(t, err)
		if r := f.Results[0]; r.State != sdk.SourceFound || len(r.Answer.Records) != 1 {
			t.Fatalf("killed at %s: %v", point, r)
		}
	}
	c.stop()
	c.offline(func(ctx context.Context, _ *identity.Directory, db *store.DB) error {
		var errs []error
		for _, topic := range []string{notice.FanOutRequests, notice.FanOutAnswers, notice.FanOutReports} {
			n := 0
			errs = append(errs, db.Reader().QueryRowContext(ctx, "SELECT count(*) FROM sealed WHERE topic = $1 AND pos > 0", journal.Number(topic)).Scan(&n))
			if n != len(points) {
				t.Errorf("%d records of %s for %d fan-outs", n, topic, len(points))
			}
		}
		return errors.Join(errs...)
	})
	c.fsck()
}
