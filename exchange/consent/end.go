package consent

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

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
