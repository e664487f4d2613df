package catalogtest

import (
	"crypto"
	"crypto/x509"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Person is an enrolled official with its key.
type Person struct {
	Key         crypto.Signer
	Fingerprint [32]byte
}

// Person enrols an official with the participant of a system.
func (x *Exchange) Person(of *System, reference string, capacities ...cataloguev1.Capacity) *Person {
	x.T.Helper()
	key, err := identity.NewKey()
	must(x.T, err)
	p, _, err := x.Catalogue.EnrolPerson(x.T.Context(), catalog.Change{Actor: of.Caller}, x.Enrolment(of, key, reference, capacities...))
	must(x.T, err)
	return &Person{key, [32]byte(p.Fingerprint)}
}

// Enrolment asks for a person to be enrolled with the participant of a system.
func (x *Exchange) Enrolment(of *System, key crypto.Signer, reference string, capacities ...cataloguev1.Capacity) *cataloguev1.EnrolPersonRequest {
	return x.EnrolmentOf(of.Caller.Participant, key, reference, capacities...)
}

// EnrolmentOf asks for a person to be enrolled with a participant.
func (x *Exchange) EnrolmentOf(participant string, key crypto.Signer, reference string, capacities ...cataloguev1.Capacity) *cataloguev1.EnrolPersonRequest {
	x.T.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	must(x.T, err)
	possession, err := verify.Sign(key, verify.PersonStatement(x.Identity.Keyring.Origin(), participant, der))
	must(x.T, err)
	return &cataloguev1.EnrolPersonRequest{
		Participant: participant, Reference: reference, Name: reference + " 经办", Capacities: capacities,
		PublicKey: der, Possession: possession,
	}
}
