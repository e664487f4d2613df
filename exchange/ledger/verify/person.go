package verify

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// PersonStatement gives the bytes that a person signs on enrolment, to show that
// it holds the key: the ledger's origin, the participant that it acts for, and
// the public key itself (PKIX, DER).
func PersonStatement(origin, participant string, key []byte) []byte {
	b := append([]byte{}, personDomain...)
	b = appendText(b, origin)
	b = appendText(b, participant)
	return append(b, key...)
}

// PersonDetails gives what the commitment to a person's reference and name is
// over; it is of kind Person and number 0.
func PersonDetails(reference, name string) []byte {
	return appendText(appendText(nil, reference), name)
}

// Persons are the keys of the persons that a ledger enrolled, as its entries are
// read in order. The zero value is ready.
type Persons struct {
	known map[string]*enrolledPerson
}

type enrolledPerson struct {
	participant string
	key         crypto.PublicKey
	capacities  []string
	active      bool
}

// Enter takes a PersonChanged entry: on enrolment the key must be that of the
// fingerprint and have signed for itself; every other change must be of a person
// that was enrolled with that participant.
func (p *Persons) Enter(origin string, c *ledgerv1.PersonChanged) error {
	if p.known == nil {
		p.known = map[string]*enrolledPerson{}
	}
	id := string(c.GetPerson())
	old := p.known[id]
	if c.GetChange() != "enrol" {
		if old == nil || old.participant != c.GetParticipant() {
			return errors.New("it changes a person that the participant did not enrol")
		}
		old.capacities, old.active = c.GetCapacities(), c.GetChange() != "suspend" && c.GetChange() != "remove"
		return nil
	}
	digest := sha256.Sum256(c.GetPublicKey())
	if old != nil || id != string(digest[:]) {
		return errors.New("the person's key was enrolled before, or is not the one of its fingerprint")
	}
	key, err := x509.ParsePKIXPublicKey(c.GetPublicKey())
	if err != nil {
		return errors.New("the person's key does not parse")
	}
	if err := CheckSignature(key, PersonStatement(origin, c.GetParticipant(), c.GetPublicKey()), c.GetPossession()); err != nil {
		return fmt.Errorf("the proof that the person holds its key: %w", err)
	}
	p.known[id] = &enrolledPerson{participant: c.GetParticipant(), key: key, capacities: c.GetCapacities(), active: true}
	return nil
}
