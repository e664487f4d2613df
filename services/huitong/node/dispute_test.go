package node_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// fsck checks everything in the exchange's database.
func fsck(t *testing.T, x *nodetest.Exchange) {
	t.Helper()
	for began := time.Now(); ; {
		head := x.Node.Journal.Head().Size
		if err := x.Node.Index.Wait(t.Context(), head); err != nil {
			t.Fatal(err)
		}
		report, err := inspect.Check(t.Context(), x.Node.DB, x.Node.Identity.Keyring, inspect.CheckOptions{Index: true})
		if err != nil {
			t.Fatal(err)
		}
		if report.Wrong == nil {
			return
		}
		// The exchange may have written on meanwhile, of itself.
		if head == x.Node.Journal.Head().Size || time.Since(began) > nodetest.Patience {
			t.Fatal(report.Wrong)
		}
	}
}

// seen queries a record and gives it as the hall sees it.
func (r *registry) seen(t *testing.T, m *recordsv1.Marriage) *sdk.Record {
	t.Helper()
	a, err := r.ask(t, sdk.ByKey(m.CertificateNumber))
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Records) != 1 {
		t.Fatalf("%d records", len(a.Records))
	}
	return &a.Records[0]
}

// subscribing lets a department subscribe to marriages.
func subscribing(d sample.Department) *accessv1.Grant {
	return &accessv1.Grant{
		Topic: "marriage", Consumer: d.Code, Basis: "办法第五条", Scenario: "补贴审核", Fields: []string{"certificate_number", "party_a_name"},
		StandingPurpose: "SUBSIDY-01", StandingLegalBasis: "办法第五条",
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
	}
}

func disputing(index uint64, fields ...string) sdk.NewDispute {
	return sdk.NewDispute{Topic: "marriage", Index: index, Fields: fields, Reason: "当事人出示了离婚证", Acting: acting}
}

// TestADisputedRecordIsMarkedUntilItIsAnswered goes the way of a dispute: marked
// for everybody, readable, corrected, no longer marked.
func TestADisputedRecordIsMarkedUntilItIsAnswered(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m, other := r.records[0], r.records[1]
	index := r.seen(t, m).Index
	d, err := r.hall.DisputeRecord(t.Context(), disputing(index, "state", "party_a_name"))
	if err != nil {
		t.Fatal(err)
	}
	if d.State != exchangev1.DisputeState_DISPUTE_STATE_OPEN || d.Reason == "" || d.CaseNumber != acting.Case || d.Key != "" {
		t.Fatal(d)
	}
	if got := r.seen(t, m); !got.Disputed || len(got.DisputedFields) != 2 || len(got.Payload) == 0 {
		t.Fatalf("%+v", got)
	}
	if r.seen(t, other).Disputed {
		t.Fatal("another record is marked")
	}
	repeated, err := r.hall.DisputeRecord(t.Context(), disputing(index, "party_a_name", "state"))
	if err != nil || !proto.Equal(repeated, d) {
		t.Fatalf("a repeat gives %v, %v", repeated, err)
	}
	another := func(change func(*sdk.NewDispute)) {
		t.Helper()
		n := disputing(index, "state", "party_a_name")
		change(&n)
		_, err := r.hall.DisputeRecord(t.Context(), n)
		wantRule(t, err, fault.AlreadyExists, "dispute.open")
	}
	another(func(n *sdk.NewDispute) { n.Fields = nil })
	another(func(n *sdk.NewDispute) { n.Reason = "另有说法" })
	another(func(n *sdk.NewDispute) { n.Acting.Person = "clerk-018" })
	unknown := disputing(index)
	unknown.Acting.Case = "SF-2026-999999"
	_, err = r.hall.DisputeRecord(t.Context(), unknown)
	wantRule(t, err, fault.Denied, "case.unknown")

	// The provider sees why, and which record; not for which case.
	theirs, err := r.civil.Dispute(t.Context(), d.Entry)
	if err != nil || theirs.Reason != d.Reason || theirs.Key != m.CertificateNumber || theirs.CaseNumber != "" || theirs.Person != "" {
		t.Fatal(theirs, err)
	}
	_, err = r.civil.AnswerCorrected(t.Context(), d.Entry, index, "officer-3", "")
	wantRule(t, err, fault.Invalid, "dispute.correction")
	elsewhere, err := r.publisher.Publish(t.Context(), "marriage", other)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.civil.AnswerCorrected(t.Context(), d.Entry, elsewhere.Index, "officer-3", "")
	wantRule(t, err, fault.Invalid, "dispute.correction")
	_, err = r.civil.AnswerKept(t.Context(), d.Entry, "officer-3", "")
	wantRule(t, err, fault.Invalid, "reason.required")
	_, err = r.hall.AnswerKept(t.Context(), d.Entry, "clerk-017", "我说了算")
	wantRule(t, err, fault.Denied, "dispute.provider")
	_, err = r.civil.WithdrawDispute(t.Context(), d.Entry, "officer-3", "")
	wantRule(t, err, fault.Denied, "dispute.consumer")

	m = change(m, func(m *recordsv1.Marriage) { m.PartyAName = "更正" })
	right, err := r.publisher.Publish(t.Context(), "marriage", m)
	if err != nil {
		t.Fatal(err)
	}
	if !r.seen(t, m).Disputed {
		t.Fatal("a later version alone answers nothing")
	}
	answered, err := r.civil.AnswerCorrected(t.Context(), d.Entry, right.Index, "officer-3", "已更正")
	if err != nil || answered.State != exchangev1.DisputeState_DISPUTE_STATE_CORRECTED || answered.Late || answered.Corrected != right.Index {
		t.Fatal(answered, err)
	}
	if r.seen(t, m).Disputed {
		t.Fatal("it is still marked")
	}
	_, err = r.civil.AnswerKept(t.Context(), d.Entry, "officer-3", "核实无误")
	wantRule(t, err, fault.Conflict, "dispute.ended")
	fsck(t, r.Exchange)
}

// TestDisputesSideBySide: a record is marked until the last of its disputes ended,
// however each of them did.
func TestDisputesSideBySide(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m := r.records[0]
	index := r.seen(t, m).Index
	estate := r.Join(t, sample.Housing, "estate")
	_, err := estate.DisputeRecord(t.Context(), disputing(index))
	wantRule(t, err, fault.Denied, "dispute.reliance")
	if _, err := r.CreateGrant(t.Context(), subscribing(sample.Housing)); err != nil {
		t.Fatal(err)
	}
	r.OpenCase(t, estate, acting.Case, acting.Purpose, sdk.Subject{Type: "111", Number: m.PartyANumber})
	first, err := r.hall.DisputeRecord(t.Context(), disputing(index, "state"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := estate.DisputeRecord(t.Context(), disputing(index, "party_b_name"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.seen(t, m); len(got.DisputedFields) != 2 || !slices.IsSorted(got.DisputedFields) {
		t.Fatalf("%+v", got)
	}
	// Neither department sees the other's.
	_, err = r.hall.Dispute(t.Context(), second.Entry)
	wantRule(t, err, fault.NotFound, "dispute.unknown")
	var all []uint64
	for d, err := range r.civil.Disputes(t.Context(), "marriage", true) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d.Entry)
	}
	if !slices.Equal(all, []uint64{second.Entry, first.Entry}) {
		t.Fatal(all)
	}
	if _, err := r.hall.WithdrawDispute(t.Context(), first.Entry, "clerk-017", "材料看错"); err != nil {
		t.Fatal(err)
	}
	if got := r.seen(t, m); len(got.DisputedFields) != 1 {
		t.Fatalf("%+v", got)
	}
	kept, err := r.civil.AnswerKept(t.Context(), second.Entry, "officer-3", "登记档案核实无误")
	if err != nil || kept.State != exchangev1.DisputeState_DISPUTE_STATE_KEPT {
		t.Fatal(kept, err)
	}
	if got := r.seen(t, m); got.Disputed {
		t.Fatalf("%+v", got)
	}
	theirs, err := estate.Dispute(t.Context(), second.Entry)
	if err != nil || theirs.Answer != "登记档案核实无误" {
		t.Fatal(theirs, err)
	}
	fsck(t, r.Exchange)
}

// TestWhatWasAnsweredIsNotAskedAgain: the same words on the same version have their
// answer; another reason, a later version and what was taken back are disputed anew.
func TestWhatWasAnsweredIsNotAskedAgain(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m := r.records[0]
	dispute := func(d sdk.NewDispute) *sdk.DisputeInfo {
		t.Helper()
		got, err := r.hall.DisputeRecord(t.Context(), d)
		ok(t, err)
		return got
	}
	words := disputing(r.seen(t, m).Index, "state")
	first := dispute(words)
	kept, err := r.civil.AnswerKept(t.Context(), first.Entry, "officer-3", "登记档案核实无误")
	ok(t, err)
	awaitNotices(t, r.Exchange, 2) // of dispute and answer, entries themselves
	size := r.Node.Journal.Head().Size
	if again := dispute(words); again.Entry != first.Entry || again.State != kept.State || again.Answer != kept.Answer || r.seen(t, m).Disputed {
		t.Errorf("the same words make %v", again)
	}
	if entries := r.Node.Journal.Head().Size - size; entries != 1 { // that of seeing it
		t.Errorf("a repeat made %d entries", entries-1)
	}
	other := words
	other.Reason = "又收到法院判决书"
	second := dispute(other)
	if second.Entry == first.Entry || !r.seen(t, m).Disputed {
		t.Errorf("another reason is answered by %v", second)
	}
	_, err = r.hall.WithdrawDispute(t.Context(), second.Entry, "clerk-017", "材料看错")
	ok(t, err)
	if third := dispute(other); third.Entry == second.Entry {
		t.Error("what was taken back cannot be disputed any more")
	}
	fsck(t, r.Exchange)
}

// TestDisputesThatMakeNoSense: each is refused by field and rule, and leaves
// the entry of that alone.
func TestDisputesThatMakeNoSense(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	index := r.seen(t, r.records[0]).Index
	before := r.Node.Journal.Head().Size
	for name, c := range map[string]struct {
		change func(*sdk.NewDispute)
		kind   fault.Kind
		rule   string
	}{
		"no reason":      {func(d *sdk.NewDispute) { d.Reason = " " }, fault.Invalid, "reason.required"},
		"a long reason":  {func(d *sdk.NewDispute) { d.Reason = strings.Repeat("长", 2000) }, fault.Invalid, "reason.size"},
		"no person":      {func(d *sdk.NewDispute) { d.Acting.Person = "" }, fault.Invalid, "acting.person.required"},
		"no case":        {func(d *sdk.NewDispute) { d.Acting.Case = "" }, fault.Invalid, "acting.case_number.required"},
		"no such topic":  {func(d *sdk.NewDispute) { d.Topic = "nothing" }, fault.NotFound, "topic.unknown"},
		"no such record": {func(d *sdk.NewDispute) { d.Index = 1 }, fault.Invalid, "record.unknown"},
		"far away":       {func(d *sdk.NewDispute) { d.Index = 1<<64 - 1 }, fault.Invalid, "record.unknown"},
		"no such field":  {func(d *sdk.NewDispute) { d.Fields = []string{"bogus"} }, fault.Invalid, "field.unknown"},
		"many fields":    {func(d *sdk.NewDispute) { d.Fields = make([]string, 1000) }, fault.Invalid, "dispute.fields"},
	} {
		d := disputing(index)
		c.change(&d)
		_, err := r.hall.DisputeRecord(t.Context(), d)
		t.Log(name)
		wantRule(t, err, c.kind, c.rule)
	}
	_, err := r.hall.WithdrawDispute(t.Context(), 1<<63, "p", "")
	wantRule(t, err, fault.NotFound, "dispute.unknown")
	want := []string{
		"manage acting.case_number.required", "manage acting.person.required", "manage dispute.fields", "manage dispute.unknown", "manage field.unknown",
		"manage reason.required", "manage reason.size", "manage record.unknown", "manage topic.unknown",
	}
	if got := refusalsFrom(t, r.Exchange, before); !slices.Equal(got, want) || r.Node.Journal.Head().Size != before+uint64(len(want)) {
		t.Errorf("entered is %v", got)
	}
}

// TestAnErasedRecordsDisputesEnd: with the record go its disputes, and what was
// written as reasons.
func TestAnErasedRecordsDisputesEnd(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m := r.records[0]
	index := r.seen(t, m).Index
	first, err := r.hall.DisputeRecord(t.Context(), disputing(index))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.civil.AnswerKept(t.Context(), first.Entry, "officer-3", "核实无误"); err != nil {
		t.Fatal(err)
	}
	otherwise := disputing(index)
	otherwise.Reason = "又收到法院判决书"
	second, err := r.hall.DisputeRecord(t.Context(), otherwise)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.publisher.Erase(t.Context(), "marriage", m.CertificateNumber, "依申请删除"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		entry uint64
		state exchangev1.DisputeState
	}{{first.Entry, exchangev1.DisputeState_DISPUTE_STATE_KEPT}, {second.Entry, exchangev1.DisputeState_DISPUTE_STATE_ERASED}} {
		d, err := r.hall.Dispute(t.Context(), want.entry)
		if err != nil || d.State != want.state || d.Reason != "" || d.Answer != "" || len(d.Record) != 0 || d.CaseNumber != acting.Case {
			t.Error(d, err)
		}
	}
	_, err = r.civil.AnswerKept(t.Context(), second.Entry, "officer-3", "核实无误")
	wantRule(t, err, fault.Conflict, "dispute.ended")
	_, err = r.hall.DisputeRecord(t.Context(), disputing(index))
	wantRule(t, err, fault.Conflict, "record.erased")
	fsck(t, r.Exchange)
}

// TestDeliveriesOfDisputedRecordsAreMarked: a subscriber sees the mark on what is
// delivered while the dispute is open.
func TestDeliveriesOfDisputedRecordsAreMarked(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m := r.records[0]
	if _, err := r.hall.DisputeRecord(t.Context(), disputing(r.seen(t, m).Index)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateGrant(t.Context(), subscribing(sample.ServiceHall)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.hall.CreateSubscription(t.Context(), sdk.NewSubscription{Name: "all", Topic: "marriage", Start: sdk.FromCurrent()}); err != nil {
		t.Fatal(err)
	}
	got := make(chan *sdk.Record, len(r.records))
	s, err := r.hall.Subscribe(t.Context(), "all", func(_ context.Context, d *sdk.Delivery) error {
		got <- &d.Record
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	marked := 0
	for range r.records {
		select {
		case one := <-got:
			if one.Disputed {
				marked++
			}
		case <-time.After(nodetest.Patience):
			t.Fatal("not everything is delivered")
		}
	}
	if marked != 1 {
		t.Errorf("%d records are marked", marked)
	}
}

// TestALateAnswerIsTakenAndFlagged: the provider's clock runs from the dispute's
// entry, for ten working days.
func TestALateAnswerIsTakenAndFlagged(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	d, err := r.hall.DisputeRecord(t.Context(), disputing(r.seen(t, r.records[0]).Index))
	if err != nil {
		t.Fatal(err)
	}
	// Let it have been raised forty days ago.
	if err := r.Node.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE deadlines SET started_at = started_at - $1", (40 * 24 * time.Hour).Microseconds())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	answered, err := r.civil.AnswerKept(t.Context(), d.Entry, "officer-3", "核实无误")
	if err != nil || !answered.Late {
		t.Fatal(answered, err)
	}
}
