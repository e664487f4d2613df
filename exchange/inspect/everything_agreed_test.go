package inspect_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/agreement"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// agreeing is a grant on its way from step to step.
type agreeing struct {
	*agreement.Agreements
	w     *world
	grant *accessv1.Grant
}

// agree has both sides agree on a grant, step by step, and gives the entry of the
// last step. A second version of it stays requested.
func (w *world) agree(t testing.TB, terms *accessv1.Grant) uint64 {
	t.Helper()
	a := &agreeing{w: w, Agreements: agreement.New(agreement.Config{
		DB: w.DB, Policy: w.policy, Origin: w.Identity.Keyring.Origin(),
		Deadlines: &deadline.List{DB: w.DB, Settings: w.Catalogue, Clock: time.Now},
	})}
	handler, head := w.Person(w.civil, "MZ-31", cataloguev1.Capacity_CAPACITY_HANDLER), w.Person(w.civil, "MZ-32", cataloguev1.Capacity_CAPACITY_HEAD)
	accepting, approving := w.Person(w.security, "GA-31", cataloguev1.Capacity_CAPACITY_HANDLER), w.Person(w.security, "GA-32", cataloguev1.Capacity_CAPACITY_HEAD)
	raw, err := proto.Marshal(terms)
	must(t, err)
	a.step(t, w.civil, "consumer", "request", handler, raw)
	a.step(t, w.civil, "consumer", "approve", head, nil)
	a.step(t, w.security, "provider", "accept", accepting, nil)
	a.step(t, w.security, "provider", "approve", approving, nil)
	agreed := w.Journal.Head().Size - 1
	a.step(t, w.civil, "consumer", "request", handler, raw)
	return agreed
}

// step takes a step; with terms it is the first of a new version.
func (a *agreeing) step(t testing.TB, by *catalogtest.System, side, name string, who *catalogtest.Person, terms []byte) {
	t.Helper()
	says := &ledgerv1.StepStatement{
		LedgerOrigin: a.w.Identity.Keyring.Origin(), Grant: a.grant.GetId(), Version: uint32(a.grant.GetVersion()), Side: side, Step: name,
		SignedAtUs: time.Now().UnixMicro(), Person: who.Fingerprint[:],
	}
	signed := a.grant.GetTerms()
	if terms != nil {
		signed, says.Version = terms, says.Version+1
	} else {
		before := a.grant.Steps[len(a.grant.Steps)-1]
		previous := sha256.Sum256(before.Statement)
		says.Previous = previous[:]
	}
	digest := sha256.Sum256(signed)
	says.TermsDigest = digest[:]
	statement, err := proto.Marshal(says)
	must(t, err)
	r := &accessv1.TakeStepRequest{Statement: statement, Terms: terms}
	r.Signature, err = verify.Sign(by.Key, verify.GrantStepStatement(by.Caller.System, statement))
	must(t, err)
	r.PersonSignature, err = verify.Sign(who.Key, verify.GrantStepStatement(by.Caller.System, statement))
	must(t, err)
	a.grant, _, err = a.Take(t.Context(), by.Caller, r)
	must(t, err)
}
