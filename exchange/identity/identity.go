// Package identity says who calls, and keeps the exchange's own keys.
//
// A system is known by its client certificate: mutual TLS proves that the caller
// holds its key, and one URI among the certificate's subject alternative names,
//
//	huitong://<participant code>/<system>
//
// names the participant and the system. A system makes its key itself and sends
// a PKCS #10 request; the exchange takes the public key out of it and nothing
// else, and never holds the key of another. What a system may do is not in its
// certificate but in the catalogue, so that a change needs no new certificate.
//
// The data directory holds a private CA, or the bundle of an outside CA in its
// place, and the keyring: the key that signs checkpoints, the keys that seal,
// and the keys of tokens. Keys in the data directory protect copies of the
// database, not the host itself.
//
// Persons that sign in with a bearer token are to come in beside the
// certificate, as another way to a Caller; nothing else would change.
package identity

import (
	"crypto"
	"strings"
)

// Role is what a system may do on the exchange.
type Role uint8

// The roles.
const (
	// Department publishes its own records and reads what it was granted.
	Department Role = 1 << iota
	// Operator is the data authority: it keeps catalogue and grants.
	Operator
	// Auditor reads the whole ledger.
	Auditor
	// Witness cosigns checkpoints.
	Witness
)

// Roles is a set of roles.
type Roles uint8

// RolesOf makes a set.
func RolesOf(roles ...Role) Roles {
	var set Roles
	for _, r := range roles {
		set |= Roles(r)
	}
	return set
}

// Has says whether any of the roles is in the set.
func (s Roles) Has(any ...Role) bool { return s&RolesOf(any...) != 0 }

// String lists the roles: "department+operator".
func (s Roles) String() string {
	var names []string
	for i, name := range []string{"department", "operator", "auditor", "witness"} {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// Caller is a system that the exchange knows.
type Caller struct {
	// System is "<participant>/<system>".
	System      string
	Participant string
	Roles       Roles
	// Fingerprint is the SHA-256 of the certificate, DER.
	Fingerprint [32]byte
	// PublicKey is the certificate's; the caller's signatures verify by it.
	PublicKey crypto.PublicKey
}
