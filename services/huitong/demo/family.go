package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// issuer is the city's identity provider.
const issuer = "https://id.shifan.example"

// hallClerk attests at the counter, beside the hall's head.
const hallClerk = "窗口-017"

// adults are those of the family that applies: the couple and an elder who lives
// with them.
func (s *story) adults() []*sample.Person {
	earned := map[string]int64{}
	for _, i := range s.city.Incomes() {
		earned[i.IdNumber] += i.GrossFen
	}
	family := s.city.Families[0].Adults()
	for _, f := range s.city.Families[1:] {
		if earned[f.Holder.Number] <= subsidyFen {
			return append(family, f.Holder)
		}
	}
	return family
}

func (s *story) openCase(ctx context.Context) error {
	var others []string
	for _, p := range s.adults()[1:] {
		others = append(others, p.Number)
	}
	return s.hall.Open(ctx, clerk, caseNumber, s.applicant().Number, others...)
}

// family plays the consents of three adults, each given in another way, and the
// check that needs all of them.
func family(ctx context.Context, s *story) error {
	if err := s.openCase(ctx); err != nil {
		return err
	}
	if _, err := s.check(ctx, s.applicant()); fault.RuleOf(err) != "consent.required" {
		return fmt.Errorf("an income was checked without consent: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := s.trust(ctx, key); err != nil {
		return err
	}
	people := s.adults()
	if err := s.consentByToken(ctx, key, people[0]); err != nil {
		return err
	}
	s.tell("%s consents: a token of %s over the very bytes", people[0].Name, issuer)
	if err := s.consentByKey(ctx, key, people[1]); err != nil {
		return err
	}
	s.tell("%s consents with a key of her or his own, which the provider vouches for", people[1].Name)
	if _, err := s.check(ctx, s.applicant()); fault.RuleOf(err) != "consent.every_adult" {
		return fmt.Errorf("an income was checked without the consent of every adult: %w", err)
	}
	s.tell("a check is still refused: consent.every_adult")
	if err := s.consentAtCounter(ctx, people[2]); err != nil {
		return err
	}
	s.tell("%s, who lives with them, signs a form at the counter; two officials attest it, and it is marked the weaker", people[2].Name)
	for _, p := range people {
		answer, err := s.check(ctx, p)
		if err != nil {
			return err
		}
		if answer.Answer != sdk.CheckYes && answer.Answer != sdk.CheckNotHeld || p == s.applicant() && answer.Answer != sdk.CheckYes {
			return fmt.Errorf("%s: %s", p.Name, answer.Answer)
		}
		s.tell("%s %-8s entry %s", column("income of "+p.Name+" not above the limit?", 44), answer.Answer, count(answer.Receipt.Index))
	}
	s.tell("no amount left the register; the ledger holds a commitment to each answer")
	return nil
}

func (s *story) check(ctx context.Context, p *sample.Person) (*sdk.Checked, error) {
	return s.systems.hall.Check(ctx, sdk.Check{
		Topic: departments.Incomes, Name: "income-under", Threshold: "subsidy", Subject: sdk.Subject{Type: "111", Number: p.Number},
		Acting: sdk.Acting{Person: clerk, Purpose: departments.HardshipSubsidy, Case: caseNumber},
	})
}

// trust registers the identity provider; the operator does.
func (s *story) trust(ctx context.Context, key *ecdsa.PrivateKey) error {
	jwks, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		return err
	}
	_, err = accessv1.NewIdentityProviderServiceClient(s.exchange.Client.Conn()).PutIdentityProvider(ctx, &accessv1.PutIdentityProviderRequest{
		Provider: &accessv1.IdentityProvider{Issuer: issuer, Title: "示范市统一身份认证", Jwks: string(jwks), SubjectType: "111"},
	})
	return fault.FromStatus(err)
}

// artefact is what a person signs: the exact bytes.
func (s *story) artefact(p *sample.Person) ([]byte, error) {
	nonce := make([]byte, 32)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return proto.Marshal(&accessv1.Consent{
		Nonce: nonce, LedgerOrigin: s.systems.hall.Origin(), Subject: &ledgerv1.Subject{Type: "111", Number: p.Number},
		Topics: []*accessv1.ConsentedTopic{{Topic: departments.Incomes}}, Recipient: sample.ServiceHall.Code,
		ServiceItems: []string{departments.HardshipSubsidy}, CaseNumber: caseNumber,
		ValidFrom: s.now().Format(time.DateOnly), ValidUntil: s.now().AddDate(0, 1, 0).Format(time.DateOnly),
	})
}

func (s *story) give(ctx context.Context, artefact []byte, proof *accessv1.ConsentProof) error {
	answer, err := accessv1.NewConsentServiceClient(s.systems.hall.Conn()).GiveConsent(ctx, &accessv1.GiveConsentRequest{Artefact: artefact, Proof: proof})
	if err == nil && answer.Consent.State != accessv1.ConsentState_CONSENT_STATE_GIVEN {
		return errors.New("a consent was given and does not stand")
	}
	return fault.FromStatus(err)
}

// token is the identity provider's, with more claims.
func (s *story) token(key *ecdsa.PrivateKey, p *sample.Person, more map[string]any) (string, error) {
	claims := map[string]any{
		"iss": issuer, "aud": s.systems.hall.Origin(), "sub": p.Number, "iat": s.now().Unix(), "exp": s.now().Add(5 * time.Minute).Unix(),
	}
	for name, value := range more {
		claims[name] = value
	}
	raw, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(raw)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (s *story) consentByToken(ctx context.Context, key *ecdsa.PrivateKey, p *sample.Person) error {
	artefact, err := s.artefact(p)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(artefact)
	token, err := s.token(key, p, map[string]any{"nonce": base64.RawURLEncoding.EncodeToString(digest[:])})
	if err != nil {
		return err
	}
	return s.give(ctx, artefact, &accessv1.ConsentProof{Means: &accessv1.ConsentProof_Token{Token: token}})
}

func (s *story) consentByKey(ctx context.Context, provider *ecdsa.PrivateKey, p *sample.Person) error {
	artefact, err := s.artefact(p)
	if err != nil {
		return err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	token, err := s.token(provider, p, map[string]any{"cnf": map[string]any{"jwk": jose.JSONWebKey{Key: own.Public()}}})
	if err != nil {
		return err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: own}, (&jose.SignerOptions{}).WithType("huitong-consent"))
	if err != nil {
		return err
	}
	signed, err := signer.Sign(artefact)
	if err != nil {
		return err
	}
	jws, err := signed.DetachedCompactSerialize()
	if err != nil {
		return err
	}
	return s.give(ctx, artefact, &accessv1.ConsentProof{Means: &accessv1.ConsentProof_Key{Key: &accessv1.ConsentByKey{Jws: jws, Token: token}}})
}

func (s *story) consentAtCounter(ctx context.Context, p *sample.Person) error {
	if err := s.official(ctx, s.systems.hall, hallClerk, sdk.AsClerk); err != nil {
		return err
	}
	artefact, err := s.artefact(p)
	if err != nil {
		return err
	}
	digest, form := sha256.Sum256(artefact), sha256.Sum256([]byte("授权书扫描件"))
	counter := &accessv1.ConsentAtCounter{FormDigest: form[:]}
	for _, official := range []string{hallClerk, hallHead} {
		signature, err := s.keys[official].Sign(verify.ConsentStatement(s.systems.hall.Origin(), sample.ServiceHall.Code, digest[:], form[:]))
		if err != nil {
			return err
		}
		fingerprint := s.keys[official].Fingerprint()
		counter.Attestations = append(counter.Attestations, &accessv1.Attestation{Person: fingerprint[:], Signature: signature})
	}
	return s.give(ctx, artefact, &accessv1.ConsentProof{Means: &accessv1.ConsentProof_Counter{Counter: counter}})
}
