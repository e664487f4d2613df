// Package catalogtest gives tests a founded catalogue on a database of their
// own, and systems enrolled in it.
package catalogtest

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Fictional participants.
const (
	Authority = "11999900MB0000019D"
	Security  = "11999900MB00000278"
	Civil     = "11999900MB00000353"
	Housing   = "11999900MB0000043X"
	Audit     = "11999900MB0000051Q"
)

// Patience bounds every wait of a test.
const Patience = 20 * time.Second

// Exchange is an exchange without transport: identity, journal and catalogue.
type Exchange struct {
	T         testing.TB
	DB        *store.DB
	Identity  *identity.Directory
	Journal   *journal.Journal
	Catalogue *catalog.Catalogue
	Operator  *identity.Caller
}

// Clock lets a test move the exchange's time; the zero value is the real time.
type Clock struct{ Ahead time.Duration }

// Now tells the time.
func (c *Clock) Now() time.Time { return time.Now().Add(c.Ahead) }

// New makes an exchange; the test's end closes it.
func New(t testing.TB) *Exchange {
	t.Helper()
	return On(t, storetest.Open(t))
}

// On makes an exchange on an empty database.
func On(t testing.TB, db *store.DB) *Exchange {
	t.Helper()
	ctx := t.Context()
	d, err := identity.Init(t.TempDir(), identity.Options{Operator: identity.Name{Participant: Authority, System: "console"}})
	must(t, err)
	must(t, journal.Create(ctx, db, d.Keyring.Signer(), 4))
	x := Join(t, db, d)
	_, err = x.Catalogue.Found(ctx, catalog.Founding{
		ParticipantName: "市数据局", Operator: d.Operator, OperatorTitle: "运营", Certificate: d.OperatorCertificate,
	})
	must(t, err)
	x.Operator = x.Caller(d.OperatorCertificate)
	return x
}

// Join opens one more exchange on a database that has one.
func Join(t testing.TB, db *store.DB, d *identity.Directory) *Exchange {
	t.Helper()
	ctx := t.Context()
	j, err := journal.Open(ctx, journal.Config{DB: db, Sealer: d.Keyring, Signer: d.Keyring.Signer()})
	must(t, err)
	t.Cleanup(func() {
		ending, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := j.Close(ending); err != nil {
			t.Error(err)
		}
	})
	c, err := catalog.Open(ctx, catalog.Config{DB: db, Journal: j, Authority: d.Authority, Keyring: d.Keyring})
	must(t, err)
	t.Cleanup(c.Close)
	return &Exchange{T: t, DB: db, Identity: d, Journal: j, Catalogue: c}
}

// Caller gives the caller of a certificate.
func (x *Exchange) Caller(c *x509.Certificate) *identity.Caller {
	x.T.Helper()
	caller, err := x.Catalogue.Caller(Fingerprint(c))
	must(x.T, err)
	return caller
}

// ByOperator is a change by the operator.
func (x *Exchange) ByOperator() catalog.Change { return catalog.Change{Actor: x.Operator} }

// System is an enrolled system with its key.
type System struct {
	Caller      *identity.Caller
	Key         crypto.Signer
	Certificate *x509.Certificate
}

// TLS gives the system's certificate with its key, for a connection.
func (s *System) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{s.Certificate.Raw}, PrivateKey: s.Key}
}

// Enrol registers a participant, unless it is, and enrols a system of it.
func (x *Exchange) Enrol(participant, system string, roles ...cataloguev1.Role) *System {
	x.T.Helper()
	ctx := x.T.Context()
	_, _, err := x.Catalogue.RegisterParticipant(ctx, x.ByOperator(), &cataloguev1.Participant{Code: participant, Name: "部门 " + participant})
	must(x.T, err)
	key, err := identity.NewKey()
	must(x.T, err)
	name := identity.Name{Participant: participant, System: system}
	request, err := identity.NewRequest(name, key)
	must(x.T, err)
	if len(roles) == 0 {
		roles = []cataloguev1.Role{cataloguev1.Role_ROLE_DEPARTMENT}
	}
	e, _, err := x.Catalogue.EnrolSystem(ctx, x.ByOperator(), catalog.Enrolment{ID: name.String(), Roles: roles, Request: request})
	must(x.T, err)
	c, err := x509.ParseCertificate(e.Certificate.Der)
	must(x.T, err)
	return &System{Caller: x.Caller(c), Key: key, Certificate: c}
}

// Topic lists a topic of the standard pack's person contract.
func (x *Exchange) Topic(name, provider string, class cataloguev1.SharingClass) *cataloguev1.Topic {
	x.T.Helper()
	t, _, err := x.Catalogue.CreateTopic(x.T.Context(), x.ByOperator(), &cataloguev1.Topic{
		Name: name, Title: name, Provider: provider, Contract: "huitong.records.v1.Person", SharingClass: class,
		Conditions: "按授权使用", LegalBasis: "《政务数据共享条例》第十四条",
	})
	must(x.T, err)
	return t
}

// Within fails the test unless ok comes true within a time.
func Within(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Fingerprint is the SHA-256 of a certificate.
func Fingerprint(c *x509.Certificate) [32]byte { return sha256.Sum256(c.Raw) }
