package identity

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
)

// Capacity is what a person may sign for its participant, as it stands in the
// ledger.
type Capacity string

// The capacities.
const (
	Handler Capacity = "handler"
	Head    Capacity = "head"
	Clerk   Capacity = "clerk"
)

// Person is an official that a participant enrolled.
type Person struct {
	// Fingerprint is the SHA-256 of the public key (PKIX, DER).
	Fingerprint [32]byte
	Participant string
	// Reference is the token of participant and staff reference: two keys with
	// the same one are of the same official.
	Reference  string
	Capacities []Capacity
	// Active: neither suspended nor removed.
	Active bool
	// PublicKey is the enrolled key.
	PublicKey crypto.PublicKey
}

// Has says whether a person may sign in a capacity.
func (p *Person) Has(c Capacity) bool {
	for _, have := range p.Capacities {
		if have == c {
			return true
		}
	}
	return false
}

// PersonVerifier is how the exchange knows that a person took part in something.
//
// Verify gives nil if the proof shows that the person, and nobody else, agreed to
// exactly these bytes. It depends on its arguments alone, so that it gives the
// same answer inside a transaction that is tried again, and to an auditor years
// later: whoever brings in sign-in by an identity provider lets the proof carry
// the provider's signed assertion over the statement's digest, and keeps the
// provider's keys in the ledger as the persons' are now.
type PersonVerifier interface {
	Verify(p *Person, statement, proof []byte) error
}

// EnrolledKey verifies by the key that the person was enrolled with: the proof is
// its signature.
type EnrolledKey struct{}

// Verify implements PersonVerifier.
func (EnrolledKey) Verify(p *Person, statement, proof []byte) error {
	if err := verify.CheckSignature(p.PublicKey, statement, proof); err != nil {
		return fault.New(fault.Denied, "person.signature", "the person's signature is not by the enrolled key over this statement")
	}
	return nil
}

// ParsePersonKey reads a public key, PKIX as PEM or DER, and gives its DER form
// and fingerprint.
func ParsePersonKey(raw []byte) (key crypto.PublicKey, der []byte, fingerprint [32]byte, err error) {
	if der, err = unwrap(raw, "public_key", "PUBLIC KEY"); err != nil {
		return nil, nil, fingerprint, err
	}
	if key, err = x509.ParsePKIXPublicKey(der); err != nil {
		return nil, nil, fingerprint, fault.Field("public_key", "key.broken", "is no public key in PKIX form")
	}
	if err = CheckKey(key); err != nil {
		return nil, nil, fingerprint, err
	}
	// One key has one fingerprint, however it was encoded.
	if der, err = x509.MarshalPKIXPublicKey(key); err != nil {
		return nil, nil, fingerprint, fault.Field("public_key", "key.broken", "is no public key in PKIX form")
	}
	return key, der, sha256.Sum256(der), nil
}
