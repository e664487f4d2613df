package consent

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Revoke ends a consent.
func (c *Consents) Revoke(ctx context.Context, caller *identity.Caller, r *accessv1.RevokeConsentRequest) (*accessv1.RevokeConsentResponse, error) {
	m, err := parse[accessv1.ConsentRevocation]("revocation", r.GetRevocation())
	if err != nil {
		return nil, err
	}
	if err := checkNonce("revocation", m.Nonce); err != nil {
		return nil, err
	}
	if len(m.Consent) != sha256.Size {
		return nil, fault.Field("revocation.consent", "consent.digest", "is the SHA-256 of the consent's artefact, 32 bytes")
	}
	response := &accessv1.RevokeConsentResponse{}
	err = c.decided(ctx, caller, func(by *identity.Caller, policy uint64) error {
		v := &revoking{c: c, by: by, revocation: m, raw: r.Revocation, proof: r.Proof}
		if err := v.check(ctx); err != nil {
			return err
		}
		commit, err := c.Journal.Submit(ctx, &journal.Call{
			From: by.System, DecidedAt: policy, ValidateOnly: r.ValidateOnly, Build: v.build,
		})
		// A crash here leaves a revocation that its caller does not know of: revoking
		// again gives the receipt.
		switch {
		case errors.Is(err, errRepeat):
			response.Receipt, err = c.again(ctx, v.row.revoked-1)
		case err == nil && r.ValidateOnly:
			return nil
		case err == nil:
			response.Receipt = receipt(commit)
		}
		if err != nil || by.Participant != v.row.recipient {
			return err
		}
		response.Consent, err = c.recorded(ctx, m.Consent)
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// revoking is one call that revokes a consent.
type revoking struct {
	c          *Consents
	by         *identity.Caller
	revocation *accessv1.ConsentRevocation
	raw        []byte
	proof      *accessv1.ConsentProof
	means      accessv1.ConsentMeans
	row        *row
	consent    *accessv1.RecordedConsent
	subject    *ledgerv1.Subject
}

// check refuses what nobody entitled signed. A subject may revoke at any
// department, by token or key; its recipient alone takes a form.
func (v *revoking) check(ctx context.Context) error {
	c := v.c
	if v.revocation.LedgerOrigin != c.origin() {
		return refused("ledger", "the revocation is for another exchange")
	}
	var err error
	if v.row, err = find(ctx, c.DB.Reader(), v.revocation.Consent); err != nil {
		return err
	}
	if v.row == nil || v.proof.GetCounter() != nil && v.row.recipient != v.by.Participant {
		return errUnknown()
	}
	if v.consent, err = c.opened(v.row); err != nil {
		return err
	}
	a, err := parseArtefact(v.consent.Artefact)
	if err != nil {
		return err
	}
	v.subject = a.Subject
	signers := []*ledgerv1.Subject{a.Subject}
	if len(a.Representation) > 0 {
		if represented, err := c.represents(ctx, c.DB.Reader(), a); err == nil {
			signers = append(signers, represented.Representative)
		}
	}
	v.means, err = c.prove(ctx, &statement{
		raw: v.raw, digest: sha256.Sum256(v.raw), typ: typeRevocation, recipient: v.row.recipient, signers: signers,
	}, v.proof)
	return err
}

func (v *revoking) build(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
	c := v.c
	now, err := find(ctx, tx, v.row.digest)
	if err != nil {
		return nil, err
	}
	if now == nil {
		return nil, errUnknown()
	}
	if v.row = now; now.revoked != 0 {
		return nil, errRepeat
	}
	m := v.consent
	m.State, m.Revocation, m.RevocationProof = accessv1.ConsentState_CONSENT_STATE_REVOKED, v.raw, v.proof
	m.RevokedAt, m.RevokedPlusOne = timeOf(slot.At), slot.Index+1
	body, err := c.seal(consentBody, now.digest, m)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE consents SET revoked = $2, body = $3 WHERE digest = $1", now.digest, int64(slot.Index+1), body); err != nil {
		return nil, err
	}
	slot.Bump(journal.GuardConsent, now.holder)
	s := secret()
	revoked := &ledgerv1.ConsentRevoked{Recipient: now.recipient, Means: meansText(v.means)}
	revoked.ConsentCommitment, revoked.SubjectCommitment = commit(s, now.digest, v.subject)
	leaf := leafOf(v.by)
	leaf.Body = &ledgerv1.LedgerEntry_ConsentRevoked{ConsentRevoked: revoked}
	return []journal.Entry{{Leaf: leaf, Opening: &ledgerv1.ReadOpening{
		Secret: s, Consents: [][]byte{now.digest}, Subjects: []*ledgerv1.Subject{v.subject},
	}}}, nil
}
