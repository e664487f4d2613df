package consent

import (
	"context"
	"errors"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// maxInForce bounds the consents of a subject to a recipient that are in force at
// once: a decision looks at all of them.
const maxInForce = 200

// Give records a consent.
func (c *Consents) Give(ctx context.Context, caller *identity.Caller, r *accessv1.GiveConsentRequest) (*accessv1.GiveConsentResponse, error) {
	a, err := parseArtefact(r.GetArtefact())
	if err != nil {
		return nil, err
	}
	response := &accessv1.GiveConsentResponse{}
	err = c.decided(ctx, caller, func(by *identity.Caller, policy uint64) error {
		g := &giving{c: c, by: by, artefact: a, proof: r.Proof}
		if err := g.check(ctx); err != nil {
			return err
		}
		commit, err := c.Journal.Submit(ctx, &journal.Call{
			From: by.System, DecidedAt: policy, ValidateOnly: r.ValidateOnly, Build: g.build,
		})
		// A crash here leaves a consent that its caller does not know of: giving it
		// again gives the receipt.
		switch {
		case errors.Is(err, errRepeat):
			response.Receipt, err = c.again(ctx, g.old.given)
		case err == nil && r.ValidateOnly:
			return nil
		case err == nil:
			response.Receipt = receipt(commit)
		}
		if err != nil {
			return err
		}
		response.Consent, err = c.recorded(ctx, a.digest[:])
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

func (c *Consents) recorded(ctx context.Context, digest []byte) (*accessv1.RecordedConsent, error) {
	r, err := find(ctx, c.DB.Reader(), digest)
	if err != nil || r == nil {
		return nil, errors.Join(err, errUnknown())
	}
	return c.shown(r)
}

func errUnknown() error {
	return fault.New(fault.NotFound, "consent.unknown", "your department has no such consent on the exchange")
}

// giving is one call that gives a consent.
type giving struct {
	c        *Consents
	by       *identity.Caller
	artefact *artefact
	proof    *accessv1.ConsentProof
	means    accessv1.ConsentMeans
	old      *row
}

// check refuses what the artefact itself, the catalogue, the representation and
// the proof refuse.
func (g *giving) check(ctx context.Context) error {
	a, c := g.artefact, g.c
	switch {
	case a.LedgerOrigin != c.origin():
		return refused("ledger", "the consent is for another exchange")
	case a.Recipient != g.by.Participant:
		return refused("recipient", "the consent is to another department than yours")
	case a.until < c.today():
		return refused("expired", "the consent's last day has passed")
	}
	if err := c.checkOffered(a); err != nil {
		return err
	}
	signer := a.Subject
	switch {
	case len(a.Representation) > 0:
		represented, err := c.represents(ctx, c.DB.Reader(), a)
		if err != nil {
			return err
		}
		signer = represented.Representative
	case underage(a.Subject, c.today()):
		return refused("minor", "a child consents through its guardian; record the representation and name it in the consent")
	}
	var err error
	g.means, err = c.prove(ctx, &statement{
		raw: a.raw, digest: a.digest, typ: typeConsent, recipient: a.Recipient, signers: []*ledgerv1.Subject{signer},
	}, g.proof)
	return err
}

// checkOffered refuses a consent to data that the catalogue does not have.
func (c *Consents) checkOffered(a *artefact) error {
	for _, t := range a.Topics {
		topic, err := c.Catalogue.Topic(t.Topic)
		if err != nil {
			return fault.Field("artefact.topics", "topic.unknown", "the catalogue has no such topic")
		}
		for _, name := range t.Fields {
			if len(topic.Mask([]string{name})) == 0 {
				return fault.Field("artefact.topics", "field.unknown", "names a field that the topic's contract does not have at its top")
			}
		}
	}
	return nil
}

func (g *giving) build(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
	a, c := g.artefact, g.c
	var err error
	if g.old, err = find(ctx, tx, a.digest[:]); err != nil {
		return nil, err
	}
	switch {
	case g.old != nil && g.old.revoked != 0:
		return nil, refused("revoked", "the consent was revoked and cannot be given again; ask for a new one")
	case g.old != nil:
		return nil, errRepeat
	}
	if len(a.Representation) > 0 {
		if _, err := c.represents(ctx, tx, a); err != nil {
			return nil, err
		}
	}
	holder := c.holder(a.Subject, a.Recipient)
	if err := c.room(ctx, tx, holder); err != nil {
		return nil, err
	}
	weaker := g.means == accessv1.ConsentMeans_CONSENT_MEANS_COUNTER
	body, err := c.seal(consentBody, a.digest[:], &accessv1.RecordedConsent{
		Digest: a.digest[:], Artefact: a.raw, State: accessv1.ConsentState_CONSENT_STATE_GIVEN, Means: g.means, Weaker: weaker,
		System: g.by.System, Proof: g.proof, GivenAt: timeOf(slot.At), Given: slot.Index,
	})
	if err != nil {
		return nil, err
	}
	r := &row{
		digest: a.digest[:], holder: holder, recipient: a.Recipient, from: a.from, until: a.until, given: slot.Index,
		representation: append([]byte{}, a.Representation...), body: body,
	}
	if err := r.insert(ctx, tx); err != nil {
		return nil, err
	}
	slot.Bump(journal.GuardConsent, holder)
	return []journal.Entry{g.entry(weaker)}, nil
}

func (c *Consents) room(ctx context.Context, tx store.Tx, holder []byte) error {
	var n int
	err := tx.QueryRowContext(ctx, "SELECT count(*) FROM consents WHERE holder = $1 AND revoked = 0 AND valid_until >= $2",
		holder, int64(c.today())).Scan(&n)
	if err == nil && n >= maxInForce {
		err = fault.New(fault.TooLarge, "consent.number", "the subject has %d consents to your department in force; revoke some, or use these", n)
	}
	return err
}

func (g *giving) entry(weaker bool) journal.Entry {
	a, s := g.artefact, secret()
	given := &ledgerv1.ConsentGiven{
		Recipient: a.Recipient, Items: a.ServiceItems, Means: meansText(g.means), Weaker: weaker, Represented: len(a.Representation) > 0,
	}
	for _, t := range a.Topics {
		given.Topics = append(given.Topics, t.Topic)
	}
	given.ConsentCommitment, given.SubjectCommitment = commit(s, a.digest[:], a.Subject)
	leaf := leafOf(g.by)
	leaf.Body = &ledgerv1.LedgerEntry_ConsentGiven{ConsentGiven: given}
	return journal.Entry{Leaf: leaf, Opening: &ledgerv1.ReadOpening{
		Secret: s, Consents: [][]byte{a.digest[:]}, Subjects: []*ledgerv1.Subject{a.Subject},
	}}
}

// commit makes the commitments of an entry to a consent and its subject.
func commit(secret, digest []byte, subject *ledgerv1.Subject) (consent, of []byte) {
	n := verify.Commit(verify.Consent, 0, secret, digest)
	s := verify.CommitSubject(verify.Subject, 0, secret, subject)
	return n[:], s[:]
}
