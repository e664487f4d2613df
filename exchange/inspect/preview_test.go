package inspect_test

import (
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// TestAPreviewHasItsPreparationBehindIt, and a preparation the previews that it names.
func TestAPreviewHasItsPreparationBehindIt(t *testing.T) {
	for wrong, entries := range map[string]func(w *world) []journal.Entry{
		"no preparation stands behind": func(w *world) []journal.Entry { return []journal.Entry{w.shown()} },
		"is no preview":                func(w *world) []journal.Entry { return []journal.Entry{w.shown(), w.preparedAgain(2)} },
		"":                             func(w *world) []journal.Entry { return []journal.Entry{w.shown(), w.shown(), w.preparedAgain(2)} },
	} {
		w := newWorld(t)
		w.entered(t, entries(w)...)
		f := w.check(t)
		if (f != nil) != (wrong != "") || f != nil && (f.Table != "ledger" || !strings.Contains(f.Message, wrong)) {
			t.Errorf("%q: fsck says %v", wrong, f)
		}
	}
}

// shown is the entry of a record that was shown as a preview.
func (w *world) shown() journal.Entry {
	e := w.queried(subject("1"), "MZ-1")
	e.Leaf.GetQueried().Preview, e.Leaf.GetQueried().Material = true, "a"
	return e
}

// preparedAgain is the entry of a preparation of a case that was prepared before.
func (w *world) preparedAgain(previews uint32) journal.Entry {
	secret, of := random(verify.SecretSize), subject("1")
	about := verify.CommitSubject(verify.Question, 0, secret, of)
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: w.civil.Caller.System, ActorCertificate: w.civil.Caller.Fingerprint[:],
			Body: &ledgerv1.LedgerEntry_Prepared{Prepared: &ledgerv1.MaterialsPrepared{
				Consumer: w.civil.Caller.System, Item: "000512001000", Again: true, Previews: previews,
				PersonCommitment: verify.CommitText(verify.Person, 0, secret, "clerk-7"),
				CaseCommitment:   verify.CommitText(verify.Case, 0, secret, "MZ-1"), SubjectCommitment: about[:],
			}},
		},
		Opening: &ledgerv1.ReadOpening{Secret: secret, Person: "clerk-7", CaseNumber: "MZ-1", Subject: of},
	}
}
