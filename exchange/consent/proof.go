package consent

import (
	"context"
	"crypto/sha256"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// The types of a signature by one's own key, as its header says.
const (
	typeConsent    = "huitong-consent"
	typeRevocation = "huitong-consent-revocation"
)

// statement is what somebody agreed to, and who may have.
type statement struct {
	raw    []byte
	digest [32]byte
	typ    string
	// recipient is whose officials attest what was signed on paper.
	recipient string
	signers   []*ledgerv1.Subject
}

// prove checks that one of the signers agreed to exactly these bytes, and says by
// what means.
func (c *Consents) prove(ctx context.Context, s *statement, p *accessv1.ConsentProof) (accessv1.ConsentMeans, error) {
	switch by := p.GetMeans().(type) {
	case *accessv1.ConsentProof_Token:
		return accessv1.ConsentMeans_CONSENT_MEANS_TOKEN, c.byToken(ctx, s, by.Token)
	case *accessv1.ConsentProof_Key:
		return accessv1.ConsentMeans_CONSENT_MEANS_KEY, c.byKey(ctx, s, by.Key)
	case *accessv1.ConsentProof_Counter:
		return accessv1.ConsentMeans_CONSENT_MEANS_COUNTER, c.atCounter(s, by.Counter)
	}
	return 0, fault.Field("proof", "proof.required", "shows that the subject agreed: a token, a signature or a form")
}

// meansText names means as the ledger does.
func meansText(m accessv1.ConsentMeans) string {
	switch m {
	case accessv1.ConsentMeans_CONSENT_MEANS_TOKEN:
		return "token"
	case accessv1.ConsentMeans_CONSENT_MEANS_KEY:
		return "key"
	}
	return "counter"
}

// vouch opens a token and checks that it names one of the signers.
func (c *Consents) vouch(ctx context.Context, s *statement, raw string) (*vouched, error) {
	token, issuer, err := parseToken(raw)
	if err != nil {
		return nil, err
	}
	p, err := c.provider(ctx, issuer)
	if err != nil {
		return nil, err
	}
	v, err := openToken(token, p, c.origin(), c.Clock())
	if err != nil {
		return nil, err
	}
	for _, signer := range s.signers {
		if same(v.subject, signer) {
			return v, nil
		}
	}
	return nil, refused("token.subject", "the token names somebody else than who has to agree")
}

func (c *Consents) byToken(ctx context.Context, s *statement, raw string) error {
	v, err := c.vouch(ctx, s, raw)
	if err == nil && v.nonce != nonceOf(s.digest) {
		err = refused("token.artefact", "the token was issued for something else: its nonce is not the SHA-256 of these bytes")
	}
	return err
}

func (c *Consents) byKey(ctx context.Context, s *statement, k *accessv1.ConsentByKey) error {
	v, err := c.vouch(ctx, s, k.GetToken())
	if err != nil {
		return err
	}
	if v.key == nil {
		return refused("key.missing", "the token vouches for no key: it has no claim cnf with a jwk")
	}
	return checkJWS(k.GetJws(), s.raw, v.key, s.typ)
}

// atCounter checks what two officials attest: that the subject signed the form
// whose scan they have.
func (c *Consents) atCounter(s *statement, p *accessv1.ConsentAtCounter) error {
	if len(p.GetFormDigest()) != sha256.Size {
		return fault.Field("proof.counter.form_digest", "form.digest", "is the SHA-256 of the scanned form, 32 bytes")
	}
	if len(p.GetAttestations()) != 2 {
		return fault.Field("proof.counter.attestations", "counter.number", "are those of two persons")
	}
	signed := verify.ConsentStatement(c.origin(), s.recipient, s.digest[:], p.FormDigest)
	var persons [2]*identity.Person
	clerk := false
	for i, a := range p.Attestations {
		var err error
		if persons[i], err = c.attested("proof.counter.attestations", s.recipient, signed, a); err != nil {
			return err
		}
		clerk = clerk || persons[i].Has(identity.Clerk)
	}
	switch {
	case persons[0].Fingerprint == persons[1].Fingerprint || persons[0].Reference == persons[1].Reference:
		return refused("counter.same_person", "one person signed twice; a second one has to")
	case !clerk:
		return refused("counter.clerk", "one of the two has to be a clerk")
	}
	return nil
}

// attested checks the signature of an official of a participant.
func (c *Consents) attested(field, participant string, signed []byte, a *accessv1.Attestation) (*identity.Person, error) {
	if len(a.GetPerson()) != sha256.Size {
		return nil, fault.Field(field+".person", "person.fingerprint", "is the SHA-256 of the person's public key, 32 bytes")
	}
	p, err := c.Catalogue.Person([32]byte(a.Person))
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return nil, err
	}
	return p, catalog.Signed(p, c.persons, participant, signed, a.Signature, identity.Clerk, identity.Handler, identity.Head)
}
