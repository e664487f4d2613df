package inspect_test

import (
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
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/consent"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// consents records an identity provider, two representations of which one ends,
// and two consents of which one is revoked.
func (w *world) consents(t testing.TB, at map[string]uint64) {
	t.Helper()
	const issuer = "https://id.example.gov"
	origin := w.Identity.Keyring.Origin()
	clerk := w.Person(w.civil, "MZ-17", cataloguev1.Capacity_CAPACITY_CLERK)
	c := consent.New(consent.Config{DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Keyring: w.Identity.Keyring})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1"}}})
	must(t, err)
	_, _, err = c.Put(t.Context(), w.ByOperator(), &accessv1.IdentityProvider{Issuer: issuer, Title: "身份认证", Jwks: string(keys), SubjectType: "111"})
	must(t, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
	must(t, err)
	token := func(number string, raw []byte) *accessv1.ConsentProof {
		digest := sha256.Sum256(raw)
		claims, err := json.Marshal(map[string]any{
			"iss": issuer, "aud": origin, "sub": number, "exp": time.Now().Add(time.Hour).Unix(),
			"nonce": base64.RawURLEncoding.EncodeToString(digest[:]),
		})
		must(t, err)
		signed, err := signer.Sign(claims)
		must(t, err)
		text, err := signed.CompactSerialize()
		must(t, err)
		return &accessv1.ConsentProof{Means: &accessv1.ConsentProof_Token{Token: text}}
	}
	sign := func(raw []byte) *accessv1.Attestation {
		signature, err := verify.Sign(clerk.Key, verify.RepresentationStatement(origin, catalogtest.Civil, raw))
		must(t, err)
		return &accessv1.Attestation{Person: clerk.Fingerprint[:], Signature: signature}
	}
	encoded := func(m proto.Message) []byte {
		raw, err := proto.Marshal(m)
		must(t, err)
		return raw
	}
	parent, child := &ledgerv1.Subject{Type: "111", Number: "999999199001010016"}, &ledgerv1.Subject{Type: "111", Number: "999999201010200049"}
	today, later := access.Today(time.Now()), access.Today(time.Now().AddDate(0, 1, 0))
	var represented []byte
	for range 2 {
		raw := encoded(&accessv1.Representation{
			Nonce: random(32), LedgerOrigin: origin, Principal: child, Representative: parent,
			Kind:  accessv1.RepresentationKind_REPRESENTATION_KIND_GUARDIAN,
			Proof: &accessv1.RepresentationProof{Document: "户口簿", Digest: random(32)}, ValidFrom: today, ValidUntil: later,
		})
		r, err := c.RegisterRepresentation(t.Context(), w.civil.Caller, &accessv1.RegisterRepresentationRequest{Representation: raw, Attestation: sign(raw)})
		must(t, err)
		at["representation"], represented = r.Receipt.Index, r.Representation.Digest
	}
	var given []byte
	for range 2 {
		raw := encoded(&accessv1.Consent{
			Nonce: random(32), LedgerOrigin: origin, Subject: child, Recipient: catalogtest.Civil, Representation: represented,
			Topics: []*accessv1.ConsentedTopic{{Topic: people}}, ServiceItems: []string{item}, ValidFrom: today, ValidUntil: later,
		})
		r, err := c.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: token(parent.Number, raw)})
		must(t, err)
		at["consent given"], given = r.Receipt.Index, r.Consent.Digest
	}
	raw := encoded(&accessv1.ConsentRevocation{Nonce: random(32), LedgerOrigin: origin, Consent: given})
	r, err := c.Revoke(t.Context(), w.civil.Caller, &accessv1.RevokeConsentRequest{Revocation: raw, Proof: token(parent.Number, raw)})
	must(t, err)
	at["consent revoked"] = r.Receipt.Index
	raw = encoded(&accessv1.RepresentationEnd{Nonce: random(32), LedgerOrigin: origin, Representation: represented, Reason: "监护关系变更"})
	_, err = c.EndRepresentation(t.Context(), w.civil.Caller, &accessv1.EndRepresentationRequest{End: raw, Attestation: sign(raw)})
	must(t, err)
}
