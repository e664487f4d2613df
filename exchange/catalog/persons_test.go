package catalog_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

const (
	handler = cataloguev1.Capacity_CAPACITY_HANDLER
	head    = cataloguev1.Capacity_CAPACITY_HEAD
	clerk   = cataloguev1.Capacity_CAPACITY_CLERK
)

// Officials are enrolled with a proof that they hold their key; from then on the
// registry knows what they may sign.
func TestPersonsAreEnrolledWithProof(t *testing.T) {
	x := catalogtest.New(t)
	civil := x.Enrol(catalogtest.Civil, "subsidies")
	wang := x.Person(civil, "MZ-01", handler)
	p, err := x.Catalogue.Person(wang.Fingerprint)
	must(t, err)
	if p.Participant != catalogtest.Civil || !p.Active || !p.Has(identity.Handler) || p.Has(identity.Head) {
		t.Errorf("the registry has %+v", p)
	}
	full, err := x.Catalogue.GetPerson(t.Context(), civil.Caller, wang.Fingerprint[:])
	must(t, err)
	if full.Reference != "MZ-01" || full.Name != "MZ-01 经办" {
		t.Errorf("read back %v", full)
	}
	// Nothing that names the person stands in the clear.
	var body []byte
	must(t, x.DB.Reader().QueryRowContext(t.Context(), "SELECT body FROM persons").Scan(&body))
	stored := &cataloguev1.Person{}
	must(t, proto.Unmarshal(body, stored))
	if stored.Reference != "" || stored.Name != "" {
		t.Errorf("the row's body names the person: %v", stored)
	}
	// The repeat of the call changes nothing.
	_, commit, err := x.Catalogue.EnrolPerson(t.Context(), catalog.Change{Actor: civil.Caller}, x.Enrolment(civil, wang.Key, "MZ-01", handler))
	if err != nil || commit != nil {
		t.Errorf("the repeat gave %v, %v", commit, err)
	}
}

func TestPersonsKeysAreOfManyForms(t *testing.T) {
	x := catalogtest.New(t)
	civil := x.Enrol(catalogtest.Civil, "subsidies")
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	r := x.Enrolment(civil, key, "MZ-09", clerk)
	r.PublicKey = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: r.PublicKey})
	p, _, err := x.Catalogue.EnrolPerson(t.Context(), catalog.Change{Actor: civil.Caller}, r)
	must(t, err)
	if _, err := x509.ParsePKIXPublicKey(p.PublicKey); err != nil {
		t.Error(err)
	}
}

func TestPersonsThatAreRefused(t *testing.T) {
	x := catalogtest.New(t)
	civil, housing := x.Enrol(catalogtest.Civil, "subsidies"), x.Enrol(catalogtest.Housing, "homes")
	auditor := x.Enrol(catalogtest.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR)
	wang := x.Person(civil, "MZ-01", handler)
	key := func() *cataloguev1.EnrolPersonRequest {
		k, err := identity.NewKey()
		must(t, err)
		return x.Enrolment(civil, k, "MZ-02", head)
	}
	for _, of := range []struct {
		name, rule string
		by         *identity.Caller
		change     func(r *cataloguev1.EnrolPersonRequest)
	}{
		{"another department's", "participant.other", housing.Caller, func(*cataloguev1.EnrolPersonRequest) {}},
		{"by an auditor", "participant.other", auditor.Caller, func(*cataloguev1.EnrolPersonRequest) {}},
		{"no key", "public_key.required", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) { r.PublicKey = nil }},
		{"a broken key", "key.broken", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) { r.PublicKey = []byte("key") }},
		{"a key that it does not hold", "person.possession", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) {
			r.PublicKey = x.Enrolment(civil, wang.Key, "MZ-02", head).PublicKey
		}},
		{"a proof for another participant", "person.possession", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) {
			k, err := identity.NewKey()
			must(t, err)
			other := x.Enrolment(housing, k, "MZ-02", head)
			r.PublicKey, r.Possession = other.PublicKey, other.Possession
		}},
		{"no capacity", "capacities.required", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) { r.Capacities = nil }},
		{"one capacity twice", "capacities.unknown", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) { r.Capacities = append(r.Capacities, head) }},
		{"no reference", "reference.required", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) { r.Reference = " " }},
		{"an identity number", "reference.personal", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) { r.Reference = "11010519491231002X" }},
		{"a long name", "person.name.size", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) { r.Name = string(make([]byte, 200)) }},
		{"a name of two lines", "name.text", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) { r.Name = "王敏\n张伟" }},
		{"a name that is read backwards", "name.text", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) { r.Name = "王\u202e敏" }},
		{"a reference that is taken", "person.reference", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) { r.Reference = "MZ-01" }},
		{"a key that is taken", "person.key", civil.Caller, func(r *cataloguev1.EnrolPersonRequest) {
			proto.Reset(r)
			proto.Merge(r, x.Enrolment(civil, wang.Key, "MZ-03", head))
		}},
		{"an unknown participant", "participant.unknown", x.Operator, func(r *cataloguev1.EnrolPersonRequest) {
			k, err := identity.NewKey()
			must(t, err)
			proto.Reset(r)
			proto.Merge(r, x.EnrolmentOf("91999900MA0000015N", k, "X", head))
		}},
	} {
		t.Run(of.name, func(t *testing.T) {
			r := key()
			of.change(r)
			before := x.Journal.Head().Size
			_, _, err := x.Catalogue.EnrolPerson(t.Context(), catalog.Change{Actor: of.by}, r)
			if fault.RuleOf(err) != of.rule {
				t.Errorf("got %v, not rule %s", err, of.rule)
			}
			if x.Journal.Head().Size != before {
				t.Error("it left an entry")
			}
		})
	}
}

// Who is suspended signs nothing; who is removed never again.
func TestPersonsAreSuspendedAndRemoved(t *testing.T) {
	x := catalogtest.New(t)
	civil, housing := x.Enrol(catalogtest.Civil, "subsidies"), x.Enrol(catalogtest.Housing, "homes")
	by := catalog.Change{Actor: civil.Caller}
	wang := x.Person(civil, "MZ-01", handler)
	statement := []byte("a statement")
	proof, err := verify.Sign(wang.Key, statement)
	must(t, err)
	signed := func(capacities ...identity.Capacity) string {
		p, err := x.Catalogue.Person(wang.Fingerprint)
		must(t, err)
		return fault.RuleOf(catalog.Signed(p, identity.EnrolledKey{}, catalogtest.Civil, statement, proof, capacities...))
	}
	expect := func(want string, capacities ...identity.Capacity) {
		t.Helper()
		if got := signed(capacities...); got != want {
			t.Errorf("rule %q, not %q", got, want)
		}
	}
	expect("", identity.Handler)
	expect("person.capacity", identity.Head)
	_, _, err = x.Catalogue.ChangePerson(t.Context(), by, wang.Fingerprint[:], []cataloguev1.Capacity{head, clerk}, "王主任")
	must(t, err)
	expect("", identity.Head)
	expect("person.capacity", identity.Handler)
	for _, c := range []catalog.Change{{Actor: housing.Caller}} {
		if _, _, err := x.Catalogue.SuspendPerson(t.Context(), c, wang.Fingerprint[:], "r"); fault.RuleOf(err) != "participant.other" {
			t.Errorf("another department's: %v", err)
		}
	}
	_, _, err = x.Catalogue.SuspendPerson(t.Context(), by, wang.Fingerprint[:], "调岗")
	must(t, err)
	expect("person.inactive", identity.Head)
	_, _, err = x.Catalogue.ResumePerson(t.Context(), by, wang.Fingerprint[:])
	must(t, err)
	expect("", identity.Head)
	_, _, err = x.Catalogue.RemovePerson(t.Context(), by, wang.Fingerprint[:], "退休")
	must(t, err)
	expect("person.inactive", identity.Head)
	if _, _, err := x.Catalogue.ResumePerson(t.Context(), by, wang.Fingerprint[:]); fault.RuleOf(err) != "person.removed" {
		t.Errorf("resumed after removal: %v", err)
	}
	if _, _, err := x.Catalogue.EnrolPerson(t.Context(), by, x.Enrolment(civil, wang.Key, "MZ-01", handler)); fault.RuleOf(err) != "person.key" {
		t.Errorf("the key was enrolled again: %v", err)
	}
	// With a new key the official is enrolled anew, and is the same one.
	again := x.Person(civil, "MZ-01", handler)
	old, err := x.Catalogue.Person(wang.Fingerprint)
	must(t, err)
	now, err := x.Catalogue.Person(again.Fingerprint)
	must(t, err)
	if old.Reference != now.Reference {
		t.Error("one reference has two tokens")
	}
	list, err := x.Catalogue.Persons(t.Context(), civil.Caller, "", catalog.Page{})
	if err != nil || len(list) != 2 {
		t.Errorf("lists %v, %v", list, err)
	}
	if list, err := x.Catalogue.Persons(t.Context(), housing.Caller, "", catalog.Page{}); err != nil || len(list) != 0 {
		t.Errorf("another department lists %v, %v", list, err)
	}
	if _, err := x.Catalogue.GetPerson(t.Context(), housing.Caller, wang.Fingerprint[:]); fault.RuleOf(err) != "person.unknown" {
		t.Errorf("another department reads: %v", err)
	}
	if list, err := x.Catalogue.Persons(t.Context(), x.Operator, "", catalog.Page{Limit: 1}); err != nil || len(list) != 1 {
		t.Errorf("the operator lists %v, %v", list, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
