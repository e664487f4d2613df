package consent

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// row is a row of consents.
type row struct {
	digest, holder []byte
	recipient      string
	from, until    int32
	given          uint64
	revoked        uint64 // plus one; 0 while it is not
	representation []byte
	body           []byte
}

const rowColumns = "SELECT digest, holder, recipient, valid_from, valid_until, given, revoked, representation, body FROM consents "

type scanner interface{ Scan(into ...any) error }

func scanRow(from scanner) (*row, error) {
	r := &row{}
	return r, from.Scan(&r.digest, &r.holder, &r.recipient, &r.from, &r.until, &r.given, &r.revoked, &r.representation, &r.body)
}

// find reads a consent; nil if there is none.
func find(ctx context.Context, tx store.Tx, digest []byte) (*row, error) {
	r, err := scanRow(tx.QueryRowContext(ctx, rowColumns+"WHERE digest = $1", digest))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

func (r *row) insert(ctx context.Context, tx store.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO consents (digest, holder, recipient, valid_from, valid_until, given, revoked, representation, body)
		VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)`,
		r.digest, r.holder, r.recipient, int64(r.from), int64(r.until), int64(r.given), r.representation, r.body)
	return err
}

// opened gives a row's sealed message.
func (c *Consents) opened(r *row) (*accessv1.RecordedConsent, error) {
	m := &accessv1.RecordedConsent{}
	if err := open(c.Keyring, consentBody, r.digest, r.body, m); err != nil {
		return nil, fmt.Errorf("consent %x: %w", r.digest, err)
	}
	return m, nil
}

// shown gives a consent as the API shows it on a day.
func (c *Consents) shown(r *row) (*accessv1.RecordedConsent, error) {
	m, err := c.opened(r)
	if err != nil {
		return nil, err
	}
	a, err := parseArtefact(m.Artefact)
	if err != nil {
		return nil, fmt.Errorf("consent %x: %w", r.digest, err)
	}
	m.Consent = a.Consent
	if m.State == accessv1.ConsentState_CONSENT_STATE_GIVEN && c.today() > r.until {
		m.State = accessv1.ConsentState_CONSENT_STATE_EXPIRED
	}
	return m, nil
}

// OpenConsent opens the sealed body of a consent's row.
func OpenConsent(k *identity.Keyring, digest, body []byte) (*accessv1.RecordedConsent, error) {
	m := &accessv1.RecordedConsent{}
	return m, open(k, consentBody, digest, body, m)
}

// OpenRepresentation opens the sealed body of a representation's row.
func OpenRepresentation(k *identity.Keyring, digest, body []byte) (*accessv1.RecordedRepresentation, error) {
	m := &accessv1.RecordedRepresentation{}
	return m, open(k, representationBody, digest, body, m)
}

// acting is a row of representations.
type acting struct {
	digest, principal []byte
	participant       string
	recorded          uint64
	ended             uint64 // plus one; 0 while it is not
	body              []byte
}

const actingColumns = "SELECT digest, principal, participant, recorded, ended, body FROM representations "

func scanActing(from scanner) (*acting, error) {
	r := &acting{}
	return r, from.Scan(&r.digest, &r.principal, &r.participant, &r.recorded, &r.ended, &r.body)
}

func findActing(ctx context.Context, tx store.Tx, digest []byte) (*acting, error) {
	r, err := scanActing(tx.QueryRowContext(ctx, actingColumns+"WHERE digest = $1", digest))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

func (r *acting) insert(ctx context.Context, tx store.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO representations (digest, principal, participant, recorded, ended, body)
		VALUES ($1, $2, $3, $4, 0, $5)`, r.digest, r.principal, r.participant, int64(r.recorded), r.body)
	return err
}

// Days gives the first and last day of a recorded consent as its row has them.
func Days(m *accessv1.Consent) (from, until int32) {
	from, _ = parseDay(m.ValidFrom)
	until, _ = parseDay(m.ValidUntil)
	return from, until
}
