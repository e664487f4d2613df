package consent

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// representation is what a department recorded, with the bytes that its person
// signed.
type representation struct {
	*accessv1.Representation
	raw         []byte
	digest      [32]byte
	from, until int32
}

func parseRepresentation(raw []byte) (*representation, error) {
	m, err := parse[accessv1.Representation]("representation", raw)
	if err != nil {
		return nil, err
	}
	r := &representation{Representation: m, raw: raw, digest: sha256.Sum256(raw)}
	if err := catalog.First(
		checkNonce("representation", m.Nonce),
		checkSubject("representation.principal", m.Principal), checkSubject("representation.representative", m.Representative),
		checkScope("representation.topics", m.Topics, false), checkScope("representation.service_items", m.ServiceItems, false),
		r.checkKind(), r.checkProof(),
	); err != nil {
		return nil, err
	}
	r.from, r.until, err = period("representation", m.ValidFrom, m.ValidUntil)
	return r, err
}

// checkKind checks that kind and persons fit.
func (r *representation) checkKind() error {
	organisation := r.Principal.Type == contract.TypeCreditCode
	switch r.Kind {
	case accessv1.RepresentationKind_REPRESENTATION_KIND_GUARDIAN:
		if organisation {
			return fault.Field("representation.kind", "representation.kind", "an organisation has a legal representative, no guardian")
		}
	case accessv1.RepresentationKind_REPRESENTATION_KIND_AGENT:
	case accessv1.RepresentationKind_REPRESENTATION_KIND_LEGAL_REPRESENTATIVE:
		if !organisation {
			return fault.Field("representation.kind", "representation.kind", "only an organisation has a legal representative")
		}
	default:
		return fault.Field("representation.kind", "representation.kind", "is guardian, agent or legal representative")
	}
	switch {
	case r.Incapacity && r.Kind != accessv1.RepresentationKind_REPRESENTATION_KIND_GUARDIAN:
		return fault.Field("representation.incapacity", "representation.incapacity", "is for guardians")
	case same(r.Principal, r.Representative):
		return fault.Field("representation.representative", "representation.self", "is the principal itself")
	}
	return nil
}

func (r *representation) checkProof() error {
	p := r.Proof
	switch document, record := len(p.GetDigest()) > 0, p.GetTopic() != ""; {
	case document == record:
		return fault.Field("representation.proof", "representation.proof", "is either a document or a record")
	case document && len(p.Digest) != sha256.Size:
		return fault.Field("representation.proof.digest", "representation.proof.digest", "is the SHA-256 of the scanned document, 32 bytes")
	case document:
		return text("representation.proof.document", p.Document, true)
	}
	return text("representation.proof.topic", p.Topic, true)
}

// kindText names kinds as the ledger does.
func kindText(k accessv1.RepresentationKind) string {
	switch k {
	case accessv1.RepresentationKind_REPRESENTATION_KIND_GUARDIAN:
		return "guardian"
	case accessv1.RepresentationKind_REPRESENTATION_KIND_AGENT:
		return "agent"
	}
	return "legal_representative"
}

// expired says whether a representation no longer holds on a day, or not yet: a
// child's guardian acts for it until it comes of age.
func (r *representation) expired(day int32) bool {
	return day < r.from || day > r.until ||
		r.Kind == accessv1.RepresentationKind_REPRESENTATION_KIND_GUARDIAN && !r.Incapacity && !underage(r.Principal, day)
}

// covers says whether it is for everything that a consent allows.
func (r *representation) covers(a *artefact) bool {
	for _, t := range a.Topics {
		if len(r.Topics) > 0 && !contains(r.Topics, t.Topic) {
			return false
		}
	}
	for _, item := range a.ServiceItems {
		if len(r.ServiceItems) > 0 && !contains(r.ServiceItems, item) {
			return false
		}
	}
	return true
}

// represents finds the representation under which a consent is given, as a
// transaction sees it, and refuses one that does not hold, is of others, or does
// not reach as far.
func (c *Consents) represents(ctx context.Context, tx store.Tx, a *artefact) (*representation, error) {
	row, err := findActing(ctx, tx, a.Representation)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, refused("representation.unknown", "no such representation is on record")
	}
	r, err := c.openActing(row)
	if err != nil {
		return nil, err
	}
	switch {
	case !same(r.Principal, a.Subject):
		return nil, refused("representation.principal", "the representation is of another person than the consent")
	case row.ended != 0:
		return nil, refused("representation.ended", "the representation was ended")
	case r.expired(c.today()):
		return nil, refused("representation.expired", "the representation does not hold today; record one that does")
	case underage(a.Subject, c.today()) && r.Kind != accessv1.RepresentationKind_REPRESENTATION_KIND_GUARDIAN:
		return nil, refused("representation.guardian", "for a child its guardian consents")
	case !r.covers(a):
		return nil, refused("representation.scope", "the representation does not cover all that the consent allows")
	}
	return r, nil
}

func (c *Consents) openActing(row *acting) (*representation, error) {
	m := &accessv1.RecordedRepresentation{}
	if err := open(c.Keyring, representationBody, row.digest, row.body, m); err != nil {
		return nil, fmt.Errorf("representation %x: %w", row.digest, err)
	}
	return parseRepresentation(m.Statement)
}

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

// EndRepresentation ends a representation: consents that were given under it
// stand no more.
func (c *Consents) EndRepresentation(ctx context.Context, caller *identity.Caller, q *accessv1.EndRepresentationRequest) (*accessv1.EndRepresentationResponse, error) {
	m, err := parse[accessv1.RepresentationEnd]("end", q.GetEnd())
	if err != nil {
		return nil, err
	}
	if err := catalog.First(checkNonce("end", m.Nonce), catalog.Text("end.reason", m.Reason, true)); err != nil {
		return nil, err
	}
	if len(m.Representation) != sha256.Size {
		return nil, fault.Field("end.representation", "representation.digest", "is the SHA-256 of a recorded representation, 32 bytes")
	}
	response := &accessv1.EndRepresentationResponse{}
	err = c.decided(ctx, caller, func(by *identity.Caller, policy uint64) error {
		e := &ending{c: c, by: by, end: m, raw: q.End, attestation: q.Attestation}
		if err := e.check(ctx); err != nil {
			return err
		}
		commit, err := c.Journal.Submit(ctx, &journal.Call{
			From: by.System, DecidedAt: policy, ValidateOnly: q.ValidateOnly, Build: e.build,
		})
		// A crash here leaves an end that its caller does not know of: ending again
		// gives the receipt.
		switch {
		case errors.Is(err, errRepeat):
			response.Receipt, err = c.again(ctx, e.row.ended-1)
		case err == nil && q.ValidateOnly:
			return nil
		case err == nil:
			response.Receipt = receipt(commit)
		}
		if err != nil {
			return err
		}
		response.Representation, err = c.recordedActing(ctx, m.Representation)
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// ending is one call that ends a representation.
type ending struct {
	c           *Consents
	by          *identity.Caller
	end         *accessv1.RepresentationEnd
	raw         []byte
	attestation *accessv1.Attestation
	row         *acting
}

func errNoRepresentation() error {
	return fault.New(fault.NotFound, "representation.unknown", "your department recorded no such representation")
}

func (e *ending) check(ctx context.Context) error {
	if e.end.LedgerOrigin != e.c.origin() {
		return refused("ledger", "the end is for another exchange")
	}
	var err error
	if e.row, err = findActing(ctx, e.c.DB.Reader(), e.end.Representation); err != nil {
		return err
	}
	if e.row == nil || e.row.participant != e.by.Participant {
		return errNoRepresentation()
	}
	_, err = e.c.attested("attestation", e.by.Participant, verify.RepresentationStatement(e.c.origin(), e.by.Participant, e.raw), e.attestation)
	return err
}

func (e *ending) build(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
	c := e.c
	row, err := findActing(ctx, tx, e.end.Representation)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, errNoRepresentation()
	}
	if e.row = row; row.ended != 0 {
		return nil, errRepeat
	}
	m := &accessv1.RecordedRepresentation{}
	if err := open(c.Keyring, representationBody, row.digest, row.body, m); err != nil {
		return nil, err
	}
	r, err := parseRepresentation(m.Statement)
	if err != nil {
		return nil, err
	}
	m.State, m.End, m.EndAttestation = accessv1.RepresentationState_REPRESENTATION_STATE_ENDED, e.raw, e.attestation
	m.EndedAt, m.EndedPlusOne = timeOf(slot.At), slot.Index+1
	body, err := c.seal(representationBody, row.digest, m)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE representations SET ended = $2, body = $3 WHERE digest = $1", row.digest, int64(slot.Index+1), body); err != nil {
		return nil, err
	}
	if err := bumpGiven(ctx, tx, slot, row.digest); err != nil {
		return nil, err
	}
	// The proof of the end is what was signed.
	proof := sha256.Sum256(e.raw)
	return []journal.Entry{changed(e.by, "end", r, proof[:], e.attestation)}, nil
}

// bumpGiven has everything decided anew that rests on a consent which was given
// under a representation.
func bumpGiven(ctx context.Context, tx store.Tx, slot journal.Slot, representation []byte) error {
	rows, err := tx.QueryContext(ctx, "SELECT DISTINCT holder FROM consents WHERE representation = $1", representation)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var holder []byte
		if err := rows.Scan(&holder); err != nil {
			return err
		}
		slot.Bump(journal.GuardConsent, holder)
	}
	return rows.Err()
}

func (c *Consents) recordedActing(ctx context.Context, digest []byte) (*accessv1.RecordedRepresentation, error) {
	row, err := findActing(ctx, c.DB.Reader(), digest)
	if errors.Is(err, sql.ErrNoRows) || err == nil && row == nil {
		return nil, errNoRepresentation()
	}
	if err != nil {
		return nil, err
	}
	return c.shownActing(row)
}

func (c *Consents) shownActing(row *acting) (*accessv1.RecordedRepresentation, error) {
	m := &accessv1.RecordedRepresentation{}
	if err := open(c.Keyring, representationBody, row.digest, row.body, m); err != nil {
		return nil, err
	}
	r, err := parseRepresentation(m.Statement)
	if err != nil {
		return nil, err
	}
	m.Representation = proto.CloneOf(r.Representation)
	if m.State == accessv1.RepresentationState_REPRESENTATION_STATE_ACTIVE && c.today() >= r.from && r.expired(c.today()) {
		m.State = accessv1.RepresentationState_REPRESENTATION_STATE_EXPIRED
	}
	return m, nil
}
