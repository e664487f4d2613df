package inspect_test

import (
	"context"
	"testing"

	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/subscription"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// enrolments has civil affairs enrol subjects under a grant that was agreed, be
// owed their records, of which one is erased, and lose two of them: one by
// request, one with its case. A subscription that is deleted leaves nothing.
func (w *world) enrolments(t testing.TB, at map[string]uint64) {
	t.Helper()
	const followed = "followed"
	w.Topic(followed, catalogtest.Security, cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL)
	at["agreed"] = w.agree(t, &accessv1.Grant{
		Topic: followed, Consumer: catalogtest.Civil, Basis: "社会救助暂行办法第五十八条", Scenario: "低保动态核查", Fields: []string{"id_type", "id_number", "name"},
		ServiceItems: []string{item}, StandingPurpose: "低保动态核查", StandingLegalBasis: "社会救助暂行办法第十三条",
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
		Scope:         accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS,
	})
	on := func(p *exchangev1.Publication) *exchangev1.Publication { p.Topic = followed; return p }
	w.publish(t, w.security, on(put("F1", "王芳")), on(put("F2", "李娜")), on(put("F3", "张伟")))

	all := cases.New(cases.Config{DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Keyring: w.Identity.Keyring})
	m := subscription.Open(subscription.Config{
		DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Policy: w.policy, Refusals: w.refusals, Keyring: w.Identity.Keyring,
		Index: w.index, Cases: all,
	})
	all.OnClose(func(ctx context.Context, tx store.Tx, slot journal.Slot, c *cases.Case) ([]journal.Entry, error) {
		return m.CaseClosed(ctx, tx, slot, c.Token)
	})
	for _, number := range []string{"低保-1", "低保-2"} {
		_, _, err := all.Open(t.Context(), w.civil.Caller, &accessv1.OpenCaseRequest{
			Number: number, Item: item, Person: "0231", Subjects: []*ledgerv1.Subject{subject("F1"), subject("F2"), subject("F3")},
		})
		must(t, err)
	}
	acting := &exchangev1.Acting{Person: "0231"}
	of := func(number, ofCase string) *exchangev1.Enrolment {
		return &exchangev1.Enrolment{Subject: subject(number), CaseNumber: ofCase}
	}
	for _, name := range []string{"dropped", followed} {
		_, _, err := m.Create(t.Context(), w.civil.Caller, &exchangev1.Subscription{Name: name, Topic: followed, Lanes: 4}, false)
		must(t, err)
		_, err = m.Enrol(t.Context(), w.civil.Caller, &exchangev1.EnrolSubjectsRequest{
			Subscription: name, Acting: acting,
			Enrolments: []*exchangev1.Enrolment{of("F1", "低保-1"), of("F1", "低保-2"), of("F2", "低保-1"), of("F3", "低保-1")},
		})
		must(t, err)
		at["enrolled"] = w.Journal.Head().Size - 1
	}
	_, err := m.Delete(t.Context(), w.civil.Caller, "dropped", false)
	must(t, err)
	_, err = m.Remove(t.Context(), w.civil.Caller, &exchangev1.RemoveSubjectsRequest{
		Subscription: followed, Acting: acting, Enrolments: []*exchangev1.Enrolment{of("F3", "低保-1")},
	})
	must(t, err)
	at["removed"] = w.Journal.Head().Size - 1
	_, _, err = all.Close(t.Context(), w.civil.Caller, &accessv1.CloseCaseRequest{Number: "低保-2", Person: "0231", Outcome: "准予"})
	must(t, err)
	w.publish(t, w.security, on(operate(ledgerv1.Operation_OPERATION_ERASE, "F2")))
	ending, cancel := context.WithTimeout(context.Background(), catalogtest.Patience)
	defer cancel()
	m.Close(ending)
}
