package consent

import (
	"context"
	"crypto/sha256"
	"math"
	"slices"
	"strconv"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Get gives a consent to the department that it was given to.
func (c *Consents) Get(ctx context.Context, by *identity.Caller, digest []byte) (*accessv1.RecordedConsent, error) {
	if err := department(by); err != nil {
		return nil, err
	}
	if len(digest) != sha256.Size {
		return nil, fault.Field("digest", "consent.digest", "is the SHA-256 of the consent's artefact, 32 bytes")
	}
	r, err := find(ctx, c.DB.Reader(), digest)
	if err != nil {
		return nil, err
	}
	if r == nil || r.recipient != by.Participant {
		return nil, errUnknown()
	}
	return c.shown(r)
}

// List gives the consents to the caller's participant of a subject of one of its
// cases, the newest first.
func (c *Consents) List(ctx context.Context, by *identity.Caller, number string, subject *ledgerv1.Subject, page catalog.Page) ([]*accessv1.RecordedConsent, error) {
	n, before, err := after(page)
	if err != nil {
		return nil, err
	}
	if err := department(by); err != nil {
		return nil, err
	}
	of, err := normalised("subject", subject)
	if err != nil {
		return nil, err
	}
	if number == "" {
		return nil, fault.Field("case_number", "case_number.required", "names a case of your department")
	}
	named, err := c.Cases.SubjectsOf(ctx, by.Participant, number)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(named, func(s *ledgerv1.Subject) bool { return same(s, of) }) {
		return nil, fault.New(fault.Denied, "case.subject", "the case does not name who is asked about")
	}
	rows, err := c.DB.Reader().QueryContext(ctx, rowColumns+"WHERE holder = $1 AND given < $2 ORDER BY given DESC LIMIT $3",
		c.holder(of, by.Participant), before, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*accessv1.RecordedConsent
	for rows.Next() {
		r, err := scanRow(rows)
		if err != nil {
			return nil, err
		}
		m, err := c.shown(r)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, rows.Err()
}

// after reads a page of a list whose newest comes first.
func after(page catalog.Page) (limit int, before int64, err error) {
	if limit, err = page.Size(); err != nil || page.After == "" {
		return limit, math.MaxInt64, err
	}
	if before, err = strconv.ParseInt(page.After, 10, 64); err != nil {
		return 0, 0, fault.Field("page_token", "page_token", "is not one that the exchange gave")
	}
	return limit, before, nil
}

// GivenKey is where a consent stands in the order of a list.
func GivenKey(m *accessv1.RecordedConsent) string { return strconv.FormatUint(m.GetGiven(), 10) }

// RecordedKey is where a representation stands in the order of a list.
func RecordedKey(m *accessv1.RecordedRepresentation) string {
	return strconv.FormatUint(m.GetRecorded(), 10)
}

func normalised(field string, s *ledgerv1.Subject) (*ledgerv1.Subject, error) {
	number, err := contract.Normalise(s.GetType(), s.GetNumber())
	if err != nil {
		return nil, fault.Field(field+".number", fault.RuleOf(err), "%s", fault.Status(err).Message())
	}
	return &ledgerv1.Subject{Type: s.GetType(), Number: number}, nil
}

// Representation gives a representation to the department that recorded it.
func (c *Consents) Representation(ctx context.Context, by *identity.Caller, digest []byte) (*accessv1.RecordedRepresentation, error) {
	if err := department(by); err != nil {
		return nil, err
	}
	if len(digest) != sha256.Size {
		return nil, fault.Field("digest", "representation.digest", "is the SHA-256 of a recorded representation, 32 bytes")
	}
	row, err := findActing(ctx, c.DB.Reader(), digest)
	if err != nil {
		return nil, err
	}
	if row == nil || row.participant != by.Participant {
		return nil, errNoRepresentation()
	}
	return c.shownActing(row)
}

// Representations lists those that the caller's participant recorded, the newest
// first; of one principal, if it is given.
func (c *Consents) Representations(ctx context.Context, by *identity.Caller, principal *ledgerv1.Subject, page catalog.Page) ([]*accessv1.RecordedRepresentation, error) {
	n, before, err := after(page)
	if err != nil {
		return nil, err
	}
	if err := department(by); err != nil {
		return nil, err
	}
	where, args := "WHERE participant = $1 AND recorded < $2", []any{by.Participant, before, n}
	if principal != nil {
		of, err := normalised("principal", principal)
		if err != nil {
			return nil, err
		}
		where, args = where+" AND principal = $4", append(args, c.Keyring.Token(identity.TokenSubject, of.Type, of.Number))
	}
	rows, err := c.DB.Reader().QueryContext(ctx, actingColumns+where+" ORDER BY recorded DESC LIMIT $3", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*accessv1.RecordedRepresentation
	for rows.Next() {
		row, err := scanActing(rows)
		if err != nil {
			return nil, err
		}
		m, err := c.shownActing(row)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, rows.Err()
}
