package consent

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// RegisterRepresentation records who may act for whom.
func (c *Consents) RegisterRepresentation(ctx context.Context, caller *identity.Caller, q *accessv1.RegisterRepresentationRequest) (*accessv1.RegisterRepresentationResponse, error) {
	r, err := parseRepresentation(q.GetRepresentation())
	if err != nil {
		return nil, err
	}
	response := &accessv1.RegisterRepresentationResponse{}
	err = c.decided(ctx, caller, func(by *identity.Caller, policy uint64) error {
		g := &registering{c: c, by: by, representation: r, attestation: q.Attestation}
		if err := g.check(ctx); err != nil {
			return err
		}
		commit, err := c.Journal.Submit(ctx, &journal.Call{
			From: by.System, DecidedAt: policy, ValidateOnly: q.ValidateOnly, Build: g.build,
		})
		// A crash here leaves a representation that its caller does not know of:
		// registering it again gives the receipt.
		switch {
		case errors.Is(err, errRepeat):
			response.Receipt, err = c.again(ctx, g.old.recorded)
		case err == nil && q.ValidateOnly:
			return nil
		case err == nil:
			response.Receipt = receipt(commit)
		}
		if err != nil {
			return err
		}
		response.Representation, err = c.recordedActing(ctx, r.digest[:])
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// registering is one call that records a representation.
type registering struct {
	c              *Consents
	by             *identity.Caller
	representation *representation
	attestation    *accessv1.Attestation
	proof          []byte
	old            *acting
}

func (g *registering) check(ctx context.Context) error {
	r, c := g.representation, g.c
	switch {
	case r.LedgerOrigin != c.origin():
		return refused("ledger", "the representation is for another exchange")
	case r.until < c.today():
		return refused("representation.expired", "the representation's last day has passed")
	case r.Kind == accessv1.RepresentationKind_REPRESENTATION_KIND_GUARDIAN && !r.Incapacity && !underage(r.Principal, max(r.from, c.today())):
		return fault.Field("representation.principal", "representation.grown_up", "acts for itself by then; say that it is without capacity, and on what proof, or that an agent acts for it")
	}
	for _, t := range r.Topics {
		if _, err := c.Catalogue.Topic(t); err != nil {
			return fault.Field("representation.topics", "topic.unknown", "the catalogue has no such topic")
		}
	}
	signed := verify.RepresentationStatement(c.origin(), g.by.Participant, r.raw)
	if _, err := c.attested("attestation", g.by.Participant, signed, g.attestation); err != nil {
		return err
	}
	var err error
	g.proof, err = c.proofOf(ctx, r.Proof)
	return err
}

// proofOf gives the hash of what shows a representation: of the document, or of
// the entry that published the record.
func (c *Consents) proofOf(ctx context.Context, p *accessv1.RepresentationProof) ([]byte, error) {
	if p.Topic == "" {
		return p.Digest, nil
	}
	nothing := fault.Field("representation.proof.index", "representation.record", "is no entry that published a record of the topic")
	if p.Index > 1<<62 {
		return nil, nothing
	}
	row, err := journal.ByIndex(ctx, c.DB.Reader(), p.Index)
	if err != nil {
		return nil, err
	}
	if row == nil || row.Topic != journal.Number(p.Topic) || row.Body == nil {
		return nil, nothing
	}
	h := verify.LeafHash(row.Leaf)
	return h[:], nil
}

func (g *registering) build(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
	r, c := g.representation, g.c
	var err error
	if g.old, err = findActing(ctx, tx, r.digest[:]); err != nil {
		return nil, err
	}
	switch {
	case g.old != nil && g.old.participant != g.by.Participant:
		return nil, fault.New(fault.AlreadyExists, "representation.exists", "another department recorded these very bytes; use a nonce of your own")
	case g.old != nil && g.old.ended != 0:
		return nil, refused("representation.ended", "the representation was ended and cannot be recorded again")
	case g.old != nil:
		return nil, errRepeat
	}
	body, err := c.seal(representationBody, r.digest[:], &accessv1.RecordedRepresentation{
		Digest: r.digest[:], Statement: r.raw, State: accessv1.RepresentationState_REPRESENTATION_STATE_ACTIVE,
		Participant: g.by.Participant, System: g.by.System, Attestation: g.attestation, RecordedAt: timeOf(slot.At), Recorded: slot.Index,
	})
	if err != nil {
		return nil, err
	}
	row := &acting{
		digest: r.digest[:], principal: c.Keyring.Token(identity.TokenSubject, r.Principal.Type, r.Principal.Number),
		participant: g.by.Participant, recorded: slot.Index, body: body,
	}
	if err := row.insert(ctx, tx); err != nil {
		return nil, err
	}
	return []journal.Entry{changed(g.by, "record", r, g.proof, g.attestation)}, nil
}

// changed makes the entry of a representation.
func changed(by *identity.Caller, change string, r *representation, proof []byte, a *accessv1.Attestation) journal.Entry {
	s, person := secret(), hex.EncodeToString(a.Person)
	principal := verify.CommitSubject(verify.Subject, 0, s, r.Principal)
	representative := verify.CommitSubject(verify.Subject, 1, s, r.Representative)
	of := verify.Commit(verify.Consent, 0, s, r.digest[:])
	leaf := leafOf(by)
	leaf.Body = &ledgerv1.LedgerEntry_Representation{Representation: &ledgerv1.RepresentationChanged{
		Change: change, Kind: kindText(r.Kind), Participant: by.Participant,
		PrincipalCommitment: principal[:], RepresentativeCommitment: representative[:], RepresentationCommitment: of[:],
		ProofCommitment:  verify.CommitText(verify.Proof, 0, s, string(proof)),
		PersonCommitment: verify.CommitText(verify.Person, 0, s, person),
	}}
	return journal.Entry{Leaf: leaf, Opening: &ledgerv1.ReadOpening{
		Secret: s, Person: person, Proof: proof, Consents: [][]byte{r.digest[:]},
		Subjects: []*ledgerv1.Subject{r.Principal, r.Representative},
	}}
}
