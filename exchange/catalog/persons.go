package catalog

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	// maxPersons bounds the persons of a participant, removed ones too.
	maxPersons = 10_000
	// maxStaff bounds a staff reference and a name, in bytes.
	maxStaff = 128
)

// EnrolPerson enrols an official of a participant. A department system enrols
// its own, an operator any. The repeat of a call changes nothing.
func (c *Catalogue) EnrolPerson(ctx context.Context, ch Change, r *cataloguev1.EnrolPersonRequest) (*cataloguev1.Person, *journal.Commit, error) {
	participant := r.Participant
	if participant == "" && ch.Actor != nil {
		participant = ch.Actor.Participant
	}
	key, der, fingerprint, err := identity.ParsePersonKey(r.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	if err := First(checkStaff("reference", r.Reference), checkStaff("name", r.Name), checkCapacities(r.Capacities)); err != nil {
		return nil, nil, err
	}
	if verify.CheckSignature(key, verify.PersonStatement(c.Keyring.Origin(), participant, der), r.Possession) != nil {
		return nil, nil, fault.Field("possession", "person.possession", "does not show that the person holds the key, for this ledger and participant")
	}
	n := &cataloguev1.Person{
		Fingerprint: fingerprint[:], Participant: participant, Reference: r.Reference, Name: r.Name,
		Capacities: sortedCapacities(r.Capacities), PublicKey: der, State: cataloguev1.PersonState_PERSON_STATE_ACTIVE,
	}
	var result *cataloguev1.Person
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) (err error) {
		result, err = c.enrolPerson(ctx, w, proto.CloneOf(n), r.Possession)
		return err
	})
	return result, commit, err
}

// checkStaff checks a staff reference or a name.
func checkStaff(field, text string) error {
	if len(text) > maxStaff {
		return fault.Field(field, "person."+field+".size", "has more than %d bytes", maxStaff)
	}
	return Name(field, text)
}

func checkCapacities(list []cataloguev1.Capacity) error {
	if len(list) == 0 {
		return fault.Field("capacities", "capacities.required", "names at least one: handler, head or clerk")
	}
	for i, one := range list {
		if capacityOf(one) == "" || slices.Contains(list[:i], one) {
			return fault.Field("capacities", "capacities.unknown", "names an unknown capacity, or one twice")
		}
	}
	return nil
}

func sortedCapacities(list []cataloguev1.Capacity) []cataloguev1.Capacity {
	return slices.Sorted(slices.Values(list))
}

func capacityOf(c cataloguev1.Capacity) identity.Capacity {
	switch c {
	case cataloguev1.Capacity_CAPACITY_HANDLER:
		return identity.Handler
	case cataloguev1.Capacity_CAPACITY_HEAD:
		return identity.Head
	case cataloguev1.Capacity_CAPACITY_CLERK:
		return identity.Clerk
	}
	return ""
}

// CapacitiesOf names capacities as the ledger does.
func CapacitiesOf(list []cataloguev1.Capacity) (names []string) {
	for _, one := range list {
		names = append(names, string(capacityOf(one)))
	}
	return names
}

func (c *Catalogue) enrolPerson(ctx context.Context, w *Write, n *cataloguev1.Person, possession []byte) (*cataloguev1.Person, error) {
	if err := w.requireOperatorOr(n.Participant, "participant.other", "a department enrols its own officials only"); err != nil {
		return nil, err
	}
	if p, err := w.Participant(ctx, n.Participant); err != nil || p == nil {
		if err == nil {
			err = fault.Field("participant", "participant.unknown", "is not registered; register it first")
		}
		return nil, err
	}
	old, err := c.personIn(ctx, w, n.Fingerprint)
	if err != nil {
		return nil, err
	}
	if old != nil {
		same := proto.CloneOf(old)
		same.EnrolledAt, same.DetailsCommitment = nil, nil
		if proto.Equal(same, n) {
			return old, errUnchanged
		}
		return nil, fault.New(fault.AlreadyExists, "person.key", "this key belongs to a person already; every person makes a key of its own")
	}
	if err := c.checkReference(ctx, w, n); err != nil {
		return nil, err
	}
	n.EnrolledAt = w.At()
	return n, c.putPerson(ctx, w, n, &ledgerv1.PersonChanged{Change: "enrol", PublicKey: n.PublicKey, Possession: possession})
}

// checkReference refuses a reference that another person of the participant has
// who was not removed, so that one official cannot sign as two.
func (c *Catalogue) checkReference(ctx context.Context, w *Write, n *cataloguev1.Person) error {
	others, err := bodies[cataloguev1.Person](ctx, w.Tx, "SELECT body FROM persons WHERE reference = $1", c.referenceToken(n))
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.State != cataloguev1.PersonState_PERSON_STATE_REMOVED {
			return fault.New(fault.AlreadyExists, "person.reference", "a person with this reference is enrolled; remove it first if its key is lost")
		}
	}
	var count int
	if err := w.Tx.QueryRowContext(ctx, "SELECT count(*) FROM persons WHERE participant = $1", n.Participant).Scan(&count); err != nil {
		return err
	}
	if count >= maxPersons && w.RequireOperator() != nil {
		return fault.New(fault.TooLarge, "person.number", "the participant has enrolled %d persons; ask the operator", count)
	}
	return nil
}

// ChangePerson changes what a person may do, and its name if that is not empty.
func (c *Catalogue) ChangePerson(ctx context.Context, ch Change, fingerprint []byte, capacities []cataloguev1.Capacity, name string) (*cataloguev1.Person, *journal.Commit, error) {
	if err := checkCapacities(capacities); err != nil {
		return nil, nil, err
	}
	if name != "" {
		if err := checkStaff("name", name); err != nil {
			return nil, nil, err
		}
	}
	return c.alterPerson(ctx, ch, fingerprint, "change", "", func(p *cataloguev1.Person) error {
		p.Capacities = sortedCapacities(capacities)
		if name != "" {
			p.Name = name
		}
		return nil
	})
}

// SuspendPerson lets a person sign nothing until ResumePerson.
func (c *Catalogue) SuspendPerson(ctx context.Context, ch Change, fingerprint []byte, reason string) (*cataloguev1.Person, *journal.Commit, error) {
	if err := Reason(reason); err != nil {
		return nil, nil, err
	}
	return c.alterPerson(ctx, ch, fingerprint, "suspend", reason, toState(cataloguev1.PersonState_PERSON_STATE_SUSPENDED, reason))
}

// ResumePerson ends a suspension.
func (c *Catalogue) ResumePerson(ctx context.Context, ch Change, fingerprint []byte) (*cataloguev1.Person, *journal.Commit, error) {
	return c.alterPerson(ctx, ch, fingerprint, "resume", "", toState(cataloguev1.PersonState_PERSON_STATE_ACTIVE, ""))
}

// RemovePerson ends what a person may sign, for good.
func (c *Catalogue) RemovePerson(ctx context.Context, ch Change, fingerprint []byte, reason string) (*cataloguev1.Person, *journal.Commit, error) {
	if err := Reason(reason); err != nil {
		return nil, nil, err
	}
	return c.alterPerson(ctx, ch, fingerprint, "remove", reason, toState(cataloguev1.PersonState_PERSON_STATE_REMOVED, reason))
}

func toState(s cataloguev1.PersonState, reason string) func(p *cataloguev1.Person) error {
	return func(p *cataloguev1.Person) error {
		if p.State != s {
			p.State, p.Reason = s, reason
		}
		return nil
	}
}

func (c *Catalogue) alterPerson(ctx context.Context, ch Change, fingerprint []byte, change, reason string, alter func(p *cataloguev1.Person) error) (*cataloguev1.Person, *journal.Commit, error) {
	if len(fingerprint) != 32 {
		return nil, nil, fault.Field("fingerprint", "fingerprint.size", "is the SHA-256 of the person's public key, 32 bytes")
	}
	var result *cataloguev1.Person
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) error {
		p, err := c.personIn(ctx, w, fingerprint)
		if err != nil {
			return err
		}
		if p == nil {
			// Whose it might be is nobody's business.
			return errNoPerson()
		}
		if err := w.requireOperatorOr(p.Participant, "participant.other", "a department keeps its own officials only"); err != nil {
			return err
		}
		old := proto.CloneOf(p)
		if err := alter(p); err != nil {
			return err
		}
		result = p
		if proto.Equal(old, p) {
			return errUnchanged
		}
		if old.State == cataloguev1.PersonState_PERSON_STATE_REMOVED {
			return fault.New(fault.Conflict, "person.removed", "the person was removed, for good; enrol it anew with another key")
		}
		return c.putPerson(ctx, w, p, &ledgerv1.PersonChanged{Change: change, Reason: reason})
	})
	return result, commit, err
}

func errNoPerson() error {
	return fault.New(fault.NotFound, "person.unknown", "no person of that key is enrolled with your department")
}

// putPerson writes a person with its entry.
func (c *Catalogue) putPerson(ctx context.Context, w *Write, p *cataloguev1.Person, e *ledgerv1.PersonChanged) error {
	details := &cataloguev1.PersonDetails{Secret: make([]byte, verify.SecretSize), Reference: p.Reference, Name: p.Name}
	_, _ = rand.Read(details.Secret) // never fails
	commitment := verify.Commit(verify.Person, 0, details.Secret, verify.PersonDetails(p.Reference, p.Name))
	p.DetailsCommitment = commitment[:]
	plain, err := Encode(details)
	if err != nil {
		return err
	}
	sealed, err := c.Keyring.Seal(plain, personData(c.Keyring.Origin(), p.Fingerprint))
	if err != nil {
		return err
	}
	shown := proto.CloneOf(p)
	shown.Reference, shown.Name = "", ""
	body, err := Encode(shown)
	if err != nil {
		return err
	}
	if _, err := w.Tx.ExecContext(ctx, `INSERT INTO persons (fingerprint, participant, reference, changed, body, details) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (fingerprint) DO UPDATE SET changed = excluded.changed, body = excluded.body, details = excluded.details`,
		p.Fingerprint, p.Participant, c.referenceToken(p), int64(w.Slot.Policy), body, sealed); err != nil {
		return err
	}
	e.Participant, e.Person, e.Capacities = p.Participant, p.Fingerprint, CapacitiesOf(p.Capacities)
	e.Digest, e.Policy = digestOf(body), w.Slot.Policy
	w.add(&ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Person{Person: e}})
	return nil
}

func (c *Catalogue) referenceToken(p *cataloguev1.Person) []byte {
	return c.Keyring.Token(identity.TokenPerson, p.Participant, p.Reference)
}

// personData is what the sealed details of a person are bound to.
func personData(origin string, fingerprint []byte) []byte {
	return append(append([]byte(origin), "\x00person\x00"...), fingerprint...)
}

// OpenPerson puts a person's row together: body, and the sealed details, which
// have to be what body commits to.
func OpenPerson(keys *identity.Keyring, body, sealed []byte) (*cataloguev1.Person, error) {
	p, details := &cataloguev1.Person{}, &cataloguev1.PersonDetails{}
	if err := proto.Unmarshal(body, p); err != nil {
		return nil, err
	}
	plain, err := keys.Open(sealed, personData(keys.Origin(), p.Fingerprint))
	if err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(plain, details); err != nil {
		return nil, err
	}
	commitment := verify.Commit(verify.Person, 0, details.Secret, verify.PersonDetails(details.Reference, details.Name))
	if !bytes.Equal(commitment[:], p.DetailsCommitment) {
		return nil, fmt.Errorf("the details of person %x are not what its row commits to", p.Fingerprint)
	}
	p.Reference, p.Name = details.Reference, details.Name
	return p, nil
}
