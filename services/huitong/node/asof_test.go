package node_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func asOf(index uint64) func(*sdk.Query) {
	return func(q *sdk.Query) { q.AsOf = sdk.AsOfIndex(index) }
}

// TestWhatWasKnownThen follows a record through its life and asks for each point
// of it.
func TestWhatWasKnownThen(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m := r.records[0]
	key := m.CertificateNumber
	before := r.Node.Journal.Head().Size - 1

	renamed := proto.CloneOf(m)
	renamed.PartyAName, renamed.PartyBNumber, renamed.PartyBName = "新名", "999999197202290019", "周敏"
	changed, err := r.publisher.Publish(t.Context(), "marriage", renamed)
	if err != nil {
		t.Fatal(err)
	}
	suspended, err := r.publisher.Suspend(t.Context(), "marriage", key, "核查")
	if err != nil {
		t.Fatal(err)
	}
	resumed, err := r.publisher.Resume(t.Context(), "marriage", key, "核查完毕")
	if err != nil {
		t.Fatal(err)
	}
	inactive := func(q *sdk.Query) { q.IncludeInactive = true }
	one := func(by sdk.QueryBy, name string, status exchangev1.Status, version uint64, more ...func(*sdk.Query)) {
		t.Helper()
		a, err := r.ask(t, by, more...)
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Records) != 1 {
			t.Fatalf("%d records", len(a.Records))
		}
		var seen recordsv1.Marriage
		if err := proto.Unmarshal(a.Records[0].Payload, &seen); err != nil {
			t.Fatal(err)
		}
		if seen.PartyAName != name || a.Records[0].Status != status || a.Records[0].Version != version {
			t.Errorf("%s, %v, version %d; not %s, %v, %d", seen.PartyAName, a.Records[0].Status, a.Records[0].Version, name, status, version)
		}
	}
	none := func(by sdk.QueryBy, more ...func(*sdk.Query)) {
		t.Helper()
		if a, err := r.ask(t, by, more...); err != nil || len(a.Records) != 0 {
			t.Errorf("%v, %v", a, err)
		}
	}
	active, held := exchangev1.Status_STATUS_ACTIVE, exchangev1.Status_STATUS_SUSPENDED
	for _, by := range []sdk.QueryBy{sdk.ByKey(key), sdk.BySubject(sdk.Subject{Type: "111", Number: m.PartyANumber})} {
		one(by, m.PartyAName, active, 1, asOf(before))
		one(by, "新名", active, 2, asOf(changed.Index))
		one(by, "新名", held, 3, asOf(suspended.Index), inactive)
		one(by, "新名", active, 4, asOf(resumed.Index))
	}
	none(sdk.BySubject(sdk.Subject{Type: "111", Number: m.PartyANumber}), asOf(suspended.Index))
	// By whom it was about then, not by whom it is about now.
	one(bySpouse(m), m.PartyAName, active, 1, asOf(before))
	none(bySpouse(m), asOf(changed.Index))
	none(bySpouse(renamed), asOf(before))
	one(bySpouse(renamed), "新名", active, 2, asOf(changed.Index))
	// By time.
	one(bySpouse(m), m.PartyAName, active, 1, func(q *sdk.Query) { q.AsOf = sdk.AsOfTime(changed.At.Add(-time.Microsecond)) })
	one(bySpouse(renamed), "新名", active, 2, func(q *sdk.Query) { q.AsOf = sdk.AsOfTime(changed.At) })
	_, err = r.ask(t, sdk.ByKey(r.records[50].CertificateNumber), asOf(5))
	wantRule(t, err, fault.Denied, "case.subject")

	if _, err := r.publisher.Erase(t.Context(), "marriage", key, "依申请删除"); err != nil {
		t.Fatal(err)
	}
	// Whom it was about is forgotten, so the hall cannot show that its case names
	// them; the provider is told.
	_, err = r.ask(t, sdk.ByKey(key), asOf(changed.Index))
	wantRule(t, err, fault.Denied, "case.subject")
	r.OpenCase(t, r.civil, acting.Case, acting.Purpose, sdk.Subject{Type: "111", Number: m.PartyANumber})
	erased := func(why string) {
		t.Helper()
		a, err := r.civil.Query(t.Context(), sdk.Query{Topic: "marriage", Acting: acting, By: sdk.ByKey(key), AsOf: sdk.AsOfIndex(changed.Index)})
		if err != nil || len(a.Records) != 1 || !a.Records[0].Erased || len(a.Records[0].Payload) != 0 {
			t.Errorf("%s: %v, %v", why, a, err)
		}
	}
	erased("what was erased since")
	none(bySpouse(renamed), asOf(changed.Index))
	// Another life of the same key.
	if _, err := r.publisher.Publish(t.Context(), "marriage", m); err != nil {
		t.Fatal(err)
	}
	erased("what was erased since, and published anew")
	one(sdk.ByKey(key), m.PartyAName, active, 1)
	fsck(t, r.Exchange)
}

func TestPastsThatMakeNoSense(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	for rule, past := range map[string]sdk.QueryAsOf{
		"as_of.future": sdk.AsOfIndex(1 << 40), "as_of.before": sdk.AsOfTime(time.Unix(0, 0)),
	} {
		_, err := r.ask(t, sdk.ByKey("k"), func(q *sdk.Query) { q.AsOf = past })
		wantRule(t, err, fault.Invalid, rule)
	}
	_, err := r.ask(t, sdk.ByKey("k"), func(q *sdk.Query) { q.AsOf = sdk.AsOfTime(time.Now().Add(time.Hour)) })
	wantRule(t, err, fault.Invalid, "as_of.future")
	_, err = r.ask(t, sdk.ByIndex(5), asOf(9))
	wantRule(t, err, fault.Invalid, "as_of.index")
}

// TestPagesOfThePast: a page token is of one past.
func TestPagesOfThePast(t *testing.T) {
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
	then := r.Node.Journal.Head().Size - 1
	for i := range 3 {
		if _, err := r.publisher.Revoke(t.Context(), "marriage", r.records[i].CertificateNumber, "登记有误"); err != nil {
			t.Fatal(err)
		}
	}
	q := sdk.Query{
		Topic: "marriage", Acting: acting, By: sdk.BySubject(sdk.Subject{Type: "111", Number: number}), PageSize: 3, AsOf: sdk.AsOfIndex(then),
	}
	seen := 0
	for _, err := range r.hall.QueryAll(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
	}
	if seen != 7 {
		t.Errorf("%d records, not 7", seen)
	}
	first, err := r.hall.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	q.PageToken, q.AsOf = first.NextPageToken, sdk.AsOfIndex(then+1)
	_, err = r.hall.Query(t.Context(), q)
	wantRule(t, err, fault.Invalid, "page_token")
}
