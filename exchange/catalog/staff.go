package catalog

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/store"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Person finds an official by the SHA-256 of its key, from memory; a suspended
// or removed one too. Decide what rests on it at a count of Policy taken before.
func (r *Registry) Person(fingerprint [32]byte) (*identity.Person, error) {
	r.mu.RLock()
	p := r.persons[fingerprint]
	r.mu.RUnlock()
	if p == nil {
		return nil, fault.New(fault.NotFound, "person.unknown", "no person of that key is enrolled")
	}
	return p, nil
}

// Signed finds the person who signs a statement for a participant in one of the
// capacities, and checks the proof.
func Signed(p *identity.Person, v identity.PersonVerifier, participant string, statement, proof []byte, capacities ...identity.Capacity) error {
	switch {
	case p == nil || p.Participant != participant:
		return fault.New(fault.Denied, "person.unknown", "no person of that key is enrolled with your department")
	case !p.Active:
		return fault.New(fault.Denied, "person.inactive", "the person is suspended or was removed; another must sign")
	}
	able := false
	for _, c := range capacities {
		able = able || p.Has(c)
	}
	if !able {
		return fault.New(fault.Denied, "person.capacity", "the person may not sign this; it takes a %s", capacities[0])
	}
	return v.Verify(p, statement, proof)
}

// newPerson makes a person from its row.
func newPerson(m *cataloguev1.Person, reference []byte) (*identity.Person, error) {
	key, _, fingerprint, err := identity.ParsePersonKey(m.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("person %x in the catalogue: %w", m.Fingerprint, err)
	}
	p := &identity.Person{
		Fingerprint: fingerprint, Participant: m.Participant, Reference: string(reference),
		Active: m.State == cataloguev1.PersonState_PERSON_STATE_ACTIVE, PublicKey: key,
	}
	for _, c := range m.Capacities {
		p.Capacities = append(p.Capacities, capacityOf(c))
	}
	return p, nil
}

// loadPersons reads the persons that changed.
func (r *Registry) loadPersons(ctx context.Context, since uint64) ([]*identity.Person, error) {
	rows, err := r.tx.QueryContext(ctx, "SELECT body, reference FROM persons WHERE changed > $1", int64(since))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []*identity.Person
	for rows.Next() {
		p, err := scanPerson(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	return found, rows.Err()
}

func scanPerson(row interface{ Scan(into ...any) error }) (*identity.Person, error) {
	var body, reference []byte
	if err := row.Scan(&body, &reference); err != nil {
		return nil, err
	}
	m := &cataloguev1.Person{}
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("a person in the catalogue cannot be read: %w", err)
	}
	return newPerson(m, reference)
}

// PersonIn finds an official as a transaction sees it; nil if there is none.
func PersonIn(ctx context.Context, tx store.Tx, fingerprint []byte) (*identity.Person, error) {
	p, err := scanPerson(tx.QueryRowContext(ctx, "SELECT body, reference FROM persons WHERE fingerprint = $1", fingerprint))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return p, err
}

// personIn reads a person with reference and name; nil if there is none.
func (c *Catalogue) personIn(ctx context.Context, w *Write, fingerprint []byte) (*cataloguev1.Person, error) {
	return c.openPerson(w.Tx.QueryRowContext(ctx, "SELECT body, details FROM persons WHERE fingerprint = $1", fingerprint))
}

func (c *Catalogue) openPerson(row interface{ Scan(into ...any) error }) (*cataloguev1.Person, error) {
	var body, details []byte
	err := row.Scan(&body, &details)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return OpenPerson(c.Keyring, body, details)
}

// GetPerson gives an official to its own department, to operators and auditors.
func (c *Catalogue) GetPerson(ctx context.Context, by *identity.Caller, fingerprint []byte) (*cataloguev1.Person, error) {
	if len(fingerprint) != 32 {
		return nil, fault.Field("fingerprint", "fingerprint.size", "is the SHA-256 of the person's public key, 32 bytes")
	}
	if err := mayRead(by); err != nil {
		return nil, err
	}
	p, err := c.openPerson(c.tx.QueryRowContext(ctx, "SELECT body, details FROM persons WHERE fingerprint = $1", fingerprint))
	if err != nil {
		return nil, err
	}
	if p == nil || !seesAll(by) && p.Participant != by.Participant {
		return nil, errNoPerson()
	}
	return p, nil
}

// Persons lists officials: a department's own to itself, all to operators and
// auditors, in the order of their fingerprints. participant narrows, if it is not
// empty.
func (c *Catalogue) Persons(ctx context.Context, by *identity.Caller, participant string, page Page) ([]*cataloguev1.Person, error) {
	n, err := page.Size()
	if err != nil {
		return nil, err
	}
	if err := mayRead(by); err != nil {
		return nil, err
	}
	after, err := hex.DecodeString(page.After)
	if err != nil {
		return nil, fault.Field("page_token", "page_token", "is not one that the exchange gave")
	}
	if !seesAll(by) {
		if participant == "" {
			participant = by.Participant
		}
		if participant != by.Participant {
			return nil, fault.New(fault.Denied, "participant.other", "a department lists its own officials only")
		}
	}
	if after == nil {
		after = []byte{}
	}
	rows, err := c.tx.QueryContext(ctx, `SELECT body, details FROM persons WHERE fingerprint > $1 AND ($2 = '' OR participant = $2)
		ORDER BY fingerprint LIMIT $3`, after, participant, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*cataloguev1.Person
	for rows.Next() {
		p, err := c.openPerson(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// PersonKey is where a person stands in the order of Persons.
func PersonKey(p *cataloguev1.Person) string { return hex.EncodeToString(p.GetFingerprint()) }
