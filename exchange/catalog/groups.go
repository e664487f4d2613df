package catalog

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// groupPrefix stands before a group's id where a grant names its consumer.
const groupPrefix = "group:"

// maxMembers bounds the members of a group.
const maxMembers = 500

var groupID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// GroupOf gives the id of the group that a consumer is, and whether it is one.
func GroupOf(consumer string) (id string, ok bool) { return strings.CutPrefix(consumer, groupPrefix) }

// PutGroup makes a group, or changes title, members and lead of one; an operator
// may.
func (c *Catalogue) PutGroup(ctx context.Context, ch Change, g *cataloguev1.Group) (*cataloguev1.Group, *journal.Commit, error) {
	n := &cataloguev1.Group{Id: g.GetId(), Title: g.GetTitle(), Members: slices.Clone(g.GetMembers()), Lead: g.GetLead()}
	if err := checkGroup(n); err != nil {
		return nil, nil, err
	}
	slices.Sort(n.Members)
	var result *cataloguev1.Group
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) (err error) {
		result, err = w.changeGroup(ctx, proto.CloneOf(n))
		return err
	})
	return result, commit, err
}

func checkGroup(g *cataloguev1.Group) error {
	if !groupID.MatchString(g.Id) || contract.HoldsResidentID(g.Id) {
		return fault.Field("group.id", "group.id", `has lower-case letters, digits and "-", at most 63 of them`)
	}
	if len(g.Members) == 0 || len(g.Members) > maxMembers {
		return fault.Field("group.members", "group.members.size", "has 1 to %d members", maxMembers)
	}
	seen := map[string]bool{}
	for _, m := range g.Members {
		if seen[m] {
			return fault.Field("group.members", "group.members.twice", "names a participant twice")
		}
		seen[m] = true
	}
	if !seen[g.Lead] {
		return fault.Field("group.lead", "group.lead", "is the member whose persons sign for the group")
	}
	return Name("group.title", g.Title)
}

func (w *Write) changeGroup(ctx context.Context, n *cataloguev1.Group) (*cataloguev1.Group, error) {
	if err := w.RequireOperator(); err != nil {
		return nil, err
	}
	for _, m := range n.Members {
		p, err := w.Participant(ctx, m)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, fault.Field("group.members", "participant.unknown", "names no registered participant")
		}
	}
	old, err := w.Group(ctx, n.Id)
	if err != nil {
		return nil, err
	}
	n.Version, n.CreatedAt = 1, w.At()
	change := "create"
	if old != nil {
		if old.Removed {
			return nil, fault.New(fault.Conflict, "group.removed", "the group was removed, for good; choose another id")
		}
		n.Version, n.CreatedAt = old.Version, old.CreatedAt
		if proto.Equal(n, old) {
			return old, errUnchanged
		}
		n.Version++
		change = "update"
	}
	// Who leaves is concerned as well as who stays.
	return n, w.putGroup(ctx, n, change, "", append(old.GetMembers(), n.Members...))
}

// RemoveGroup ends a group for good; an operator may.
func (c *Catalogue) RemoveGroup(ctx context.Context, ch Change, id, reason string) (*cataloguev1.Group, *journal.Commit, error) {
	if err := Reason(reason); err != nil {
		return nil, nil, err
	}
	var result *cataloguev1.Group
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) error {
		if err := w.RequireOperator(); err != nil {
			return err
		}
		g, err := w.Group(ctx, id)
		if err != nil {
			return err
		}
		if g == nil {
			return fault.New(fault.NotFound, "group.unknown", "the catalogue has no such group")
		}
		result = g
		if g.Removed {
			return errUnchanged
		}
		g.Removed, g.Reason, g.Version = true, reason, g.Version+1
		return w.putGroup(ctx, g, "remove", reason, g.Members)
	})
	return result, commit, err
}

// Group reads a group; nil if there is none.
func (w *Write) Group(ctx context.Context, id string) (*cataloguev1.Group, error) {
	return row[cataloguev1.Group](ctx, w.Tx, "SELECT body FROM participant_groups WHERE id = $1", id)
}

func (w *Write) putGroup(ctx context.Context, g *cataloguev1.Group, change, reason string, parties []string) error {
	body, err := Encode(g)
	if err != nil {
		return err
	}
	if _, err := w.Tx.ExecContext(ctx, `INSERT INTO participant_groups (id, version, changed, body) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET version = excluded.version, changed = excluded.changed, body = excluded.body`,
		g.Id, int64(g.Version), int64(w.Slot.Policy), body); err != nil {
		return err
	}
	parties = slices.Compact(slices.Sorted(slices.Values(parties)))
	w.Changed(&ledgerv1.ObjectChanged{Object: "group", Id: g.Id, Change: change, Version: g.Version, Parties: parties, Reason: reason}, body)
	return nil
}

// Group finds a group, a removed one too.
func (r *Registry) Group(id string) (*cataloguev1.Group, error) {
	r.mu.RLock()
	g := r.groups[id]
	r.mu.RUnlock()
	if g == nil {
		return nil, fault.New(fault.NotFound, "group.unknown", "the catalogue has no such group")
	}
	return g, nil
}

// ConsumersOf names the groups of a participant as grants name their consumers.
// The caller does not change it.
func (r *Registry) ConsumersOf(participant string) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.groupsOf[participant]
}

// takeGroups takes over groups that changed. The lists are made anew: readers may
// hold the old ones.
func (r *Registry) takeGroups(changed []*cataloguev1.Group) {
	if len(changed) == 0 {
		return
	}
	for _, g := range changed {
		r.groups[g.Id] = g
	}
	r.groupsOf = map[string][]string{}
	for _, g := range r.groups {
		if g.Removed {
			continue
		}
		for _, m := range g.Members {
			r.groupsOf[m] = append(r.groupsOf[m], groupPrefix+g.Id)
		}
	}
	for _, list := range r.groupsOf {
		slices.Sort(list)
	}
}

// Groups lists groups in the order of their ids: all to operators and auditors,
// to a department those that it is a member of.
func (c *Catalogue) Groups(by *identity.Caller, page Page) ([]*cataloguev1.Group, error) {
	n, err := page.Size()
	if err != nil {
		return nil, err
	}
	if err := mayRead(by); err != nil {
		return nil, err
	}
	var list []*cataloguev1.Group
	c.mu.RLock()
	for _, g := range c.groups {
		if g.Id > page.After && (seesAll(by) || !g.Removed && slices.Contains(g.Members, by.Participant)) {
			list = append(list, g)
		}
	}
	c.mu.RUnlock()
	slices.SortFunc(list, func(a, b *cataloguev1.Group) int { return cmp.Compare(a.Id, b.Id) })
	return list[:min(n, len(list))], nil
}
