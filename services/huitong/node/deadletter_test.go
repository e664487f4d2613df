package node_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// deadLetters gives the sequences of a subscription's dead letters by the entries
// that they are of.
func deadLetters(t *testing.T, c *sdk.Client, name string) map[uint64]uint64 {
	t.Helper()
	found := map[uint64]uint64{}
	for d, err := range c.DeadLetters(t.Context(), name) {
		if err != nil {
			t.Fatal(err)
		}
		found[d.Index] = d.Sequence
	}
	return found
}

// refusing has the hall refuse every marriage for good, until so many are dead
// letters.
func (r *registry) refusing(t *testing.T, name string, n int) map[uint64]uint64 {
	t.Helper()
	if _, err := r.CreateGrant(t.Context(), subscribing(sample.ServiceHall)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.hall.CreateSubscription(t.Context(), sdk.NewSubscription{Name: name, Topic: "marriage", Start: sdk.FromAll()}); err != nil {
		t.Fatal(err)
	}
	s, err := r.hall.Subscribe(t.Context(), name, sdk.Handle(func(context.Context, *sdk.Delivery, *recordsv1.Marriage) error {
		return sdk.DeadLetter(errors.New("refused"), "当事人姓名与本部门登记不符")
	}))
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(nodetest.Patience); len(deadLetters(t, r.hall, name)) < n; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d dead letters", len(deadLetters(t, r.hall, name)), n)
		}
	}
	s.Drain()
	<-s.Closed()
	return deadLetters(t, r.hall, name)
}

// TestErasingARecordTakesItsDeadLetters: those of all its versions, out of the
// database, the list and what can be looked at; those of other records stay.
func TestErasingARecordTakesItsDeadLetters(t *testing.T) {
	r := newRegistry(t)
	const name = "refused"
	m := r.records[0]
	again, err := r.publisher.Publish(t.Context(), "marriage", change(m, func(m *recordsv1.Marriage) { m.PartyAName = "更正" }))
	if err != nil {
		t.Fatal(err)
	}
	before := r.refusing(t, name, len(r.records)+1)
	peek := func(sequence uint64) error {
		_, err := exchangev1.NewExchangeServiceClient(r.hall.Conn()).PeekDeadLetter(t.Context(), &exchangev1.PeekDeadLetterRequest{
			Subscription: sample.ServiceHall.Code + "/hall/" + name, Sequence: sequence, Acting: &exchangev1.Acting{Person: acting.Person, Purpose: acting.Purpose, CaseNumber: acting.Case},
		})
		return fault.FromStatus(err)
	}
	if err := peek(before[again.Index]); err != nil {
		t.Fatal(err)
	}
	if _, err := r.publisher.Erase(t.Context(), "marriage", m.CertificateNumber, "依申请删除"); err != nil {
		t.Fatal(err)
	}
	after := deadLetters(t, r.hall, name)
	if _, there := after[again.Index]; there || len(after) != len(before)-2 {
		t.Errorf("%d dead letters are listed of %d", len(after), len(before))
	}
	if err := peek(before[again.Index]); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a dead letter of the erased record can be looked at: %v", err)
	}
	var rows int
	if err := r.Node.DB.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM dead_letters d
		WHERE NOT EXISTS (SELECT 1 FROM sealed s WHERE s.idx = d.idx AND s.body IS NOT NULL)`).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if rows != 0 {
		t.Errorf("the database has %d dead letters of erased versions", rows)
	}
	if replayed, err := r.hall.ReplayDeadLetters(t.Context(), name, before[again.Index]); replayed != 0 {
		t.Errorf("%d were replayed: %v", replayed, err)
	}
	fsck(t, r.Exchange)
}
