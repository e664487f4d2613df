package access

import (
	"context"
	"slices"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

// Call makes the journal's call for entries that the decision allowed: they
// commit only while the policy is as it was, else Submit gives
// journal.ErrPolicyMoved. A query or check by a grant with a daily limit is counted in
// the same transaction, exactly, and refused there once the limit is reached:
// then Submit gives a Denied fault of rule "grant.daily_limit".
//
// What else must hold in that transaction is given as also; its error refuses
// the call.
func (d *Decision) Call(p *Policy, r Request, entries []journal.Entry, also ...Also) *journal.Call {
	return p.Call([]Allowed{{r, *d}}, entries, also...)
}

// Allowed is a request with the decision that allowed it.
type Allowed struct {
	Request  Request
	Decision Decision
}

// Call is Decision.Call for entries that rest on several decisions of one caller,
// the first of which is on the call as a whole.
func (p *Policy) Call(all []Allowed, entries []journal.Entry, also ...Also) *journal.Call {
	c := &journal.Call{From: all[0].Request.Caller.System, DecidedAt: all[0].Decision.Policy}
	also = slices.Clone(also)
	day := DayOf(p.Clock())
	for _, one := range all {
		// The older count is refused where the two differ: one of them was moved.
		c.DecidedAt = min(c.DecidedAt, one.Decision.Policy)
		c.Guards = append(c.Guards, one.Request.Facts.Guards...)
		if grant := one.Decision.Grant; grant != nil && grant.DailyLimit > 0 && slices.Contains(byGrant, one.Request.Action) {
			also = append(also, func(ctx context.Context, tx store.Tx, _ journal.Slot) error {
				return use(ctx, tx, grant, day)
			})
		}
	}
	if len(also) == 0 {
		c.Entries = entries
		return c
	}
	decided := c.DecidedAt
	c.Build = func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		if slot.Policy != decided {
			return nil, journal.ErrPolicyMoved
		}
		for _, one := range also {
			if err := one(ctx, tx, slot); err != nil {
				return nil, err
			}
		}
		return entries, nil
	}
	return c
}

// Also is what else a call does in its transaction.
type Also func(ctx context.Context, tx store.Tx, slot journal.Slot) error

// use counts one query on the grant's day.
func use(ctx context.Context, tx store.Tx, g *Grant, day int32) error {
	var used int64
	err := tx.QueryRowContext(ctx, `INSERT INTO grant_use (grant_id, day, used) VALUES ($1, $2, 1)
		ON CONFLICT (grant_id) DO UPDATE SET
			used = CASE WHEN grant_use.day = excluded.day THEN grant_use.used + 1 ELSE 1 END, day = excluded.day
		RETURNING used`, g.ID, int64(day)).Scan(&used)
	if err != nil {
		return err
	}
	if uint64(used) > g.DailyLimit {
		return fault.New(fault.Denied, "grant.daily_limit", "the grant's %d queries and checks of today are used up", g.DailyLimit)
	}
	return nil
}
