package agreement

import (
	"slices"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/identity"
)

// step is one line of the table: who may take it, from which state it leads to
// which.
type step struct {
	name string
	side access.Side
	from State
	to   State
	// by is the capacity that its person needs, one of them; empty if no person
	// signs.
	by []identity.Capacity
	// after is the step of the same side that a head approves: by another person.
	after []string
	// note says that the step needs words.
	note bool
	// binds says that what decisions rest on changes.
	binds bool
}

var (
	handler = []identity.Capacity{identity.Handler}
	head    = []identity.Capacity{identity.Head}
	either  = []identity.Capacity{identity.Handler, identity.Head}
)

// steps is the life of a version.
var steps = []step{
	{name: "request", side: access.Consumer, from: none, to: prepared, by: handler},
	{name: "approve", side: access.Consumer, from: prepared, to: requested, by: head, after: []string{"request"}},
	{name: "decline", side: access.Consumer, from: prepared, to: withdrawn, by: head, after: []string{"request"}, note: true},
	{name: "withdraw", side: access.Consumer, from: prepared, to: withdrawn, by: either},
	{name: "withdraw", side: access.Consumer, from: requested, to: withdrawn, by: either},

	{name: "accept", side: access.Provider, from: requested, to: accepting, by: handler},
	{name: "refuse", side: access.Provider, from: requested, to: refusing, by: handler, note: true},
	{name: "return", side: access.Provider, from: requested, to: returned, by: handler},
	{name: "approve", side: access.Provider, from: accepting, to: active, by: head, after: []string{"accept"}, binds: true},
	{name: "approve", side: access.Provider, from: refusing, to: refused, by: head, after: []string{"refuse"}, binds: true},
	{name: "decline", side: access.Provider, from: accepting, to: requested, by: head, after: []string{"accept"}, note: true},
	{name: "decline", side: access.Provider, from: refusing, to: requested, by: head, after: []string{"refuse"}, note: true},

	{name: "ask_extension", side: access.Provider, from: requested, to: requested, note: true},
	{name: "allow_extension", side: access.Operator, from: requested, to: requested},
	{name: "deny_extension", side: access.Operator, from: requested, to: requested, note: true},
	{name: "supply", side: access.Provider, from: active, to: active},

	{name: "suspend", side: access.Consumer, from: active, to: suspended, note: true, binds: true},
	{name: "suspend", side: access.Provider, from: active, to: suspended, note: true, binds: true},
	{name: "suspend", side: access.Operator, from: active, to: suspended, note: true, binds: true},
	{name: "resume", side: access.Consumer, from: suspended, to: active, binds: true},
	{name: "resume", side: access.Provider, from: suspended, to: active, binds: true},
	{name: "resume", side: access.Operator, from: suspended, to: active, binds: true},
	{name: "terminate", side: access.Consumer, from: active, to: terminated, by: head, note: true, binds: true},
	{name: "terminate", side: access.Provider, from: active, to: terminated, by: head, note: true, binds: true},
	{name: "terminate", side: access.Operator, from: active, to: terminated, note: true, binds: true},
	{name: "terminate", side: access.Consumer, from: suspended, to: terminated, by: head, note: true, binds: true},
	{name: "terminate", side: access.Provider, from: suspended, to: terminated, by: head, note: true, binds: true},
	{name: "terminate", side: access.Operator, from: suspended, to: terminated, note: true, binds: true},
	{name: "dispose", side: access.Consumer, from: terminated, to: disposed, by: head, note: true},
	{name: "dispose", side: access.Consumer, from: expired, to: disposed, by: head, note: true},
}

// lineOf finds the line of a step; nil if there is none.
func lineOf(name string, side access.Side, from State) *step {
	for i := range steps {
		if s := &steps[i]; s.name == name && s.side == side && s.from == from {
			return s
		}
	}
	return nil
}

// binds says whether a step of that name by that side may change what decisions
// rest on, in any state.
func binds(name string, side access.Side) bool {
	return slices.ContainsFunc(steps, func(s step) bool { return s.name == name && s.side == side && s.binds })
}

// next says whose turn it is in a state, and what is to be done.
var next = map[State]struct {
	turn access.Side
	what string
}{
	prepared:   {access.Consumer, "the head approves or declines the request"},
	requested:  {access.Provider, "the handler accepts, returns or refuses"},
	accepting:  {access.Provider, "the head approves or declines the acceptance"},
	refusing:   {access.Provider, "the head approves or declines the refusal"},
	returned:   {access.Consumer, "request again with what is missing"},
	terminated: {access.Consumer, "dispose of the data and say so"},
	expired:    {access.Consumer, "renew, or dispose of the data and say so"},
}
