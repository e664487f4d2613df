package query_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/query"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// TestEmptyAndHostileQuestions: what makes no sense is refused by its rule, and
// what is not there like what is somebody else's.
func TestEmptyAndHostileQuestions(t *testing.T) {
	w := newWorld(t)
	w.publish(t, paper("M-1"))
	refused := func(what string, r *exchangev1.QueryRequest, rule string) {
		t.Helper()
		_, err := w.ask(t, w.asker, r)
		wantRule(t, what, err, rule)
	}
	for _, key := range []string{"", strings.Repeat("k", contract.MaxKey+1), strings.Repeat("键", contract.MaxKey/3+1), "M-1\xff", "\xc0\x80"} {
		refused(fmt.Sprintf("key %.20q", key), byKey(key), "key.size")
	}
	for _, key := range []string{
		strings.Repeat("k", contract.MaxKey), "M-2", "m-1", "M-1 ", " M-1", "M-1\x00", "\x00", "M-%", "M-_", "*", "' OR 1=1 --", "../M-1", "\u202eM-1", "Ｍ-1",
	} {
		refused(fmt.Sprintf("key %.20q", key), byKey(key), "case.subject")
	}
	for _, index := range []uint64{0, w.Journal.Head().Size, 1 << 62, math.MaxInt64, 1 << 63, math.MaxUint64} {
		refused(fmt.Sprint("entry ", index), &exchangev1.QueryRequest{By: &exchangev1.QueryRequest_Index{Index: index}}, "case.subject")
	}
	for _, s := range []*ledgerv1.Subject{
		{Type: "999", Number: "K2"}, {Type: "999", Number: "K1' OR '1'='1"}, {Type: "414", Number: "K1"},
	} {
		refused("subject "+s.String(), bySubject(s), "case.subject")
	}
	refused("a role", bySubject(&ledgerv1.Subject{Type: "999", Number: "K1", Role: strings.Repeat("r", 65)}), "subject.role")
	refused("nothing", &exchangev1.QueryRequest{}, "by.required")
	for _, s := range []*ledgerv1.Subject{nil, {}, {Type: "999"}, {Number: "K1"}, {Type: "999", Number: "K1\xff"}, {Type: "999", Number: strings.Repeat("1", 1<<16)}} {
		if _, err := w.ask(t, w.asker, bySubject(s)); err == nil {
			t.Errorf("subject %.40v is answered", s)
		}
	}
	if a := w.answered(t, bySubject(&ledgerv1.Subject{Type: "999", Number: "K1", Role: "concerned"})); len(a.Records) != 0 {
		t.Errorf("%d records in a role that the applicant has in none", len(a.Records))
	}
	if got := keys(t, w.answered(t, byKey("M-1"))); !slices.Equal(got, []string{"M-1"}) {
		t.Errorf("its own key gives %v", got)
	}
}

// TestWhatWasSubmittedIsBoundToItsItem: whoever kept it reads it for any, others
// only for the item that it was submitted for, or if the applicant agreed.
func TestWhatWasSubmittedIsBoundToItsItem(t *testing.T) {
	w := newWorld(t)
	bound, agreed := paper("bound"), paper("agreed")
	bound.ItemCode, agreed.ItemCode, agreed.ReuseConsented = "000711004000", "000711004000", true
	at := w.publish(t, paper("own"), bound, agreed)
	got := keys(t, w.answered(t, bySubject(applicant)))
	slices.Sort(got)
	if !slices.Equal(got, []string{"agreed", "own"}) {
		t.Errorf("for another item %v are shown", got)
	}
	_, err := w.ask(t, w.asker, byKey("bound"))
	wantRule(t, "by its key", err, "case.subject")
	_, err = w.ask(t, w.asker, &exchangev1.QueryRequest{By: &exchangev1.QueryRequest_Index{Index: at[1]}})
	wantRule(t, "by its entry", err, "case.subject")
	if a := w.answered(t, atIndex(bySubject(applicant), at[2])); len(a.Records) != 2 {
		t.Errorf("of the past %v are shown", keys(t, a))
	}
	if a, err := w.ask(t, w.issuer, bySubject(applicant)); err != nil || len(a.Records) != 3 {
		t.Errorf("whoever kept them is shown %v, %v", a, err)
	}
}

func TestUsableFor(t *testing.T) {
	w := newWorld(t)
	topic, err := w.Catalogue.Topic(papers)
	must(t, err)
	people, err := w.Catalogue.Topic(w.Topic("people", topic.Provider, unconditional).Name)
	must(t, err)
	for what, c := range map[string]struct {
		ask    access.Request
		usable bool
	}{
		"its item":              {access.Request{Caller: w.asker.Caller, Purpose: item}, true},
		"another item":          {access.Request{Caller: w.asker.Caller, Purpose: "000711004000"}, false},
		"a part of the item":    {access.Request{Caller: w.asker.Caller, Purpose: item[:6]}, false},
		"no purpose":            {access.Request{Caller: w.asker.Caller}, false},
		"whoever kept it":       {access.Request{Caller: w.issuer.Caller, Purpose: "000711004000"}, true},
		"with consent":          {access.Request{Caller: w.asker.Caller, Facts: access.Facts{Consent: access.ConsentFacts{Standing: access.ConsentGiven}}}, true},
		"consent not needed":    {access.Request{Caller: w.asker.Caller, Facts: access.Facts{Consent: access.ConsentFacts{Standing: access.ConsentNotNeeded}}}, false},
		"with none that stands": {access.Request{Caller: w.asker.Caller, Facts: access.Facts{Consent: access.ConsentFacts{Standing: access.ConsentNone}}}, false},
	} {
		if usable, err := query.UsableFor(topic, payload(t, paper("M-1")), &c.ask); err != nil || usable != c.usable {
			t.Errorf("%s: usable %v, %v", what, usable, err)
		}
	}
	another := &access.Request{Caller: w.asker.Caller, Purpose: "000711004000"}
	if usable, err := query.UsableFor(people, payload(t, paper("M-1")), another); err != nil || !usable {
		t.Errorf("a record of another contract: %v, %v", usable, err)
	}
	if usable, err := query.UsableFor(topic, []byte{0xff}, another); err == nil || usable {
		t.Errorf("what cannot be read is usable: %v, %v", usable, err)
	}
}
