package catalog

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/entry"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Change is the way a changing call is made.
type Change struct {
	// Actor is who changes; nil for the exchange itself, which may do anything.
	Actor *identity.Caller
	// ValidateOnly checks everything and writes nothing.
	ValidateOnly bool
	// Quiet says that nothing changes which decisions rest on: the change counts
	// as none of policy.
	Quiet bool
}

// errUnchanged refuses a call that would change nothing, so that a repeat of a
// call succeeds and leaves no second entry.
var errUnchanged = errors.New("nothing to change")

// Write is one transaction of a change.
type Write struct {
	Tx   store.Tx
	Slot journal.Slot
	// actor is who changes, with the roles that the transaction sees.
	actor   *identity.Caller
	entries []journal.Entry
}

// Commit runs build in the journal's transaction, under the actor's rights as
// they stand there, and then waits until this process knows of the change. The
// commit is nil if there was nothing to change.
func (c *Catalogue) Commit(ctx context.Context, ch Change, build func(ctx context.Context, w *Write) error) (*journal.Commit, error) {
	call := &journal.Call{ChangesPolicy: !ch.Quiet, ValidateOnly: ch.ValidateOnly}
	if ch.Actor != nil {
		call.From = ch.Actor.System
	}
	call.Build = func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		w := &Write{Tx: tx, Slot: slot}
		if ch.Actor != nil {
			var err error
			if w.actor, err = c.actor(ctx, tx, ch.Actor); err != nil {
				return nil, err
			}
		}
		err := build(ctx, w)
		return w.entries, err
	}
	commit, err := c.Journal.Submit(ctx, call)
	if errors.Is(err, errUnchanged) {
		return nil, nil
	}
	if err != nil || ch.ValidateOnly || ch.Quiet {
		return commit, err
	}
	// The change is committed whatever becomes of this: Follow comes to it too.
	if err := c.Refresh(ctx, commit.Policy); err != nil {
		c.Log.Warn("a change is committed but not read back yet", "error", err)
	}
	return commit, nil
}

// Actor reads a caller's standing in a transaction, for changes that are no
// change of policy: it is refused if its right to call has just ended.
func (c *Catalogue) Actor(ctx context.Context, tx store.Tx, known *identity.Caller) (*identity.Caller, error) {
	return c.actor(ctx, tx, known)
}

// actor reads a caller's standing in a transaction: a change by somebody whose
// right has just ended is refused.
func (c *Catalogue) actor(ctx context.Context, tx store.Tx, known *identity.Caller) (*identity.Caller, error) {
	certificate, err := row[cataloguev1.Certificate](ctx, tx, "SELECT body FROM certificates WHERE fingerprint = $1", known.Fingerprint[:])
	if err != nil {
		return nil, err
	}
	if certificate == nil {
		return nil, fault.New(fault.Unauthenticated, "certificate.unknown", "the certificate is not enrolled on this exchange")
	}
	s := standing{revoked: certificate.Revoked, notBefore: certificate.NotBefore.AsTime(), notAfter: certificate.NotAfter.AsTime()}
	if s.system, err = row[cataloguev1.System](ctx, tx, "SELECT body FROM systems WHERE id = $1", known.System); err != nil {
		return nil, err
	}
	if s.participant, err = row[cataloguev1.Participant](ctx, tx, "SELECT body FROM participants WHERE code = $1", known.Participant); err != nil {
		return nil, err
	}
	if err := s.check(c.Clock()); err != nil {
		return nil, err
	}
	now := *known
	now.Roles = RolesOf(s.system.Roles)
	return &now, nil
}

// row reads the message of one row; nil if there is none.
func row[T any, P interface {
	*T
	proto.Message
}](ctx context.Context, tx store.Tx, query string, args ...any) (P, error) {
	var raw []byte
	err := tx.QueryRowContext(ctx, query, args...).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := P(new(T))
	return m, proto.Unmarshal(raw, m)
}

// RequireOperator refuses an actor that is no operator.
func (w *Write) RequireOperator() error {
	if w.actor == nil || w.actor.Roles.Has(identity.Operator) {
		return nil
	}
	return fault.New(fault.Denied, "role.operator", "only an operator may do this")
}

// requireOperatorOr refuses an actor that is neither an operator nor a
// department system of the participant.
func (w *Write) requireOperatorOr(participant, rule, message string) error {
	if w.actor == nil || w.actor.Roles.Has(identity.Operator) {
		return nil
	}
	if w.actor.Roles.Has(identity.Department) && w.actor.Participant == participant {
		return nil
	}
	return fault.New(fault.Denied, rule, "%s", message)
}

// Unchanged ends a change that has nothing to do.
func (w *Write) Unchanged() error { return errUnchanged }

// Actor names who changes; empty for the exchange itself.
func (w *Write) Actor() string {
	if w.actor == nil {
		return ""
	}
	return w.actor.System
}

// Caller gives who changes, with the roles that the transaction sees; nil for the
// exchange itself.
func (w *Write) Caller() *identity.Caller { return w.actor }

// Encode marshals an object as rows hold it and digests are over it.
func Encode(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

func digestOf(encoded []byte) []byte {
	digest := sha256.Sum256(encoded)
	return digest[:]
}

// Changed adds the entry of a changed object; digested is what its digest is
// over.
func (w *Write) Changed(o *ledgerv1.ObjectChanged, digested []byte) {
	o.Digest, o.Policy = digestOf(digested), w.Slot.Policy
	w.add(&ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Changed{Changed: o}})
}

// Enter adds an entry of who changes.
func (w *Write) Enter(leaf *ledgerv1.LedgerEntry) { w.add(leaf) }

func (w *Write) add(leaf *ledgerv1.LedgerEntry) { w.enter(journal.Entry{Leaf: leaf}) }

func (w *Write) enter(e journal.Entry) {
	if w.actor != nil {
		e.Leaf.Actor, e.Leaf.ActorCertificate = w.actor.System, w.actor.Fingerprint[:]
	}
	w.entries = append(w.entries, e)
}

// Text refuses a text that is missing, too long or not printable, or that holds
// a person's identity number.
func Text(field, text string, required bool) error { return entry.Text(field, text, required) }

// Name refuses a name or title that is missing or no text of one line.
func Name(field, text string) error { return entry.Name(field, text) }

// maxReason bounds a reason, which stands in the ledger in the clear.
const maxReason = 300

// Reason refuses a reason that is missing or too long.
func Reason(reason string) error {
	if len(reason) > maxReason {
		return fault.Field("reason", "reason.size", "has more than %d bytes", maxReason)
	}
	return Text("reason", reason, true)
}

// First gives the first error that is one.
func First(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
