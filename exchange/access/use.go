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
// journal.ErrPolicyMoved. A query by a grant with a daily limit is counted in
// the same transaction, exactly, and refused there once the limit is reached:
// then Submit gives a Denied fault of rule "grant.daily_limit".
func (d *Decision) Call(p *Policy, r Request, entries []journal.Entry) *journal.Call {
	c := &journal.Call{From: r.Caller.System, DecidedAt: d.Policy, Guards: r.Facts.Guards}
	if d.Grant == nil || d.Grant.DailyLimit == 0 || !slices.Contains(forCase, r.Action) {
		c.Entries = entries
		return c
	}
	decided, grant, day := d.Policy, d.Grant, DayOf(p.Clock())
	c.Build = func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		if slot.Policy != decided {
			return nil, journal.ErrPolicyMoved
		}
		return entries, use(ctx, tx, grant, day)
	}
	return c
}

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
		return fault.New(fault.Denied, "grant.daily_limit", "the grant's %d queries of today are used up", g.DailyLimit)
	}
	return nil
}
