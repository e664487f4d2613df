package consent_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/consent"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	issuer = "https://id.example.gov"
	item   = "000711004000"
	topic  = "incomes"
	number = "SF-2026-000042"
)

// Fictional persons: two adults, a child, and the company of one of them.
var (
	wang    = &ledgerv1.Subject{Type: "111", Number: "999999199001010016"}
	li      = &ledgerv1.Subject{Type: "111", Number: "999999198506150028"}
	child   = &ledgerv1.Subject{Type: "111", Number: "999999201010200049"}
	company = &ledgerv1.Subject{Type: "001", Number: "91999900MA0000015N"}
)

// world is an exchange with an identity provider and two departments.
type world struct {
	*catalogtest.Exchange
	t        testing.TB
	consents *consent.Consents
	clock    *catalogtest.Clock
	civil    *catalogtest.System
	housing  *catalogtest.System
	clerk    *catalogtest.Person
	head     *catalogtest.Person
	key      *ecdsa.PrivateKey // of the identity provider
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Exchange: catalogtest.New(t), t: t, clock: &catalogtest.Clock{}}
	w.consents = consent.New(consent.Config{
		DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Keyring: w.Identity.Keyring, Clock: w.clock.Now,
	})
	w.civil, w.housing = w.Enrol(catalogtest.Civil, "subsidies"), w.Enrol(catalogtest.Housing, "homes")
	w.clerk = w.Person(w.civil, "MZ-01", cataloguev1.Capacity_CAPACITY_CLERK)
	w.head = w.Person(w.civil, "MZ-02", cataloguev1.Capacity_CAPACITY_HEAD)
	w.Enrol(catalogtest.Security, "residents")
	for _, name := range []string{topic, "others"} {
		w.Topic(name, catalogtest.Security, cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL)
	}
	w.needs(cataloguev1.Consent_CONSENT_SUBJECT)
	w.key = newKey(t)
	w.register(issuer, w.key)
	return w
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return k
}

// needs says whose consent reading incomes needs.
func (w *world) needs(c cataloguev1.Consent) {
	w.t.Helper()
	t, err := w.Catalogue.Topic(topic)
	must(w.t, err)
	t.Message().Consent = c
}

func jwks(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	must(t, err)
	return string(raw)
}

func (w *world) register(issuer string, key *ecdsa.PrivateKey) {
	w.t.Helper()
	_, _, err := w.consents.Put(w.t.Context(), w.ByOperator(), &accessv1.IdentityProvider{
		Issuer: issuer, Title: "样例统一身份认证", Jwks: jwks(w.t, key.Public()), SubjectType: "111", TypeClaim: "id_type",
	})
	must(w.t, err)
}

func nonce() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return b
}

func (w *world) day(days int) string { return access.Today(w.clock.Now().AddDate(0, 0, days)) }

// consent is what a subject allows civil affairs, with changes.
func (w *world) consent(s *ledgerv1.Subject, change ...func(*accessv1.Consent)) []byte {
	w.t.Helper()
	m := &accessv1.Consent{
		Nonce: nonce(), LedgerOrigin: w.Identity.Keyring.Origin(), Subject: s, Recipient: catalogtest.Civil,
		Topics: []*accessv1.ConsentedTopic{{Topic: topic}}, ServiceItems: []string{item}, ValidFrom: w.day(0), ValidUntil: w.day(30),
	}
	for _, f := range change {
		f(m)
	}
	raw, err := proto.Marshal(m)
	must(w.t, err)
	return raw
}

type claims map[string]any

// token signs a token of the identity provider about a subject for these bytes.
func (w *world) token(s *ledgerv1.Subject, raw []byte, change ...func(claims)) string {
	w.t.Helper()
	digest := sha256.Sum256(raw)
	c := claims{
		"iss": issuer, "aud": w.Identity.Keyring.Origin(), "sub": s.Number, "id_type": s.Type,
		"nonce": base64.RawURLEncoding.EncodeToString(digest[:]),
		"iat":   w.clock.Now().Unix(), "exp": w.clock.Now().Add(5 * time.Minute).Unix(),
	}
	for _, f := range change {
		f(c)
	}
	return signed(w.t, w.key, c)
}

func signed(t testing.TB, key any, c claims) string {
	t.Helper()
	return signedBy(t, jose.ES256, jose.JSONWebKey{Key: key, KeyID: "k1"}, c)
}

func signedBy(t testing.TB, algorithm jose.SignatureAlgorithm, key any, c claims) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, nil)
	must(t, err)
	raw, err := json.Marshal(c)
	must(t, err)
	jws, err := signer.Sign(raw)
	must(t, err)
	text, err := jws.CompactSerialize()
	must(t, err)
	return text
}

func byToken(token string) *accessv1.ConsentProof {
	return &accessv1.ConsentProof{Means: &accessv1.ConsentProof_Token{Token: token}}
}

// give gives a consent of a subject by its token.
func (w *world) give(s *ledgerv1.Subject, change ...func(*accessv1.Consent)) *accessv1.GiveConsentResponse {
	w.t.Helper()
	raw := w.consent(s, change...)
	return w.given(raw, byToken(w.token(s, raw)))
}

func (w *world) given(raw []byte, proof *accessv1.ConsentProof) *accessv1.GiveConsentResponse {
	w.t.Helper()
	r, err := w.consents.Give(w.t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: proof})
	must(w.t, err)
	return r
}

func (w *world) revocation(digest []byte) []byte {
	w.t.Helper()
	raw, err := proto.Marshal(&accessv1.ConsentRevocation{Nonce: nonce(), LedgerOrigin: w.Identity.Keyring.Origin(), Consent: digest})
	must(w.t, err)
	return raw
}

func (w *world) revoke(s *ledgerv1.Subject, digest []byte) {
	w.t.Helper()
	raw := w.revocation(digest)
	_, err := w.consents.Revoke(w.t.Context(), w.civil.Caller, &accessv1.RevokeConsentRequest{Revocation: raw, Proof: byToken(w.token(s, raw))})
	must(w.t, err)
}

// jws signs bytes by a key of the subject's own.
func jws(t testing.TB, key *ecdsa.PrivateKey, typ string, raw []byte) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	must(t, err)
	s, err := signer.Sign(raw)
	must(t, err)
	text, err := s.DetachedCompactSerialize()
	must(t, err)
	return text
}

// vouching is a token in which the provider vouches for a key.
func (w *world) vouching(s *ledgerv1.Subject, key *ecdsa.PrivateKey, change ...func(claims)) string {
	w.t.Helper()
	return w.token(s, nil, append([]func(claims){func(c claims) {
		delete(c, "nonce")
		c["cnf"] = map[string]any{"jwk": jose.JSONWebKey{Key: key.Public()}}
	}}, change...)...)
}

func byKey(jws, token string) *accessv1.ConsentProof {
	return &accessv1.ConsentProof{Means: &accessv1.ConsentProof_Key{Key: &accessv1.ConsentByKey{Jws: jws, Token: token}}}
}

// attest has persons attest a scanned form for these bytes.
func (w *world) attest(raw []byte, persons ...*catalogtest.Person) *accessv1.ConsentProof {
	w.t.Helper()
	digest, form := sha256.Sum256(raw), sha256.Sum256([]byte("扫描件"))
	p := &accessv1.ConsentAtCounter{FormDigest: form[:]}
	for _, person := range persons {
		signature, err := verify.Sign(person.Key, verify.ConsentStatement(w.Identity.Keyring.Origin(), catalogtest.Civil, digest[:], form[:]))
		must(w.t, err)
		p.Attestations = append(p.Attestations, &accessv1.Attestation{Person: person.Fingerprint[:], Signature: signature})
	}
	return &accessv1.ConsentProof{Means: &accessv1.ConsentProof_Counter{Counter: p}}
}

// stands asks how consents stand for a reading of incomes about a subject.
func (w *world) stands(subject *ledgerv1.Subject, family ...*ledgerv1.Subject) access.ConsentFacts {
	w.t.Helper()
	if len(family) == 0 {
		family = []*ledgerv1.Subject{subject}
	}
	t, err := w.Catalogue.Topic(topic)
	must(w.t, err)
	f, guards, err := w.consents.Facts(w.t.Context(), consent.Reading{
		Topic: t, Item: item, Recipient: catalogtest.Civil, Case: number, Subject: subject, Subjects: family,
	})
	must(w.t, err)
	if len(guards) == 0 && f.Standing != access.ConsentNotNeeded && f.Standing != access.ConsentNone {
		w.t.Errorf("a standing of %d is held by no guard", f.Standing)
	}
	return f
}

func (w *world) wantStanding(want access.ConsentStanding, subject *ledgerv1.Subject, family ...*ledgerv1.Subject) {
	w.t.Helper()
	if got := w.stands(subject, family...).Standing; got != want {
		w.t.Errorf("consent stands at %d, not %d", got, want)
	}
}

func wantRule(t testing.TB, err error, kind fault.Kind, rule string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind || fault.RuleOf(err) != rule {
		t.Errorf("%v of %q, not %v of %q: %v", fault.KindOf(err), fault.RuleOf(err), kind, rule, err)
	}
}

// representation is what civil affairs records, with changes.
func (w *world) representation(principal, representative *ledgerv1.Subject, kind accessv1.RepresentationKind, change ...func(*accessv1.Representation)) []byte {
	w.t.Helper()
	document := sha256.Sum256([]byte("户口簿"))
	m := &accessv1.Representation{
		Nonce: nonce(), LedgerOrigin: w.Identity.Keyring.Origin(), Principal: principal, Representative: representative, Kind: kind,
		Proof:     &accessv1.RepresentationProof{Document: "户口簿", Digest: document[:]},
		ValidFrom: w.day(0), ValidUntil: w.day(365),
	}
	for _, f := range change {
		f(m)
	}
	raw, err := proto.Marshal(m)
	must(w.t, err)
	return raw
}

// sign has a person of civil affairs sign a statement on a representation.
func (w *world) sign(p *catalogtest.Person, raw []byte) *accessv1.Attestation {
	w.t.Helper()
	signature, err := verify.Sign(p.Key, verify.RepresentationStatement(w.Identity.Keyring.Origin(), catalogtest.Civil, raw))
	must(w.t, err)
	return &accessv1.Attestation{Person: p.Fingerprint[:], Signature: signature}
}

// record records a representation and gives its digest.
func (w *world) record(raw []byte) []byte {
	w.t.Helper()
	r, err := w.consents.RegisterRepresentation(w.t.Context(), w.civil.Caller, &accessv1.RegisterRepresentationRequest{
		Representation: raw, Attestation: w.sign(w.clerk, raw),
	})
	must(w.t, err)
	return r.Representation.Digest
}

func (w *world) end(digest []byte) error {
	w.t.Helper()
	raw, err := proto.Marshal(&accessv1.RepresentationEnd{
		Nonce: nonce(), LedgerOrigin: w.Identity.Keyring.Origin(), Representation: digest, Reason: "监护关系变更",
	})
	must(w.t, err)
	_, err = w.consents.EndRepresentation(context.Background(), w.civil.Caller, &accessv1.EndRepresentationRequest{End: raw, Attestation: w.sign(w.head, raw)})
	return err
}

func entry(t testing.TB, leaf []byte) *ledgerv1.LedgerEntry {
	t.Helper()
	e := &ledgerv1.LedgerEntry{}
	must(t, proto.Unmarshal(leaf, e))
	return e
}

func page() catalog.Page { return catalog.Page{} }
