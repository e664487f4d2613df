package node_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

var acting = sdk.Acting{Person: "clerk-017", Purpose: "SUBSIDY-01", Case: "SF-2026-000042"}

// marriageGrant lets the service hall query marriages, cut to two fields.
func marriageGrant(t *testing.T, x *nodetest.Exchange, limit uint64) *accessv1.Grant {
	t.Helper()
	g, err := x.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: "marriage", Consumer: sample.ServiceHall.Code, Basis: "办法第五条", Scenario: "补贴审核",
		Fields: []string{"certificate_number", "party_a_name"}, ServiceItems: []string{acting.Purpose},
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY}, DailyLimit: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func wantRule(t *testing.T, err error, kind fault.Kind, rule string) {
	t.Helper()
	if fault.KindOf(err) != kind || fault.RuleOf(err) != rule {
		t.Errorf("%v of %s, not %v of %s: %v", fault.KindOf(err), fault.RuleOf(err), kind, rule, err)
	}
}

type registry struct {
	*nodetest.Exchange
	civil, hall *sdk.Client
	publisher   *sdk.Publisher
	records     []*recordsv1.Marriage
}

// newRegistry is an exchange with a few marriages.
func newRegistry(t *testing.T) *registry {
	x := nodetest.Start(t)
	r := &registry{Exchange: x, civil: x.Join(t, sample.CivilAffairs, "registry"), hall: x.Join(t, sample.ServiceHall, "hall")}
	marriageTopic(t, x)
	r.publisher = r.civil.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { _ = r.publisher.Close(t.Context()) })
	r.records = marriages(200)
	for _, m := range r.records {
		if _, err := r.publisher.Publish(t.Context(), "marriage", m); err != nil {
			t.Fatal(err)
		}
	}
	r.openCase(t)
	return r
}

// openCase opens the case that the tests ask for, of those who they ask about.
func (r *registry) openCase(t *testing.T) {
	t.Helper()
	subjects := []sdk.Subject{{Type: "414", Number: "E00000000"}}
	for _, number := range []string{"999999197202290019", "999999199001010016", r.records[0].PartyANumber, r.records[0].PartyBNumber, r.records[1].PartyANumber} {
		subjects = append(subjects, sdk.Subject{Type: "111", Number: number})
	}
	r.OpenCase(t, r.hall, acting.Case, acting.Purpose, subjects...)
}

func (r *registry) ask(t *testing.T, by sdk.QueryBy, more ...func(*sdk.Query)) (*sdk.Answer, error) {
	t.Helper()
	q := sdk.Query{Topic: "marriage", Acting: acting, By: by}
	for _, m := range more {
		m(&q)
	}
	return r.hall.Query(t.Context(), q)
}

func bySpouse(m *recordsv1.Marriage) sdk.QueryBy {
	return sdk.BySubject(sdk.Subject{Type: "111", Number: m.PartyBNumber})
}

func TestAQueryShowsGrantedFieldsOnly(t *testing.T) {
	r := newRegistry(t)
	m := r.records[0]
	_, err := r.ask(t, bySpouse(m))
	wantRule(t, err, fault.Denied, "grant.required")
	g := marriageGrant(t, r.Exchange, 0)
	for name, by := range map[string]sdk.QueryBy{"subject": bySpouse(m), "key": sdk.ByKey(m.CertificateNumber)} {
		a, err := r.ask(t, by)
		if err != nil {
			t.Fatal(name, err)
		}
		if len(a.Records) != 1 {
			t.Fatalf("%s: %d records", name, len(a.Records))
		}
		var seen recordsv1.Marriage
		if err := proto.Unmarshal(a.Records[0].Payload, &seen); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(&seen, &recordsv1.Marriage{CertificateNumber: m.CertificateNumber, PartyAName: m.PartyAName}) {
			t.Errorf("%s: %v left", name, &seen)
		}
		if len(a.Records[0].Withheld) == 0 || a.Records[0].Key != m.CertificateNumber {
			t.Errorf("%s: withheld %v, key %q", name, a.Records[0].Withheld, a.Records[0].Key)
		}
		if err := a.Release.Verify(r.Node.LedgerKey()); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Access.SuspendGrant(t.Context(), &accessv1.SuspendGrantRequest{Id: g.Id, Reason: "核查"}); err != nil {
		t.Fatal(err)
	}
	_, err = r.ask(t, bySpouse(m))
	wantRule(t, err, fault.Denied, "grant.suspended")
}

func TestWhatAQueryFinds(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m := r.records[0]
	count := func(want int, by sdk.QueryBy, more ...func(*sdk.Query)) *sdk.Answer {
		t.Helper()
		a, err := r.ask(t, by, more...)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Records) != want {
			t.Fatalf("%d records, not %d", len(a.Records), want)
		}
		return a
	}
	count(1, sdk.BySubject(sdk.Subject{Type: "111", Number: m.PartyANumber, Role: ""}))
	count(0, sdk.BySubject(sdk.Subject{Type: "111", Number: m.PartyANumber, Role: "guardian"}))
	count(0, sdk.BySubject(sdk.Subject{Type: "414", Number: "E00000000"}))

	// Somebody else in a party's place: the first is no longer found by it.
	changed := proto.CloneOf(m)
	changed.PartyBNumber, changed.PartyBName = "999999197202290019", "周敏"
	receipt, err := r.publisher.Publish(t.Context(), "marriage", changed)
	if err != nil {
		t.Fatal(err)
	}
	count(0, bySpouse(m))
	count(1, bySpouse(changed))
	old := count(1, sdk.ByIndex(receipt.Index))
	if old.Records[0].Notice {
		t.Error("the present version came as a notice")
	}

	if _, err := r.publisher.Revoke(t.Context(), "marriage", m.CertificateNumber, "登记有误"); err != nil {
		t.Fatal(err)
	}
	count(0, bySpouse(changed))
	inactive := func(q *sdk.Query) { q.IncludeInactive = true }
	if a := count(1, bySpouse(changed), inactive); a.Records[0].Status != exchangev1.Status_STATUS_REVOKED {
		t.Errorf("status %v", a.Records[0].Status)
	}
	if _, err := r.publisher.Erase(t.Context(), "marriage", m.CertificateNumber, "依申请删除"); err != nil {
		t.Fatal(err)
	}
	count(0, bySpouse(changed), inactive)
	_, err = r.ask(t, sdk.ByIndex(receipt.Index))
	wantRule(t, err, fault.Denied, "case.subject")
}

func TestADailyLimitIsExact(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 2)
	for range 2 {
		if _, err := r.ask(t, bySpouse(r.records[0])); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.ask(t, bySpouse(r.records[0]))
	wantRule(t, err, fault.Denied, "grant.daily_limit")
}

func TestAQueryGoesThroughPages(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	const number = "999999199001010016"
	for i := range 7 {
		m := proto.CloneOf(r.records[i])
		m.PartyANumber = number
		if _, err := r.publisher.Publish(t.Context(), "marriage", m); err != nil {
			t.Fatal(err)
		}
	}
	q := sdk.Query{Topic: "marriage", Acting: acting, By: sdk.BySubject(sdk.Subject{Type: "111", Number: number}), PageSize: 3}
	seen := map[string]bool{}
	for record, err := range r.hall.QueryAll(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		seen[record.Key] = true
	}
	if len(seen) != 7 {
		t.Errorf("%d records, not 7", len(seen))
	}
	first, err := r.hall.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	q.By, q.PageToken = bySpouse(r.records[0]), first.NextPageToken
	_, err = r.hall.Query(t.Context(), q)
	wantRule(t, err, fault.Invalid, "page_token")
}

func TestQuestionsThatMakeNoSense(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	for rule, by := range map[string]sdk.QueryBy{
		"identifier.resident_id": sdk.BySubject(sdk.Subject{Type: "111", Number: "999999199001010017"}),
		"subject.type":           sdk.BySubject(sdk.Subject{Type: "112", Number: "1"}),
		"key.size":               sdk.ByKey(""),
	} {
		_, err := r.ask(t, by)
		wantRule(t, err, fault.Invalid, rule)
	}
	_, err := r.ask(t, sdk.ByKey("x"), func(q *sdk.Query) { q.PageSize = 257 })
	wantRule(t, err, fault.Invalid, "page_size")
	_, err = r.ask(t, sdk.ByIndex(0))
	wantRule(t, err, fault.Denied, "case.subject")
	_, err = r.ask(t, sdk.ByKey("x"), func(q *sdk.Query) { q.Acting.Case = "" })
	wantRule(t, err, fault.Denied, "acting.case.required")
}

// TestAKeyThatIsNotGrantedDoesNotLeave: neither a record's own nor that of the
// record that takes its place.
func TestAKeyThatIsNotGrantedDoesNotLeave(t *testing.T) {
	r := newRegistry(t)
	receipt, err := r.publisher.Supersede(t.Context(), "marriage", r.records[0].CertificateNumber, r.records[1].CertificateNumber, "换证")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(fields ...string) sdk.Record {
		g, err := r.CreateGrant(t.Context(), &accessv1.Grant{
			Topic: "marriage", Consumer: sample.ServiceHall.Code + "/hall", Basis: "办法第五条", Fields: fields, ServiceItems: []string{acting.Purpose},
			DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
		})
		if err != nil {
			t.Fatal(err)
		}
		a, err := r.ask(t, sdk.ByIndex(receipt.Index))
		if err != nil || len(a.Records) != 1 {
			t.Fatal(a, err)
		}
		if _, err := r.Access.SuspendGrant(t.Context(), &accessv1.SuspendGrantRequest{Id: g.Id, Reason: "核查"}); err != nil {
			t.Fatal(err)
		}
		return a.Records[0]
	}
	if seen := ask("party_a_name"); seen.Key != "" || seen.Successor != "" {
		t.Errorf("key %q and successor %q left", seen.Key, seen.Successor)
	}
	if seen := ask("party_a_name", "certificate_number"); seen.Key != r.records[0].CertificateNumber || seen.Successor != r.records[1].CertificateNumber {
		t.Errorf("key %q and successor %q left", seen.Key, seen.Successor)
	}
}

// TestADryRunThatIsRefusedIsAnEntry: one that would be answered is none.
func TestADryRunThatIsRefusedIsAnEntry(t *testing.T) {
	r := newRegistry(t)
	dry := func() (int, error) {
		before := r.Node.Journal.Head().Size
		_, err := exchangev1.NewExchangeServiceClient(r.hall.Conn()).Query(t.Context(), &exchangev1.QueryRequest{
			Topic: "marriage", By: &exchangev1.QueryRequest_Key{Key: "k"}, ValidateOnly: true,
			Acting: &exchangev1.Acting{Person: acting.Person, Purpose: acting.Purpose, CaseNumber: acting.Case},
		})
		return int(r.Node.Journal.Head().Size - before), fault.FromStatus(err)
	}
	n, err := dry()
	wantRule(t, err, fault.Denied, "grant.required")
	if n != 1 {
		t.Errorf("%d entries", n)
	}
	marriageGrant(t, r.Exchange, 0)
	if n, err := dry(); n != 0 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
}
