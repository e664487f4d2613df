package consent

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
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
