package agreement

import (
	"context"
	"strings"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// move moves a version by a step, with the clocks that begin and end with it, and
// says whether an answer came late.
func (a *Agreements) move(ctx context.Context, w *catalog.Write, q *asked, g *accessv1.Grant, line *step, applicant string) (late bool, err error) {
	from := g.State
	g.State, g.Reason = line.to, q.says.Note
	switch line.name {
	case "approve":
		switch line.to {
		case requested:
			return false, a.startAnswer(ctx, w, g, applicant)
		case active:
			return a.agree(ctx, w, g, applicant)
		default:
			return a.stopAnswer(ctx, w, g)
		}
	case "return":
		if g.Resubmitted {
			return false, fault.New(fault.Conflict, "grant.returned_once", "the request was returned once, with everything that was missing; accept or refuse it")
		}
		return a.stopAnswer(ctx, w, g)
	case "withdraw":
		if from == requested {
			return a.stopAnswer(ctx, w, g)
		}
	case "ask_extension", "allow_extension", "deny_extension":
		return false, a.extend(ctx, w, g, line)
	case "supply":
		if g.Supplied {
			return false, fault.New(fault.Conflict, "grant.supplied", "the grant is supplied already")
		}
		g.Supplied = true
		return deadline.Stop(ctx, w.Tx, w.Slot.At, deadline.GrantSupply, g.Id)
	case "suspend":
		g.SuspendedBy = string(line.side)
	case "resume":
		if line.side != access.Operator && string(line.side) != g.SuspendedBy {
			return false, access.ErrSuspendedByOther()
		}
		g.SuspendedBy = ""
	case "terminate":
		g.SuspendedBy = ""
		return deadline.Stop(ctx, w.Tx, w.Slot.At, deadline.GrantSupply, g.Id)
	}
	return false, nil
}

// startAnswer starts the provider's clock, from the day of receipt.
func (a *Agreements) startAnswer(ctx context.Context, w *catalog.Write, g *accessv1.Grant, applicant string) error {
	t, err := w.Topic(ctx, g.Topic)
	if err != nil {
		return err
	}
	kind := deadline.GrantAnswerConditional
	if t.GetSharingClass() == cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL {
		kind = deadline.GrantAnswerUnconditional
	}
	return deadline.Start(ctx, w.Tx, w.Slot.At, deadline.Clock{Kind: kind, Object: g.Id, Owner: g.Provider, Parties: []string{applicant}, Topic: g.Topic})
}

// stopAnswer stops the provider's clock, whichever it is.
func (a *Agreements) stopAnswer(ctx context.Context, w *catalog.Write, g *accessv1.Grant) (late bool, err error) {
	for _, kind := range []deadline.Kind{deadline.GrantAnswerConditional, deadline.GrantAnswerUnconditional} {
		was, err := deadline.Stop(ctx, w.Tx, w.Slot.At, kind, g.Id)
		if err != nil {
			return false, err
		}
		late = late || was
	}
	return late, nil
}

// agree puts a version in force. The catalogue may have changed since the
// request: the terms are held against it once more.
func (a *Agreements) agree(ctx context.Context, w *catalog.Write, g *accessv1.Grant, applicant string) (late bool, err error) {
	if err := access.CheckSides(ctx, w, g); err != nil {
		return false, err
	}
	if access.Ended(g, access.DayOf(a.Clock())) {
		return false, fault.Field("valid_until", "grant.past", "has passed; refuse the request")
	}
	if g.ValidFrom == "" {
		g.ValidFrom = access.Today(a.Clock())
	}
	if late, err = a.stopAnswer(ctx, w, g); err != nil {
		return late, err
	}
	var records int
	err = w.Tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 AS one FROM sealed WHERE topic = $1 AND pos > 0 LIMIT 1) held", journal.Number(g.Topic)).Scan(&records)
	if err != nil {
		return late, err
	}
	before, err := access.InForce(ctx, w.Tx, g.Id)
	if err != nil || records > 0 || before != nil {
		g.Supplied = true
		return late, err
	}
	return late, deadline.Start(ctx, w.Tx, w.Slot.At, deadline.Clock{
		Kind: deadline.GrantSupply, Object: g.Id, Owner: g.Provider, Parties: []string{applicant}, Topic: g.Topic,
	})
}

// extend asks for more time to answer, or gives it: once, with the operator's
// consent; the requester reads of it.
func (a *Agreements) extend(ctx context.Context, w *catalog.Write, g *accessv1.Grant, line *step) error {
	if line.name == "ask_extension" {
		if g.ExtensionAsked {
			return fault.New(fault.Conflict, "grant.extension_asked", "the operator has not said yet")
		}
		g.ExtensionAsked = true
		return nil
	}
	if !g.ExtensionAsked {
		return fault.New(fault.Conflict, "grant.extension_not_asked", "the provider has not asked for more time")
	}
	g.ExtensionAsked = false
	if line.name == "deny_extension" {
		return nil
	}
	return deadline.Extend(ctx, w.Tx, w.Slot.At, deadline.GrantAnswerConditional, g.Id)
}

// clean keeps a word of a caller out of a message unless it looks like a step.
func clean(name string) string {
	if len(name) > 32 || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' }) {
		return "do that to"
	}
	return name
}

func stateName(s State) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "GRANT_STATE_"))
}
