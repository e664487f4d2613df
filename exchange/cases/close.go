package cases

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func errUnknown() error {
	return fault.New(fault.NotFound, "case.unknown", "your department has no case of this number on the exchange")
}

// Close closes a case of the caller's participant. What was decided while it was
// open and is not committed yet is decided anew. A repeat changes nothing.
func (c *Cases) Close(ctx context.Context, by *identity.Caller, r *accessv1.CloseCaseRequest) (*accessv1.Case, *journal.Commit, error) {
	if err := errors.Join(reference("number", r.Number), reference("person", r.Person), words("outcome", r.Outcome)); err != nil {
		return nil, nil, first(err)
	}
	var result *accessv1.Case
	commit, err := c.commit(ctx, by, r.ValidateOnly, func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		one, err := Find(ctx, tx, c.Token(by.Participant, r.Number))
		if err != nil {
			return nil, err
		}
		if one == nil {
			return nil, errUnknown()
		}
		if result, err = c.whole(ctx, tx, one); err != nil {
			return nil, err
		}
		if !one.Open {
			return nil, errNothing
		}
		result.State, result.ClosedPlusOne, result.Outcome = accessv1.CaseState_CASE_STATE_CLOSED, slot.Index+1, r.Outcome
		result.ClosedAt = timestamppb.New(time.UnixMicro(slot.At).UTC())
		return c.close(ctx, tx, slot, by, one, r)
	})
	return result, commit, err
}

func (c *Cases) close(ctx context.Context, tx store.Tx, slot journal.Slot, by *identity.Caller, one *Case, r *accessv1.CloseCaseRequest) ([]journal.Entry, error) {
	_, err := tx.ExecContext(ctx, "UPDATE cases SET state = $1, closed = $2 WHERE token = $3",
		int64(accessv1.CaseState_CASE_STATE_CLOSED), int64(slot.Index)+1, one.Token)
	if err != nil {
		return nil, err
	}
	slot.Bump(journal.GuardCase, one.Token)
	entry, err := closed(by, one, r)
	if err != nil {
		return nil, err
	}
	entries := []journal.Entry{entry}
	for _, end := range c.onClose {
		more, err := end(ctx, tx, slot, one)
		if err != nil {
			return nil, err
		}
		entries = append(entries, more...)
	}
	return entries, nil
}

func closed(by *identity.Caller, one *Case, r *accessv1.CloseCaseRequest) (journal.Entry, error) {
	secret, err := newSecret()
	if err != nil {
		return journal.Entry{}, err
	}
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: by.System, ActorCertificate: by.Fingerprint[:],
			Body: &ledgerv1.LedgerEntry_CaseClosed{CaseClosed: &ledgerv1.CaseClosed{
				Consumer: by.System, Item: one.Item, OpenedBy: one.Opened,
				CaseCommitment:    verify.CommitText(verify.Case, 0, secret, r.Number),
				PersonCommitment:  verify.CommitText(verify.Person, 0, secret, r.Person),
				OutcomeCommitment: verify.CommitText(verify.Reason, 0, secret, r.Outcome),
			}},
		},
		Opening: &ledgerv1.ReadOpening{Secret: secret, CaseNumber: r.Number, Person: r.Person, Reason: r.Outcome},
	}, nil
}
