package consent_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// An operator registers providers, replaces their keys and suspends them; what
// was shown before stands.
func TestProvidersAreKept(t *testing.T) {
	w := newWorld(t)
	w.give(wang)
	p := &accessv1.IdentityProvider{Issuer: issuer, Title: "样例统一身份认证", Jwks: jwks(t, w.key.Public()), SubjectType: "111", TypeClaim: "id_type"}
	same, commit, err := w.consents.Put(t.Context(), w.ByOperator(), p)
	if err != nil || commit != nil || same.Version != 1 {
		t.Errorf("the repeat gave %v, %v, %v", same, commit, err)
	}
	_, _, err = w.consents.Put(t.Context(), catalog.Change{Actor: w.civil.Caller}, p)
	wantRule(t, err, fault.Denied, "role.operator")
	old := w.key
	w.key = newKey(t)
	w.register(issuer, w.key)
	raw := w.consent(li)
	w.given(raw, byToken(w.token(li, raw)))
	w.key = old
	raw = w.consent(li)
	_, err = w.consents.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: byToken(w.token(li, raw))})
	wantRule(t, err, fault.Denied, "consent.token.signature")
	_, _, err = w.consents.Suspend(t.Context(), w.ByOperator(), issuer, "密钥泄露")
	must(t, err)
	w.wantStanding(access.ConsentGiven, wang)
	list, err := w.consents.Providers(t.Context(), w.civil.Caller, page())
	if err != nil || len(list) != 1 || list[0].Version != 3 || list[0].Reason == "" {
		t.Errorf("%v, %v", list, err)
	}
	_, _, err = w.consents.Resume(t.Context(), w.ByOperator(), "https://nobody.example")
	wantRule(t, err, fault.NotFound, "identity_provider.unknown")
}

func set(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	must(t, err)
	return string(raw)
}

func TestProvidersThatCannotBe(t *testing.T) {
	w := newWorld(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	must(t, err)
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	far, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	must(t, err)
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	good := jose.JSONWebKey{Key: w.key.Public(), KeyID: "a"}
	for name, c := range map[string]struct {
		change func(p *accessv1.IdentityProvider)
		rule   string
	}{
		"no issuer":     {func(p *accessv1.IdentityProvider) { p.Issuer = "" }, "identity_provider.issuer"},
		"long issuer":   {func(p *accessv1.IdentityProvider) { p.Issuer = strings.Repeat("x", 600) }, "identity_provider.issuer"},
		"no type":       {func(p *accessv1.IdentityProvider) { p.SubjectType = "" }, "subject.type"},
		"no title":      {func(p *accessv1.IdentityProvider) { p.Title = " " }, "provider.title.required"},
		"no keys":       {func(p *accessv1.IdentityProvider) { p.Jwks = "" }, "identity_provider.jwks"},
		"empty set":     {func(p *accessv1.IdentityProvider) { p.Jwks = `{"keys":[]}` }, "identity_provider.keys"},
		"a private key": {func(p *accessv1.IdentityProvider) { p.Jwks = set(t, jose.JSONWebKey{Key: w.key, KeyID: "a"}) }, "identity_provider.key"},
		"a secret": {func(p *accessv1.IdentityProvider) {
			p.Jwks = set(t, jose.JSONWebKey{Key: []byte("0123456789abcdef"), KeyID: "a"})
		}, "identity_provider.key"},
		"a small key":   {func(p *accessv1.IdentityProvider) { p.Jwks = set(t, jose.JSONWebKey{Key: small.Public(), KeyID: "a"}) }, "identity_provider.key"},
		"another curve": {func(p *accessv1.IdentityProvider) { p.Jwks = set(t, jose.JSONWebKey{Key: far.Public(), KeyID: "a"}) }, "identity_provider.key"},
		"to encrypt":    {func(p *accessv1.IdentityProvider) { p.Jwks = set(t, jose.JSONWebKey{Key: w.key.Public(), Use: "enc"}) }, "identity_provider.key"},
		"by a secret": {func(p *accessv1.IdentityProvider) {
			p.Jwks = set(t, jose.JSONWebKey{Key: w.key.Public(), Algorithm: "HS256"})
		}, "identity_provider.key"},
		"one id twice": {func(p *accessv1.IdentityProvider) { p.Jwks = set(t, good, good) }, "identity_provider.key_id"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &accessv1.IdentityProvider{Issuer: "https://two.example.gov", Title: "第二", Jwks: set(t, good), SubjectType: "111"}
			c.change(p)
			_, _, err := w.consents.Put(t.Context(), w.ByOperator(), p)
			wantRule(t, err, fault.Invalid, c.rule)
		})
	}
	for id, key := range map[string]crypto.PublicKey{"rsa": large.Public(), "ed": edwards} {
		_, _, err := w.consents.Put(t.Context(), w.ByOperator(), &accessv1.IdentityProvider{
			Issuer: "https://" + id + ".example.gov", Title: id, Jwks: set(t, jose.JSONWebKey{Key: key, KeyID: id}), SubjectType: "111",
		})
		must(t, err)
	}
}
