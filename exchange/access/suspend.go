package access

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// Side is a party to a grant, as steps and entries name it.
type Side string

// The sides; the exchange itself takes steps that follow from what it sees.
const (
	Consumer Side = "consumer"
	Provider Side = "provider"
	Operator Side = "operator"
	Exchange Side = "exchange"
)

// SideIn says which side of a grant who changes is on, as the transaction sees
// it; empty if on none. A group's side is its lead.
func SideIn(ctx context.Context, w *catalog.Write, g *accessv1.Grant) (Side, error) {
	by := w.Caller()
	if by == nil {
		return Exchange, nil
	}
	applicant, err := Applicant(ctx, w, g.Consumer)
	if err != nil {
		return "", err
	}
	department := by.Roles.Has(identity.Department)
	switch {
	case department && by.Participant == g.Provider:
		return Provider, nil
	case department && by.Participant == applicant:
		return Consumer, nil
	case by.Roles.Has(identity.Operator):
		return Operator, nil
	}
	return "", nil
}

// Applicant is the participant whose persons sign for a consumer; empty for a
// group that is no more.
func Applicant(ctx context.Context, w *catalog.Write, consumer string) (string, error) {
	id, ok := catalog.GroupOf(consumer)
	if !ok {
		return verify.ParticipantOf(consumer), nil
	}
	g, err := w.Group(ctx, id)
	if err != nil || g == nil || g.Removed {
		return "", err
	}
	return g.Lead, nil
}

// Suspend suspends a grant that was recorded from outside; an operator may, and a
// system of either side. What rests on it stops within a second, and no release
// is committed under it any more.
func (p *Policy) Suspend(ctx context.Context, ch catalog.Change, id, reason string) (*accessv1.Grant, *journal.Commit, error) {
	if err := catalog.Reason(reason); err != nil {
		return nil, nil, err
	}
	return p.move(ctx, ch, id, accessv1.GrantState_GRANT_STATE_ACTIVE, accessv1.GrantState_GRANT_STATE_SUSPENDED, "suspend", reason)
}

// Resume ends a suspension; an operator may, and the side that suspended.
func (p *Policy) Resume(ctx context.Context, ch catalog.Change, id string) (*accessv1.Grant, *journal.Commit, error) {
	return p.move(ctx, ch, id, accessv1.GrantState_GRANT_STATE_SUSPENDED, accessv1.GrantState_GRANT_STATE_ACTIVE, "resume", "")
}

func (p *Policy) move(ctx context.Context, ch catalog.Change, id string, from, to accessv1.GrantState, step, reason string) (*accessv1.Grant, *journal.Commit, error) {
	var result *accessv1.Grant
	commit, err := p.Commit(ctx, ch, func(ctx context.Context, w *catalog.Write) error {
		g, err := InForce(ctx, w.Tx, id)
		if err != nil {
			return err
		}
		var side Side
		if g != nil {
			if side, err = SideIn(ctx, w, g); err != nil {
				return err
			}
		}
		if side == "" {
			// Who is on neither side learns nothing of it.
			if err := w.RequireOperator(); err != nil {
				return err
			}
			return errUnknown()
		}
		switch {
		case !g.RecordedOutside:
			return fault.New(fault.Conflict, "grant.step.signed", "the grant was agreed on the exchange, where every step is signed: take the step %q", step)
		case g.State == to:
			result = g
			return w.Unchanged()
		case g.State != from:
			return fault.New(fault.Conflict, "grant.state", "a grant in this state cannot %s", step)
		case step == "resume" && side != Operator && string(side) != g.SuspendedBy:
			return ErrSuspendedByOther()
		}
		g.State, g.Reason, g.SuspendedBy = to, reason, string(side)
		if step == "resume" {
			g.SuspendedBy = ""
		}
		g.Steps = append(g.Steps, &accessv1.GrantStep{Side: string(side), Step: step, System: w.Actor(), Note: reason, At: w.At()})
		result = g
		return putOutside(ctx, w, g, step, reason)
	})
	return result, commit, err
}

// ErrSuspendedByOther refuses a side that would lift a suspension which another
// laid on.
func ErrSuspendedByOther() error {
	return fault.New(fault.Denied, "grant.suspended_by", "another side suspended the grant; that side or the operator resumes it")
}
