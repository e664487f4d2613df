package inspect_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/cases"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// openCases opens two cases, closes one, and gives the entry that opened it.
func (w *world) openCases(t testing.TB) uint64 {
	t.Helper()
	all := cases.New(cases.Config{DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Keyring: w.Identity.Keyring})
	var first uint64
	for _, number := range []string{"办件-1", "办件-2"} {
		opened, _, err := all.Open(t.Context(), w.civil.Caller, &accessv1.OpenCaseRequest{
			Number: number, Item: item, Person: "0231", AfterTheFact: true, Reason: "停机", Subjects: []*ledgerv1.Subject{
				{Type: "414", Number: "E00000000", Role: "applicant"}, {Type: "414", Number: "E00000001"},
			},
		})
		must(t, err)
		first = opened.Opened
	}
	_, _, err := all.Close(t.Context(), w.civil.Caller, &accessv1.CloseCaseRequest{Number: "办件-2", Person: "0231", Outcome: "准予"})
	must(t, err)
	return first
}
