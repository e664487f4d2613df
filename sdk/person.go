package sdk

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// What a person may sign for its participant.
const (
	AsHandler = cataloguev1.Capacity_CAPACITY_HANDLER
	AsHead    = cataloguev1.Capacity_CAPACITY_HEAD
	AsClerk   = cataloguev1.Capacity_CAPACITY_CLERK
)

// Person is an official as the exchange knows it.
type Person = cataloguev1.Person

// PersonKey is an official's own key, by which it signs steps of agreements and
// what it witnesses. It is made where the official works and never travels.
type PersonKey struct {
	signer      crypto.Signer
	public      []byte
	fingerprint [32]byte
}

// NewPersonKey makes an ECDSA P-256 key.
func NewPersonKey() (*PersonKey, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return PersonKeyOf(k)
}

// PersonKeyOf takes a signer, such as one of a smart card: ECDSA P-256, P-384 or
// Ed25519.
func PersonKeyOf(signer crypto.Signer) (*PersonKey, error) {
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return &PersonKey{signer, der, sha256.Sum256(der)}, nil
}

// LoadPersonKey reads a key file: PKCS #8, PEM.
func LoadPersonKey(path string) (*PersonKey, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the person's key: %w", err)
	}
	block, _ := pem.Decode(bytes.TrimSpace(raw))
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fault.New(fault.Invalid, "sdk.person_key", "%s is no private key (PKCS #8, PEM)", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fault.New(fault.Invalid, "sdk.person_key", "%s is no private key (PKCS #8, PEM)", path)
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return PersonKeyOf(k)
	case ed25519.PrivateKey:
		return PersonKeyOf(k)
	}
	return nil, fault.New(fault.Invalid, "sdk.person_key", "%s holds a key of type %T; use ECDSA P-256, P-384 or Ed25519", path, key)
}

// WriteFile writes the key for its owner alone (mode 0600). It does not replace a
// file.
func (k *PersonKey) WriteFile(path string) error {
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	return nil
}

// Fingerprint is the SHA-256 of the public key, by which the ledger knows the
// person.
func (k *PersonKey) Fingerprint() [32]byte { return k.fingerprint }

// PublicKey is the public key: PKIX, DER.
func (k *PersonKey) PublicKey() []byte { return k.public }

// Sign signs a statement of package verify.
func (k *PersonKey) Sign(statement []byte) ([]byte, error) { return verify.Sign(k.signer, statement) }

// Possession shows that the key is held by whoever is to be enrolled with the
// participant on the ledger of that origin.
func (k *PersonKey) Possession(origin, participant string) ([]byte, error) {
	return k.Sign(verify.PersonStatement(origin, participant, k.public))
}

// NewPerson is an official to be enrolled.
type NewPerson struct {
	// Participant is the calling system's own if empty.
	Participant string
	// Reference is the department's own staff reference, Name for people; the
	// ledger holds neither.
	Reference, Name string
	Capacities      []cataloguev1.Capacity
	Key             *PersonKey
}

// EnrolPerson enrols an official of the calling system's participant.
func (c *Client) EnrolPerson(ctx context.Context, n NewPerson) (*Person, error) {
	participant := n.Participant
	if participant == "" {
		participant = c.Participant()
	}
	possession, err := n.Key.Possession(c.Origin(), participant)
	if err != nil {
		return nil, err
	}
	resp, err := c.persons().EnrolPerson(ctx, &cataloguev1.EnrolPersonRequest{
		Participant: participant, Reference: n.Reference, Name: n.Name, Capacities: n.Capacities,
		PublicKey: n.Key.public, Possession: possession,
	})
	return resp.GetPerson(), fault.FromStatus(err)
}

// Persons gives the officials of the calling system's participant, removed ones
// too.
func (c *Client) Persons(ctx context.Context) ([]*Person, error) {
	var all []*Person
	for token := ""; ; {
		resp, err := c.persons().ListPersons(ctx, &cataloguev1.ListPersonsRequest{Participant: c.Participant(), PageToken: token})
		if err != nil {
			return nil, fault.FromStatus(err)
		}
		all = append(all, resp.GetPersons()...)
		if token = resp.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// SuspendPerson lets an official sign nothing until ResumePerson.
func (c *Client) SuspendPerson(ctx context.Context, fingerprint [32]byte, reason string) error {
	_, err := c.persons().SuspendPerson(ctx, &cataloguev1.SuspendPersonRequest{Fingerprint: fingerprint[:], Reason: reason})
	return fault.FromStatus(err)
}

// ResumePerson ends a suspension.
func (c *Client) ResumePerson(ctx context.Context, fingerprint [32]byte) error {
	_, err := c.persons().ResumePerson(ctx, &cataloguev1.ResumePersonRequest{Fingerprint: fingerprint[:]})
	return fault.FromStatus(err)
}

// RemovePerson ends what an official may sign, for good.
func (c *Client) RemovePerson(ctx context.Context, fingerprint [32]byte, reason string) error {
	_, err := c.persons().RemovePerson(ctx, &cataloguev1.RemovePersonRequest{Fingerprint: fingerprint[:], Reason: reason})
	return fault.FromStatus(err)
}

func (c *Client) persons() cataloguev1.PersonServiceClient {
	return cataloguev1.NewPersonServiceClient(c.Conn())
}
