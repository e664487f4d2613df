package consent

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// algorithms are those that a signature may be made by: none that needs a shared
// secret, and not "none".
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.RS256, jose.PS256, jose.EdDSA}

const (
	// maxToken bounds a token or signature, in bytes.
	maxToken = 16 << 10
	// skew is by how much a provider's clock may be ahead.
	skew = time.Minute
	// minRSA is the least size of an RSA key, in bits.
	minRSA = 2048
)

// claims are those of a token that the exchange looks at (RFC 7519, section 4.1;
// "nonce" of OpenID Connect Core 1.0, section 2; "cnf" of RFC 7800).
type claims struct {
	jwt.Claims
	Nonce        string `json:"nonce"`
	Confirmation struct {
		JWK json.RawMessage `json:"jwk"`
	} `json:"cnf"`
}

// vouched is what a token that checks says.
type vouched struct {
	subject *ledgerv1.Subject
	nonce   string
	// key is the one that it vouches for; nil if none.
	key *jose.JSONWebKey
}

// nonceOf gives the claim that binds a token to what was agreed.
func nonceOf(digest [32]byte) string { return base64.RawURLEncoding.EncodeToString(digest[:]) }

func refused(rule, message string) error {
	return fault.New(fault.Denied, "consent."+rule, "%s", message)
}

// parseToken decodes a token without believing it, and gives its issuer.
func parseToken(raw string) (token *jwt.JSONWebToken, issuer string, err error) {
	if len(raw) > maxToken {
		return nil, "", fault.Field("proof.token", "consent.token.size", "has more than %d bytes", maxToken)
	}
	token, err = jwt.ParseSigned(raw, algorithms)
	if wrongAlgorithm(err) {
		return nil, "", refused("token.algorithm", "the token is not signed by an algorithm that the exchange takes: ES256, ES384, RS256, PS256 or EdDSA")
	}
	if err != nil || len(token.Headers) != 1 {
		return nil, "", fault.Field("proof.token", "consent.token.broken", "is no signed JWT in its compact form")
	}
	var said jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&said); err != nil {
		return nil, "", errClaims()
	}
	return token, said.Issuer, nil
}

func errClaims() error {
	return fault.Field("proof.token", "consent.token.broken", "has claims that do not decode")
}

func wrongAlgorithm(err error) bool {
	var unexpected *jose.ErrUnexpectedSignatureAlgorithm
	return errors.As(err, &unexpected)
}

// openToken checks a token of a provider: signature, audience and times.
func openToken(token *jwt.JSONWebToken, p *provider, origin string, now time.Time) (*vouched, error) {
	header := token.Headers[0]
	key := p.key(header.KeyID)
	if key == nil || key.Algorithm != "" && key.Algorithm != header.Algorithm {
		return nil, refused("token.key", "the token is signed by a key that its identity provider has not registered")
	}
	var said claims
	var all map[string]any
	if token.Claims(key.Key) != nil {
		return nil, refused("token.signature", "the token's signature is not by the key that it names")
	}
	if token.Claims(key.Key, &said, &all) != nil {
		return nil, errClaims()
	}
	switch {
	case !said.Audience.Contains(origin):
		return nil, refused("token.audience", "the token is for somebody else than this exchange")
	case said.Expiry == nil || !now.Before(said.Expiry.Time()):
		return nil, refused("token.expired", "the token has expired, or does not say when it does")
	case said.NotBefore != nil && now.Add(skew).Before(said.NotBefore.Time()),
		said.IssuedAt != nil && now.Add(skew).Before(said.IssuedAt.Time()):
		return nil, refused("token.not_yet_valid", "the token is not valid yet")
	}
	v := &vouched{nonce: said.Nonce}
	var err error
	if v.subject, err = p.subject(all); err != nil {
		return nil, err
	}
	if len(said.Confirmation.JWK) > 0 {
		v.key, err = publicKey(said.Confirmation.JWK)
	}
	return v, err
}

// subject reads whom a token's claims name.
func (p *provider) subject(all map[string]any) (*ledgerv1.Subject, error) {
	kind, claim := p.message.SubjectType, p.message.NumberClaim
	if claim == "" {
		claim = "sub"
	}
	if said, ok := all[p.message.TypeClaim].(string); ok && p.message.TypeClaim != "" {
		kind = said
	}
	number, _ := all[claim].(string)
	number, err := contract.Normalise(kind, number)
	if err != nil {
		return nil, refused("token.subject", "the token does not name a person as its identity provider does")
	}
	return &ledgerv1.Subject{Type: kind, Number: number}, nil
}

// publicKey reads the key that a token vouches for.
func publicKey(raw []byte) (*jose.JSONWebKey, error) {
	k := &jose.JSONWebKey{}
	if k.UnmarshalJSON(raw) != nil || checkKey(k) != nil {
		return nil, refused("key.unfit", "the key that the token vouches for is no public key that the exchange takes")
	}
	return k, nil
}

// checkKey refuses a key that may not verify.
func checkKey(k *jose.JSONWebKey) error {
	if !k.Valid() || !k.IsPublic() {
		return errors.New("is no public key")
	}
	if k.Use != "" && k.Use != "sig" || k.Algorithm != "" && !slices.Contains(algorithms, jose.SignatureAlgorithm(k.Algorithm)) {
		return errors.New("is not for signatures of ES256, ES384, RS256, PS256 or EdDSA")
	}
	switch key := k.Key.(type) {
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
			return errors.New("is on another curve than P-256 or P-384")
		}
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSA {
			return errors.New("is an RSA key of less than 2,048 bits")
		}
	case ed25519.PublicKey:
	default:
		return errors.New("is none of RSA, EC and Ed25519")
	}
	return nil
}

// checkJWS checks a detached signature over the bytes by the key that is vouched
// for. The header's type says what the signature is meant for.
func checkJWS(jws string, raw []byte, key *jose.JSONWebKey, typ string) error {
	if len(jws) > maxToken {
		return fault.Field("proof.key.jws", "consent.jws.size", "has more than %d bytes", maxToken)
	}
	signed, err := jose.ParseDetached(jws, raw, algorithms)
	if wrongAlgorithm(err) {
		return refused("jws.algorithm", "the signature is not by an algorithm that the exchange takes: ES256, ES384, RS256, PS256 or EdDSA")
	}
	if err != nil || len(signed.Signatures) != 1 {
		return fault.Field("proof.key.jws", "consent.jws.broken", "is no JWS in its compact form with detached content")
	}
	if said, _ := signed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string); said != typ {
		return refused("jws.type", "the signature is meant for something else")
	}
	if err := signed.DetachedVerify(raw, key.Key); err != nil {
		return refused("jws.signature", "the signature is not by the key that is vouched for, over these bytes")
	}
	return nil
}

// same compares two subjects, whatever their roles.
func same(a, b *ledgerv1.Subject) bool {
	return a.GetType() == b.GetType() && a.GetNumber() == b.GetNumber()
}

// provider is an identity provider with its keys.
type provider struct {
	message *accessv1.IdentityProvider
	keys    jose.JSONWebKeySet
}

// key finds the key of a token; a provider with one key need not name it.
func (p *provider) key(id string) *jose.JSONWebKey {
	for i := range p.keys.Keys {
		if p.keys.Keys[i].KeyID == id || id == "" && len(p.keys.Keys) == 1 {
			return &p.keys.Keys[i]
		}
	}
	return nil
}
