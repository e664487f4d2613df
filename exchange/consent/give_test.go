package consent_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// A consent counts by each means from the moment it is given until it is
// revoked; a repeat changes nothing, and what was revoked is not given again.
func TestConsentIsGivenAndRevoked(t *testing.T) {
	w := newWorld(t)
	own := newKey(t)
	for name, prove := range map[string]struct {
		give, revoke func(raw []byte) *accessv1.ConsentProof
		weaker       bool
	}{
		"token": {
			func(raw []byte) *accessv1.ConsentProof { return byToken(w.token(wang, raw)) },
			func(raw []byte) *accessv1.ConsentProof { return byToken(w.token(wang, raw)) }, false,
		},
		"key": {
			func(raw []byte) *accessv1.ConsentProof {
				return byKey(jws(t, own, "huitong-consent", raw), w.vouching(wang, own))
			},
			func(raw []byte) *accessv1.ConsentProof {
				return byKey(jws(t, own, "huitong-consent-revocation", raw), w.vouching(wang, own))
			}, false,
		},
		"counter": {
			func(raw []byte) *accessv1.ConsentProof { return w.attest(raw, w.clerk, w.head) },
			func(raw []byte) *accessv1.ConsentProof { return w.attest(raw, w.head, w.clerk) }, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			raw := w.consent(wang)
			first := w.given(raw, prove.give(raw))
			facts := w.stands(wang)
			if facts.Standing != access.ConsentGiven || facts.Weaker != prove.weaker || len(facts.Digests) != 1 || !bytes.Equal(facts.Digests[0], first.Consent.Digest) {
				t.Fatalf("the consent stands as %+v", facts)
			}
			again := w.given(raw, prove.give(raw))
			if !again.Receipt.Repeat || again.Receipt.Index != first.Receipt.Index || !bytes.Equal(again.Receipt.Leaf, first.Receipt.Leaf) {
				t.Errorf("the repeat gave %v, not %v", again.Receipt, first.Receipt)
			}
			revocation := w.revocation(first.Consent.Digest)
			request := &accessv1.RevokeConsentRequest{Revocation: revocation, Proof: prove.revoke(revocation)}
			ended, err := w.consents.Revoke(t.Context(), w.civil.Caller, request)
			must(t, err)
			if ended.Consent.State != accessv1.ConsentState_CONSENT_STATE_REVOKED {
				t.Errorf("it is %v", ended.Consent.State)
			}
			repeated, err := w.consents.Revoke(t.Context(), w.civil.Caller, request)
			if err != nil || !repeated.Receipt.Repeat || repeated.Receipt.Index != ended.Receipt.Index {
				t.Errorf("the repeat gave %v, %v", repeated, err)
			}
			w.wantStanding(access.ConsentRevoked, wang)
			_, err = w.consents.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: prove.give(raw)})
			wantRule(t, err, fault.Denied, "consent.revoked")
		})
	}
}

// What a leaf says of consents links none of a subject, and names nobody.
func TestLeavesOfConsentsAreNotLinked(t *testing.T) {
	w := newWorld(t)
	var seen [][]byte
	for range 2 {
		r := w.give(wang)
		e := &ledgerv1.LedgerEntry{}
		must(t, proto.Unmarshal(r.Receipt.Leaf, e))
		g := e.GetConsentGiven()
		for _, c := range [][]byte{g.ConsentCommitment, g.SubjectCommitment} {
			for _, other := range seen {
				if bytes.Equal(c, other) {
					t.Error("two entries share a commitment")
				}
			}
			seen = append(seen, c)
		}
		if bytes.Contains(r.Receipt.Leaf, []byte(wang.Number)) || g.Means != "token" || g.Recipient != catalogtest.Civil {
			t.Errorf("the leaf says %v", e)
		}
	}
}

func none(t *testing.T, c claims) string {
	t.Helper()
	raw, err := json.Marshal(c)
	must(t, err)
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"none","kid":"k1"}`)) + "." + enc(raw) + "."
}

// Every token that shows something else than the subject's agreement to exactly
// this consent is refused by a rule of its own.
func TestTokensThatShowNothing(t *testing.T) {
	w := newWorld(t)
	other := newKey(t)
	w.register("https://suspended.example.gov", other)
	_, _, err := w.consents.Suspend(t.Context(), w.ByOperator(), "https://suspended.example.gov", "核查")
	must(t, err)
	raw, elsewhere := w.consent(wang), w.consent(wang)
	good := w.token(wang, raw)
	with := func(f func(c claims)) string { return w.token(wang, raw, f) }
	var plain claims
	w.token(wang, raw, func(c claims) { plain = c })
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	public, err := json.Marshal(jose.JSONWebKey{Key: w.key.Public(), KeyID: "k1"})
	must(t, err)
	for name, c := range map[string]struct {
		token, rule string
		kind        fault.Kind
	}{
		"another artefact":        {w.token(wang, elsewhere), "consent.token.artefact", fault.Denied},
		"no nonce":                {with(func(c claims) { delete(c, "nonce") }), "consent.token.artefact", fault.Denied},
		"another person":          {w.token(li, raw), "consent.token.subject", fault.Denied},
		"no person":               {with(func(c claims) { delete(c, "sub") }), "consent.token.subject", fault.Denied},
		"a number as a number":    {with(func(c claims) { c["sub"] = 7 }), "consent.token.broken", fault.Invalid},
		"a nonce as a number":     {with(func(c claims) { c["nonce"] = 7 }), "consent.token.broken", fault.Invalid},
		"expired":                 {with(func(c claims) { c["exp"] = time.Now().Add(-time.Second).Unix() }), "consent.token.expired", fault.Denied},
		"without an end":          {with(func(c claims) { delete(c, "exp") }), "consent.token.expired", fault.Denied},
		"not yet valid":           {with(func(c claims) { c["nbf"] = time.Now().Add(time.Hour).Unix() }), "consent.token.not_yet_valid", fault.Denied},
		"issued in the future":    {with(func(c claims) { c["iat"] = time.Now().Add(time.Hour).Unix() }), "consent.token.not_yet_valid", fault.Denied},
		"another audience":        {with(func(c claims) { c["aud"] = "another" }), "consent.token.audience", fault.Denied},
		"unknown issuer":          {with(func(c claims) { c["iss"] = "https://evil.example" }), "consent.token.issuer", fault.Denied},
		"suspended issuer":        {with(func(c claims) { c["iss"] = "https://suspended.example.gov" }), "consent.token.issuer", fault.Denied},
		"no issuer":               {with(func(c claims) { delete(c, "iss") }), "consent.token.issuer", fault.Denied},
		"unknown key":             {signedBy(t, jose.ES256, jose.JSONWebKey{Key: other, KeyID: "k2"}, plain), "consent.token.key", fault.Denied},
		"another key by its name": {signed(t, other, plain), "consent.token.signature", fault.Denied},
		"another algorithm":       {signedBy(t, jose.RS256, jose.JSONWebKey{Key: rsaKey, KeyID: "k1"}, plain), "consent.token.key", fault.Denied},
		"none":                    {none(t, plain), "consent.token.algorithm", fault.Denied},
		"HS256 by the public key": {signedBy(t, jose.HS256, jose.JSONWebKey{Key: public, KeyID: "k1"}, plain), "consent.token.algorithm", fault.Denied},
		"cut":                     {good[:len(good)-4], "consent.token.signature", fault.Denied},
		"no token":                {"x", "consent.token.broken", fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.consents.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: byToken(c.token)})
			wantRule(t, err, c.kind, c.rule)
		})
	}
	w.wantStanding(access.ConsentNone, wang)
}

// Signatures of one's own key need one that the provider vouches for, over these
// bytes, meant for this.
func TestSignaturesThatShowNothing(t *testing.T) {
	w := newWorld(t)
	own, other := newKey(t), newKey(t)
	raw := w.consent(wang)
	good := jws(t, own, "huitong-consent", raw)
	hmac, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte("0123456789abcdef0123456789abcdef")}, nil)
	must(t, err)
	symmetric, err := hmac.Sign(raw)
	must(t, err)
	weak, err := symmetric.DetachedCompactSerialize()
	must(t, err)
	for name, c := range map[string]struct {
		proof *accessv1.ConsentProof
		rule  string
	}{
		"another key":           {byKey(jws(t, other, "huitong-consent", raw), w.vouching(wang, own)), "consent.jws.signature"},
		"other bytes":           {byKey(jws(t, own, "huitong-consent", w.consent(wang)), w.vouching(wang, own)), "consent.jws.signature"},
		"for something else":    {byKey(jws(t, own, "JWT", raw), w.vouching(wang, own)), "consent.jws.type"},
		"a revocation":          {byKey(jws(t, own, "huitong-consent-revocation", raw), w.vouching(wang, own)), "consent.jws.type"},
		"a shared secret":       {byKey(weak, w.vouching(wang, own)), "consent.jws.algorithm"},
		"vouched for another":   {byKey(good, w.vouching(li, own)), "consent.token.subject"},
		"no key vouched for":    {byKey(good, w.token(wang, raw)), "consent.key.missing"},
		"a private key vouched": {byKey(good, w.vouching(wang, own, func(c claims) { c["cnf"] = map[string]any{"jwk": jose.JSONWebKey{Key: own}} })), "consent.key.unfit"},
		"vouched until before":  {byKey(good, w.vouching(wang, own, func(c claims) { c["exp"] = time.Now().Add(-time.Minute).Unix() })), "consent.token.expired"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.consents.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: c.proof})
			wantRule(t, err, fault.Denied, c.rule)
		})
	}
}

// At a counter two officials attest, one of them a clerk.
func TestFormsThatShowNothing(t *testing.T) {
	w := newWorld(t)
	second := w.Person(w.civil, "MZ-03", cataloguev1.Capacity_CAPACITY_HANDLER)
	gone := w.Person(w.civil, "MZ-04", cataloguev1.Capacity_CAPACITY_CLERK)
	_, _, err := w.Catalogue.SuspendPerson(t.Context(), w.ByOperator(), gone.Fingerprint[:], "调离")
	must(t, err)
	stranger := w.Person(w.housing, "ZJ-01", cataloguev1.Capacity_CAPACITY_CLERK)
	raw := w.consent(wang)
	forged := w.attest(raw, w.clerk, w.head)
	forged.GetCounter().Attestations[1].Signature = forged.GetCounter().Attestations[0].Signature
	swapped := w.attest(raw, w.clerk, w.head)
	swapped.GetCounter().FormDigest = bytes.Repeat([]byte{1}, 32)
	for name, c := range map[string]struct {
		proof *accessv1.ConsentProof
		rule  string
		kind  fault.Kind
	}{
		"one person twice": {w.attest(raw, w.clerk, w.clerk), "consent.counter.same_person", fault.Denied},
		"no clerk":         {w.attest(raw, second, w.head), "consent.counter.clerk", fault.Denied},
		"one alone":        {w.attest(raw, w.clerk), "counter.number", fault.Invalid},
		"suspended":        {w.attest(raw, w.clerk, gone), "person.inactive", fault.Denied},
		"of another":       {w.attest(raw, w.clerk, stranger), "person.unknown", fault.Denied},
		"another's name":   {forged, "person.signature", fault.Denied},
		"another form":     {swapped, "person.signature", fault.Denied},
		"another consent":  {w.attest(w.consent(wang), w.clerk, w.head), "person.signature", fault.Denied},
		"nothing at all":   {&accessv1.ConsentProof{}, "proof.required", fault.Invalid},
		"no proof":         {nil, "proof.required", fault.Invalid},
		"an empty token":   {byToken(""), "consent.token.broken", fault.Invalid},
		"an empty key":     {byKey("", w.vouching(wang, newKey(t))), "consent.jws.broken", fault.Invalid},
		"an empty counter": {&accessv1.ConsentProof{Means: &accessv1.ConsentProof_Counter{}}, "form.digest", fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.consents.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: c.proof})
			wantRule(t, err, c.kind, c.rule)
		})
	}
}

// What the consent itself says may refuse it, whoever signed.
func TestConsentsThatCannotBe(t *testing.T) {
	w := newWorld(t)
	set := func(f func(m *accessv1.Consent)) []byte { return w.consent(wang, f) }
	unknown := append(w.consent(wang), 0xfa, 0x07, 0x01, 'x') // field 127
	for name, c := range map[string]struct {
		raw  []byte
		rule string
		kind fault.Kind
	}{
		"another recipient":    {set(func(m *accessv1.Consent) { m.Recipient = catalogtest.Housing }), "consent.recipient", fault.Denied},
		"another exchange":     {set(func(m *accessv1.Consent) { m.LedgerOrigin = "another" }), "consent.ledger", fault.Denied},
		"past":                 {set(func(m *accessv1.Consent) { m.ValidFrom, m.ValidUntil = "2020-01-01", "2020-12-31" }), "consent.expired", fault.Denied},
		"a child's own":        {w.consent(child), "consent.minor", fault.Denied},
		"for nobody on record": {set(func(m *accessv1.Consent) { m.Representation = bytes.Repeat([]byte{7}, 32) }), "consent.representation.unknown", fault.Denied},
		"nothing":              {nil, "artefact.required", fault.Invalid},
		"no message":           {[]byte("\xff"), "artefact.broken", fault.Invalid},
		"unknown fields":       {unknown, "artefact.unknown", fault.Invalid},
		"short nonce":          {set(func(m *accessv1.Consent) { m.Nonce = []byte("x") }), "nonce.size", fault.Invalid},
		"no subject":           {set(func(m *accessv1.Consent) { m.Subject = nil }), "subject.required", fault.Invalid},
		"wrong number":         {set(func(m *accessv1.Consent) { m.Subject = &ledgerv1.Subject{Type: "111", Number: "999999199001010017"} }), "identifier.resident_id", fault.Invalid},
		"other spelling":       {set(func(m *accessv1.Consent) { m.Subject = &ledgerv1.Subject{Type: "414", Number: "e1234567"} }), "subject.spelling", fault.Invalid},
		"read backwards":       {set(func(m *accessv1.Consent) { m.CaseNumber = "SF\u202e-1" }), "case_number.text", fault.Invalid},
		"no topics":            {set(func(m *accessv1.Consent) { m.Topics = nil }), "scope.number", fault.Invalid},
		"topic twice":          {set(func(m *accessv1.Consent) { m.Topics = append(m.Topics, m.Topics[0]) }), "scope.twice", fault.Invalid},
		"unknown topic":        {set(func(m *accessv1.Consent) { m.Topics[0].Topic = "nothing" }), "topic.unknown", fault.Invalid},
		"unknown field":        {set(func(m *accessv1.Consent) { m.Topics[0].Fields = []string{"nothing"} }), "field.unknown", fault.Invalid},
		"no items":             {set(func(m *accessv1.Consent) { m.ServiceItems = nil }), "scope.number", fault.Invalid},
		"no such day":          {set(func(m *accessv1.Consent) { m.ValidFrom = "2026-02-30" }), "date", fault.Invalid},
		"without end":          {set(func(m *accessv1.Consent) { m.ValidUntil = "" }), "date", fault.Invalid},
		"end before start":     {set(func(m *accessv1.Consent) { m.ValidFrom, m.ValidUntil = "2030-01-02", "2030-01-01" }), "period", fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.consents.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: c.raw, Proof: byToken(w.token(wang, c.raw))})
			wantRule(t, err, c.kind, c.rule)
		})
	}
}

// A revocation shows that the subject, and nobody else, wants this consent ended.
func TestRevocationsThatShowNothing(t *testing.T) {
	w := newWorld(t)
	digest := w.give(wang).Consent.Digest
	raw := w.revocation(digest)
	try := func(by *catalogtest.System, raw []byte, proof *accessv1.ConsentProof) error {
		_, err := w.consents.Revoke(t.Context(), by.Caller, &accessv1.RevokeConsentRequest{Revocation: raw, Proof: proof})
		return err
	}
	wantRule(t, try(w.civil, raw, byToken(w.token(li, raw))), fault.Denied, "consent.token.subject")
	wantRule(t, try(w.civil, raw, byToken(w.token(wang, w.revocation(digest)))), fault.Denied, "consent.token.artefact")
	wantRule(t, try(w.civil, w.revocation(bytes.Repeat([]byte{1}, 32)), byToken(w.token(wang, raw))), fault.NotFound, "consent.unknown")
	wantRule(t, try(w.civil, nil, nil), fault.Invalid, "revocation.required")
	// Another department takes no form for it, but the subject may go there itself.
	wantRule(t, try(w.housing, raw, w.attest(raw, w.clerk, w.head)), fault.NotFound, "consent.unknown")
	w.wantStanding(access.ConsentGiven, wang)
	must(t, try(w.housing, raw, byToken(w.token(wang, raw))))
	w.wantStanding(access.ConsentRevoked, wang)
	// It stays its recipient's alone.
	_, err := w.consents.Get(t.Context(), w.housing.Caller, digest)
	wantRule(t, err, fault.NotFound, "consent.unknown")
	got, err := w.consents.Get(t.Context(), w.civil.Caller, digest)
	if err != nil || got.Consent.Subject.Number != wang.Number || got.State != accessv1.ConsentState_CONSENT_STATE_REVOKED {
		t.Errorf("%v, %v", got, err)
	}
}

// A dry run checks all of it and writes nothing.
func TestADryRunGivesNothing(t *testing.T) {
	w := newWorld(t)
	raw := w.consent(wang)
	before := w.Journal.Head().Size
	_, err := w.consents.Give(t.Context(), w.civil.Caller, &accessv1.GiveConsentRequest{Artefact: raw, Proof: byToken(w.token(wang, raw)), ValidateOnly: true})
	must(t, err)
	if w.Journal.Head().Size != before {
		t.Error("a dry run wrote")
	}
	w.wantStanding(access.ConsentNone, wang)
}

// Only department systems keep consents; only operators keep providers.
func TestWhoKeepsConsents(t *testing.T) {
	w := newWorld(t)
	raw := w.consent(wang)
	_, err := w.consents.Give(t.Context(), w.Operator, &accessv1.GiveConsentRequest{Artefact: raw, Proof: byToken(w.token(wang, raw))})
	wantRule(t, err, fault.Denied, "role.department")
	_, err = w.consents.Get(t.Context(), w.Operator, bytes.Repeat([]byte{1}, 32))
	wantRule(t, err, fault.Denied, "role.department")
}
