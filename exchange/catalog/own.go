package catalog

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// errReserved keeps the names of the exchange's own topics for itself.
func errReserved() error {
	return fault.Field("topic.name", "topic.reserved", "names that begin with %q are the exchange's own", verify.OwnPrefix)
}

// FoundOwn lists the exchange's own topics, with their contracts from the
// standard pack, where they are missing: in a new exchange, and in one that an
// earlier release made. Their provider is the participant that founded the
// exchange. Any number of processes may call it at once.
func (c *Catalogue) FoundOwn(ctx context.Context, topics ...*cataloguev1.Topic) error {
	founder := c.founder()
	if founder == "" {
		return fault.New(fault.Conflict, "operator.missing", "the exchange has no operator yet")
	}
	if !slices.ContainsFunc(topics, func(t *cataloguev1.Topic) bool { _, err := c.Topic(t.Name); return err != nil }) {
		return nil
	}
	_, err := c.Commit(ctx, Change{}, func(ctx context.Context, w *Write) error {
		for _, t := range topics {
			if err := w.foundOwn(ctx, t, founder, c.partition(t.Name)); err != nil {
				return err
			}
		}
		if len(w.entries) == 0 {
			return errUnchanged
		}
		return nil
	})
	return err
}

// founder is the participant of the first operator.
func (r *Registry) founder() (participant string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var first *cataloguev1.System
	for _, s := range r.systems {
		if !RolesOf(s.Roles).Has(identity.Operator) {
			continue
		}
		if first == nil || s.EnrolledAt.AsTime().Before(first.EnrolledAt.AsTime()) {
			first = s
		}
	}
	return first.GetParticipant()
}

func (w *Write) foundOwn(ctx context.Context, t *cataloguev1.Topic, founder string, partition uint32) error {
	if old, err := w.Topic(ctx, t.Name); err != nil || old != nil {
		return err
	}
	if known, err := w.NewestContract(ctx, t.Contract); err != nil {
		return err
	} else if known == nil {
		standard := contract.Standard()
		i := slices.IndexFunc(standard, func(k *contract.Contract) bool { return k.Name() == t.Contract })
		if i < 0 {
			return fault.New(fault.Internal, "contract.unknown", "the standard pack has no contract %s", t.Contract)
		}
		if _, err := w.registerContract(ctx, standard[i], cataloguev1.Compatibility_COMPATIBILITY_FULL_TRANSITIVE); err != nil {
			return err
		}
	}
	n := proto.CloneOf(t)
	n.Provider, n.State, n.Partition, n.CreatedAt = founder, published, partition, w.At()
	n.PublishedAt, n.Edition = w.At(), 1
	return w.putTopic(ctx, n, "create", "")
}
