package verify

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// stepSkew is how far a step's statement may be signed from its entry, µs.
const stepSkew = 5 * 60 * 1_000_000

// capacitiesOf are what the official of a step must be; steps that are not named
// take none. Steps of an operator take none either.
var capacitiesOf = map[string][]string{
	"request": {"handler"}, "accept": {"handler"}, "refuse": {"handler"}, "return": {"handler"},
	"approve": {"head"}, "decline": {"head"}, "terminate": {"head"}, "dispose": {"head"}, "withdraw": {"handler", "head"},
}

// Steps follows the agreements of a ledger, as its entries are read in order: that
// each step is signed by the system that took it and by an official of that
// participant, is about the terms of its version, follows the step before, was
// signed at that time, and that who approves is not who prepared.
//
// Of two officials the ledger shows two keys; that two keys are two persons is the
// participant's word, which the exchange checked by its staff references.
type Steps struct {
	Origin string
	// Key gives the public key of a certificate by its fingerprint; nil if the
	// ledger issued none.
	Key     func(fingerprint []byte) crypto.PublicKey
	Persons *Persons

	versions map[stepped]*lastStep
}

type stepped struct {
	grant   string
	version uint32
}

// lastStep is where a version stands.
type lastStep struct {
	statement, terms []byte
	// preparedBy is the official of the last step that a head of that side
	// approves.
	preparedBy map[string][]byte
}

// Entry takes a GrantStepped entry.
func (s *Steps) Entry(e *ledgerv1.LedgerEntry) error {
	b := e.GetStepped()
	says := &ledgerv1.StepStatement{}
	if err := proto.Unmarshal(b.GetStatement(), says); err != nil {
		return errors.New("the step's statement does not decode")
	}
	if s.versions == nil {
		s.versions = map[stepped]*lastStep{}
	}
	at := stepped{b.GetGrant(), b.GetVersion()}
	last := s.versions[at]
	if err := s.follows(e, b, says, last); err != nil {
		return err
	}
	if err := s.signed(e, b); err != nil {
		return err
	}
	if last == nil {
		last = &lastStep{terms: says.TermsDigest, preparedBy: map[string][]byte{}}
		s.versions[at] = last
	}
	digest := sha256.Sum256(b.Statement)
	last.statement = digest[:]
	switch b.Step {
	case "request", "accept", "refuse":
		last.preparedBy[b.Side] = b.Person
	}
	return nil
}

// follows checks what the statement says against the entry and the step before.
func (s *Steps) follows(e *ledgerv1.LedgerEntry, b *ledgerv1.GrantStepped, says *ledgerv1.StepStatement, last *lastStep) error {
	// A grant's first request cannot name the id that the exchange is yet to give.
	named := says.Grant == b.Grant || says.Grant == "" && b.Step == "request" && b.Version == 1
	var before, terms []byte
	if last != nil {
		before, terms = last.statement, last.terms
	}
	skew := says.SignedAtUs - e.GetAtUs()
	switch {
	case says.LedgerOrigin != s.Origin:
		return errors.New("the step is for another ledger")
	case !named || says.Version != b.Version || says.Side != b.Side || says.Step != b.Step || !bytes.Equal(says.Person, b.Person):
		return errors.New("the step is not what its statement says")
	case (last == nil) != (b.Step == "request"):
		return errors.New("a version begins with its request, and with nothing else")
	case !bytes.Equal(says.Previous, before):
		return errors.New("the step does not follow the one before")
	case last != nil && !bytes.Equal(says.TermsDigest, terms):
		return errors.New("the step is about other terms than its version's")
	case skew > stepSkew || skew < -stepSkew:
		return errors.New("the step was signed at another time")
	}
	if prepared := last.prepared(b.Side); (b.Step == "approve" || b.Step == "decline") && (prepared == nil || bytes.Equal(prepared, b.Person)) {
		return errors.New("who approves is who prepared it, or nobody prepared anything")
	}
	return nil
}

func (l *lastStep) prepared(side string) []byte {
	if l == nil {
		return nil
	}
	return l.preparedBy[side]
}

// signed checks the signatures of the system and of its official.
func (s *Steps) signed(e *ledgerv1.LedgerEntry, b *ledgerv1.GrantStepped) error {
	statement := GrantStepStatement(e.GetActor(), b.Statement)
	key := s.Key(e.GetActorCertificate())
	if key == nil {
		return errors.New("the step is by a certificate that was never issued")
	}
	if err := CheckSignature(key, statement, b.Signature); err != nil {
		return fmt.Errorf("the system's signature over the step: %w", err)
	}
	needs := capacitiesOf[b.Step]
	if b.Side == "operator" || needs == nil {
		if len(b.Person) > 0 {
			return errors.New("no person signs this step")
		}
		return nil
	}
	p := s.Persons.known[string(b.Person)]
	participant, _, _ := bytes.Cut([]byte(e.GetActor()), []byte("/"))
	switch {
	case p == nil || p.participant != string(participant):
		return errors.New("the step's person is not enrolled with the participant that took it")
	case !p.active:
		return errors.New("the step's person was suspended or removed")
	case !slices.ContainsFunc(needs, func(c string) bool { return slices.Contains(p.capacities, c) }):
		return errors.New("the step's person may not take it")
	}
	if err := CheckSignature(p.key, statement, b.PersonSignature); err != nil {
		return fmt.Errorf("the person's signature over the step: %w", err)
	}
	return nil
}
