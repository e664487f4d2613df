package access

import (
	"slices"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
)

// Nobody needs a grant on the exchange's own topics, and nobody can have one:
// whom a record there names reads it, and who oversees the exchange reads all.
// They are subscribed to; there is nothing to ask them for a case. What is asked of
// suppliers is about persons: who oversees the exchange does not read that.

// readsBoard says whether an operator or auditor reads one of the exchange's own
// topics, which is more than they may of others.
func (q *question) readsBoard() bool {
	return q.board && !verify.FanOutTopic(q.topic.Name) && slices.Contains(standing, q.Action) && q.Caller.Roles.Has(identity.Operator, identity.Auditor)
}

// readBoard decides the reading of one of the exchange's own topics.
func (q *question) readBoard(d Decision) Decision {
	if !slices.Contains(standing, q.Action) {
		return d.refuse(fault.Denied, "topic.delivery_mode", "the exchange's own topics are subscribed to")
	}
	d.Allow, d.Scope = true, ScopeOwn
	if q.readsBoard() {
		d.Scope = ScopeAll
	}
	return d
}
