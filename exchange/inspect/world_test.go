package inspect_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/intake/intaketest"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// world is an exchange with publishers, readers and an auditor.
type world struct {
	*catalogtest.Exchange
	policy   *access.Policy
	refusals *access.Refusals
	intake   *intake.Intake
	index    *inspect.Index
	ledger   *inspect.Ledger

	security *catalogtest.System // publishes people
	civil    *catalogtest.System // reads
	housing  *catalogtest.System // is party to nothing
	auditor  *catalogtest.System
	witness  *catalogtest.System
}

const people = "people"

func newWorld(t testing.TB) *world {
	t.Helper()
	return worldOn(t, catalogtest.On(t, storetest.Open(t)))
}

func worldOn(t testing.TB, x *catalogtest.Exchange) *world {
	t.Helper()
	w := &world{Exchange: x}
	w.open(t)
	w.security = w.Enrol(catalogtest.Security, "residents")
	w.civil = w.Enrol(catalogtest.Civil, "subsidies")
	w.housing = w.Enrol(catalogtest.Housing, "homes")
	w.auditor = w.Enrol(catalogtest.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR)
	w.witness = w.Enrol(catalogtest.Audit, "witness", cataloguev1.Role_ROLE_WITNESS)
	w.Topic(people, catalogtest.Security, cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL)
	return w
}

// open opens what stands on the exchange's journal and catalogue.
func (w *world) open(t testing.TB) {
	t.Helper()
	in := intaketest.Open(t, w.Exchange)
	w.intake, w.policy, w.refusals = in.Intake, in.Policy, in.Refused
	var err error
	w.index, err = inspect.OpenIndex(t.Context(), inspect.IndexConfig{DB: w.DB, Journal: w.Journal, Keyring: w.Identity.Keyring})
	must(t, err)
	t.Cleanup(w.index.Close)
	w.ledger = &inspect.Ledger{
		DB: w.DB, Journal: w.Journal, Index: w.index, Keys: w.Identity.Keyring, Policy: w.policy, Refusals: w.refusals,
		VerifierKey: w.Identity.Keyring.VerifierKey(),
	}
}

func person(number, name string) []byte {
	raw, err := proto.Marshal(&recordsv1.Person{IdType: "999", IdNumber: number, Name: name})
	if err != nil {
		panic(err)
	}
	return raw
}

// put is a publication of a person.
func put(number, name string) *exchangev1.Publication {
	return &exchangev1.Publication{Topic: people, Content: &exchangev1.Publication_Protobuf{Protobuf: person(number, name)}}
}

// operate is a publication without content.
func operate(op ledgerv1.Operation, key string) *exchangev1.Publication {
	return &exchangev1.Publication{Topic: people, Operation: op, Key: key, Reason: "登记有误"}
}

// publish publishes in one call and gives the entries' indexes.
func (w *world) publish(t testing.TB, by *catalogtest.System, records ...*exchangev1.Publication) []uint64 {
	t.Helper()
	resp, err := w.intake.Publish(t.Context(), by.Caller, &exchangev1.PublishRequest{Records: records})
	must(t, err)
	var at []uint64
	for i, r := range resp.Results {
		if r.GetReceipt() == nil {
			t.Fatalf("publication %d: %v", i, r.GetProblem())
		}
		at = append(at, r.GetReceipt().Index)
	}
	return at
}

// sign fills in what a signed call needs and signs it.
func sign(t testing.TB, by *catalogtest.System, req *exchangev1.PublishRequest, statements []*verify.Statement) {
	t.Helper()
	hashes := make([][verify.HashSize]byte, len(statements))
	for i, s := range statements {
		hashes[i] = s.LeafHash()
	}
	signature, err := verify.Sign(by.Key, verify.CallStatement(by.Caller.System, hashes))
	must(t, err)
	req.Signature = signature
}

// entered commits entries that other parts of the exchange make.
func (w *world) entered(t testing.TB, entries ...journal.Entry) uint64 {
	t.Helper()
	commit, err := w.Journal.Submit(t.Context(), &journal.Call{Entries: entries})
	must(t, err)
	return commit.Index
}

// queried is the entry of a query by the civil affairs department.
func (w *world) queried(subject *ledgerv1.Subject, caseNumber string) journal.Entry {
	secret := random(verify.SecretSize)
	question := verify.CommitSubject(verify.Question, 0, secret, subject)
	root := verify.Root(nil)
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: w.civil.Caller.System, ActorCertificate: w.civil.Caller.Fingerprint[:],
			Body: &ledgerv1.LedgerEntry_Queried{Queried: &ledgerv1.RecordsQueried{
				Topic: people, Provider: catalogtest.Security, Consumer: w.civil.Caller.System, Purpose: "000512001000",
				PersonCommitment: verify.CommitText(verify.Person, 0, secret, "clerk-7"),
				CaseCommitment:   verify.CommitText(verify.Case, 0, secret, caseNumber), SubjectCommitment: question[:],
				DetailsRoot: root[:], CaseClaimed: true, Policy: w.Journal.Policy(),
			}},
		},
		Opening: &ledgerv1.ReadOpening{Secret: secret, Person: "clerk-7", CaseNumber: caseNumber, Subject: subject},
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func subject(number string) *ledgerv1.Subject { return &ledgerv1.Subject{Type: "999", Number: number} }

func (w *world) token(number string) []byte {
	normal, err := contract.Normalise("999", number)
	must(w.T, err)
	return w.Identity.Keyring.Token(identity.TokenSubject, "999", normal)
}

// list lists all entries of a filter, in pages of a size.
func (w *world) list(t testing.TB, by *catalogtest.System, f *ledgerv1.EntryFilter, p inspect.Page) []uint64 {
	t.Helper()
	var at []uint64
	for {
		entries, next, err := w.ledger.List(t.Context(), by.Caller, f, p)
		must(t, err)
		for _, e := range entries {
			at = append(at, e.Entry.Index)
		}
		if p.Token = next; next == "" {
			return at
		}
	}
}

func numbered(prefix string, from, n int) []*exchangev1.Publication {
	var list []*exchangev1.Publication
	for i := range n {
		list = append(list, put(fmt.Sprintf("%s%d", prefix, from+i), "王芳"))
	}
	return list
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const households = "households"

// household publishes one household of the members with these numbers.
func (w *world) household(t testing.TB, key string, members ...string) uint64 {
	t.Helper()
	if _, err := w.Catalogue.Topic(households); err != nil {
		_, _, err := w.Catalogue.CreateTopic(t.Context(), w.ByOperator(), &cataloguev1.Topic{
			Name: households, Title: households, Provider: catalogtest.Security, Contract: "huitong.records.v1.Household",
			SharingClass: cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL,
		})
		must(t, err)
	}
	m := &recordsv1.Household{
		HouseholdNumber: key, Kind: recordsv1.HouseholdKind_HOUSEHOLD_KIND_FAMILY, Region: "110105", Address: "某街1号",
	}
	for _, n := range members {
		m.Members = append(m.Members, &recordsv1.HouseholdMember{IdType: "999", IdNumber: n, Name: "王芳", Role: "member"})
	}
	raw, err := proto.Marshal(m)
	must(t, err)
	return w.publish(t, w.security, &exchangev1.Publication{
		Topic: households, Content: &exchangev1.Publication_Protobuf{Protobuf: raw},
	})[0]
}

func (w *world) households(t testing.TB, member string, n int) {
	t.Helper()
	for i := range n {
		w.household(t, fmt.Sprintf("H%d", i), member, fmt.Sprintf("OTHER%d", i))
	}
}

func execOn(t testing.TB, p *store.Part, query string, args ...any) {
	t.Helper()
	must(t, p.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}))
}
