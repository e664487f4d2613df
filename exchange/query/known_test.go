package query_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/cases"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// TestACaseThatAnotherProcessClosed: what is remembered of a case answers nothing
// once the case is closed, whoever closed it, and permits nothing to be tried out.
func TestACaseThatAnotherProcessClosed(t *testing.T) {
	for _, tryOut := range []bool{false, true} {
		w := newWorld(t)
		w.publish(t, paper("M-1"))
		w.answered(t, bySubject(applicant))
		other := cases.New(cases.Config{DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Keyring: w.Identity.Keyring})
		_, _, err := other.Close(t.Context(), w.asker.Caller, &accessv1.CloseCaseRequest{Number: caseNumber, Person: "clerk-7", Outcome: "准予"})
		must(t, err)
		ask := bySubject(applicant)
		ask.ValidateOnly = tryOut
		_, err = w.ask(t, w.asker, ask)
		wantRule(t, "a closed case", err, "case.closed")
	}
}
