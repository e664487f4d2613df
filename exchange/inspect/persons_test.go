package inspect_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// persons enrols, changes and suspends officials, and gives an entry that
// enrolled one.
func (w *world) persons(t testing.TB) uint64 {
	t.Helper()
	enrolled := w.Journal.Head().Size
	w.Person(w.civil, "MZ-01", cataloguev1.Capacity_CAPACITY_HANDLER)
	head := w.Person(w.civil, "MZ-02", cataloguev1.Capacity_CAPACITY_HEAD)
	_, _, err := w.Catalogue.SuspendPerson(t.Context(), catalog.Change{Actor: w.civil.Caller}, head.Fingerprint[:], "演练")
	must(t, err)
	_, _, err = w.Catalogue.ResumePerson(t.Context(), catalog.Change{Actor: w.civil.Caller}, head.Fingerprint[:])
	must(t, err)
	_, _, err = w.Catalogue.PutGroup(t.Context(), w.ByOperator(), &cataloguev1.Group{
		Id: "city", Title: "市级部门", Members: []string{catalogtest.Civil, catalogtest.Housing}, Lead: catalogtest.Civil,
	})
	must(t, err)
	return enrolled
}
