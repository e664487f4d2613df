package inspect_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/query"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// checked has civil affairs check a person by two thresholds, and gives the entry
// of the second answer.
func (w *world) checked(t testing.TB) uint64 {
	t.Helper()
	const topic = "checkable"
	_, _, err := w.Catalogue.CreateTopic(t.Context(), w.ByOperator(), &cataloguev1.Topic{
		Name: topic, Title: topic, Provider: catalogtest.Security, Contract: "huitong.records.v1.Person",
		SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "按授权使用",
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK},
	})
	must(t, err)
	_, _, err = w.policy.Create(t.Context(), w.ByOperator(), &accessv1.Grant{
		Topic: topic, Consumer: catalogtest.Civil, Basis: "社会救助暂行办法 第58条", ServiceItems: []string{item},
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK},
		Checks: []*accessv1.GrantCheck{{
			Name: "short-name", Fields: []string{"name"}, Predicate: "records.all(r, size(r.name) < threshold)",
			Thresholds: []*accessv1.Threshold{{Name: "two", Value: 2}, {Name: "four", Value: 4}},
		}},
	})
	must(t, err)
	p := put("K1", "王芳芳")
	p.Topic = topic
	w.publish(t, w.security, p)
	q := &query.Queries{
		DB: w.DB, Journal: w.Journal, Topics: w.Catalogue, Policy: w.policy, Refusals: w.refusals,
		Keyring: w.Identity.Keyring, Index: w.index, Clock: w.Catalogue.Clock,
		Cases: cases.New(cases.Config{DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Keyring: w.Identity.Keyring}),
	}
	_, _, err = q.Cases.Open(t.Context(), w.civil.Caller, &accessv1.OpenCaseRequest{
		Number: caseNumber, Item: item, Person: "clerk-7", Subjects: []*ledgerv1.Subject{subject("K1")},
	})
	must(t, err)
	var index uint64
	for threshold, want := range map[string]exchangev1.CheckAnswer{
		"two": exchangev1.CheckAnswer_CHECK_ANSWER_NO, "four": exchangev1.CheckAnswer_CHECK_ANSWER_YES,
	} {
		a, err := q.Check(t.Context(), w.civil.Caller, &exchangev1.CheckRequest{
			Topic: topic, Check: "short-name", Threshold: threshold, Subject: subject("K1"),
			Acting: &exchangev1.Acting{Person: "clerk-7", Purpose: item, CaseNumber: caseNumber},
		})
		must(t, err)
		if a.Answer != want {
			t.Fatalf("%s: %v", threshold, a.Answer)
		}
		index = a.Receipt.Index
	}
	return index
}
