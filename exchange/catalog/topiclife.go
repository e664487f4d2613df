package catalog

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/entry"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// UpdateTopic edits a draft. Of what is published it drafts a revision, and the
// published entry stays in force until the revision is reviewed; an operator's
// update is in force at once.
func (c *Catalogue) UpdateTopic(ctx context.Context, ch Change, t *cataloguev1.Topic) (*cataloguev1.Topic, *journal.Commit, error) {
	if err := entry.CheckSecrecy(t); err != nil {
		return nil, nil, err
	}
	return c.changeTopic(ctx, ch, func(ctx context.Context, w *Write) (*cataloguev1.Topic, error) {
		old, err := w.topicOf(ctx, t.GetName(), "only the topic's provider edits it, or an operator")
		if err != nil {
			return nil, err
		}
		n := entry.Content(t)
		if n.Provider == "" {
			n.Provider = old.Provider
		}
		if n.Contract == "" {
			n.Contract = old.Contract
		}
		if err := First(checkEntry(n), fixed(old, n)); err != nil {
			return nil, err
		}
		return w.updateTopic(ctx, old, n)
	})
}

// topicOf reads a topic that the actor may change. One that was never published
// does not exist for others.
func (w *Write) topicOf(ctx context.Context, name, otherwise string) (*cataloguev1.Topic, error) {
	if w.actor != nil && !w.actor.Roles.Has(identity.Department, identity.Operator) {
		return nil, fault.New(fault.Denied, "role.department", "catalogue entries are kept by departments and operators")
	}
	if verify.OwnTopic(name) {
		return nil, errReserved()
	}
	t, err := w.Topic(ctx, name)
	if err != nil {
		return nil, err
	}
	unknown := fault.New(fault.NotFound, "topic.unknown", "the catalogue has no such topic")
	if t == nil {
		return nil, unknown
	}
	if err := w.requireOperatorOr(t.Provider, "topic.owner", otherwise); err != nil {
		if hidden(t) {
			return nil, unknown
		}
		return nil, err
	}
	return t, nil
}

// hidden says whether an entry was never published.
func hidden(t *cataloguev1.Topic) bool { return t.PublishedAt == nil && t.State != published }

// fixed refuses a change of what stays for good. Of a draft that is only whose it
// is; records are read by a published entry's contract, and its code is cited.
func fixed(old, n *cataloguev1.Topic) error {
	switch {
	case n.Provider != old.Provider:
		return fault.Field("topic.provider", "topic.provider.fixed", "cannot be changed; withdraw the topic and list another")
	case hidden(old):
	case n.Contract != old.Contract:
		return fault.Field("topic.contract", "topic.contract.fixed", "cannot be changed once the topic is published; register a new version of the contract, or list another topic")
	case old.Code != "" && n.Category.GetCode() != old.Category.GetCode():
		return fault.Field("topic.category.code", "topic.category.fixed", "cannot be changed once the topic is published, for its code begins with it; withdraw the topic and list another")
	}
	return nil
}

func (w *Write) updateTopic(ctx context.Context, old, n *cataloguev1.Topic) (*cataloguev1.Topic, error) {
	k, err := w.contractOf(ctx, n)
	if err != nil {
		return nil, err
	}
	switch {
	case old.State == withdrawn:
		return nil, errWithdrawn()
	case pending(old).GetState() == submitted:
		return nil, fault.New(fault.Conflict, "topic.submitted", "the entry is under review; edit it when the review is done")
	case old.State == published && w.reviewsItself():
		if same(n, old) {
			return old, errUnchanged
		}
		next := over(old, n)
		if err := w.publish(ctx, next, k); err != nil {
			return nil, err
		}
		return next, w.putTopic(ctx, next, "update", "")
	case w.reviewsItself():
		return nil, errDraft()
	case old.State == published:
		return w.revise(ctx, old, n)
	case same(n, old):
		return old, errUnchanged
	}
	next := over(old, n)
	return next, w.putTopic(ctx, next, "update", "")
}

// revise drafts a revision of a published entry, edits it, or drops it if it says
// what is in force.
func (w *Write) revise(ctx context.Context, old, n *cataloguev1.Topic) (*cataloguev1.Topic, error) {
	next := proto.CloneOf(old)
	switch {
	case same(n, old) && old.Revision == nil, old.Revision != nil && same(n, old.Revision):
		return old, errUnchanged
	case same(n, old):
		next.Revision = nil
	case old.Revision == nil:
		n.State = draft
		next.Revision = n
	default:
		next.Revision = over(old.Revision, n)
	}
	return next, w.putTopic(ctx, next, "revise", "")
}

func same(n, old *cataloguev1.Topic) bool { return proto.Equal(entry.Content(n), entry.Content(old)) }

// over puts new content in the place of old, with all that the exchange knows of
// the old.
func over(old, n *cataloguev1.Topic) *cataloguev1.Topic {
	next := entry.Content(n)
	next.State, next.CreatedAt, next.Partition, next.Code = old.State, old.CreatedAt, old.Partition, old.Code
	next.Revision, next.Findings = old.Revision, old.Findings
	next.SubmittedAt, next.PublishedAt, next.Edition = old.SubmittedAt, old.PublishedAt, old.Edition
	return next
}

// pending is what is drafted, under review or returned of a topic: the entry
// itself until it is published, then its revision; nil if there is none.
func pending(t *cataloguev1.Topic) *cataloguev1.Topic {
	switch t.State {
	case published:
		return t.Revision
	case withdrawn:
		return nil
	}
	return t
}

// SubmitTopic hands a draft or a revision to the operator and starts the clock of
// the review. It must be whole: everything that is missing is told at once.
func (c *Catalogue) SubmitTopic(ctx context.Context, ch Change, name string) (*cataloguev1.Topic, *journal.Commit, error) {
	reviewer := c.founder()
	return c.changeTopic(ctx, ch, func(ctx context.Context, w *Write) (*cataloguev1.Topic, error) {
		t, err := w.topicOf(ctx, name, "only the topic's provider submits it")
		if err != nil {
			return nil, err
		}
		p := pending(t)
		switch {
		case t.State == withdrawn:
			return nil, errWithdrawn()
		case p == nil:
			return nil, fault.New(fault.Conflict, "topic.published", "the entry is published, and no revision of it is drafted; edit it first")
		case p.State == submitted:
			return t, errUnchanged
		case w.reviewsItself():
			return nil, errDraft()
		}
		k, err := w.contractOf(ctx, p)
		if err != nil {
			return nil, err
		}
		if err := entry.CheckSubmitted(p, k); err != nil {
			return nil, err
		}
		p.State, p.Findings, p.SubmittedAt = submitted, nil, w.At()
		err = deadline.Start(ctx, w.Tx, w.Slot.At, deadline.Clock{
			Kind: deadline.CatalogueReview, Object: t.Name, Owner: reviewer, Parties: []string{t.Provider}, Topic: t.Name,
		})
		if err != nil {
			return nil, err
		}
		return t, w.putTopic(ctx, t, "submit", "")
	})
}

// publish puts an entry in force.
func (w *Write) publish(ctx context.Context, t *cataloguev1.Topic, k *cataloguev1.Contract) error {
	if err := First(entry.CheckSecrecy(t), entry.CheckPublished(t, k)); err != nil {
		return err
	}
	t.State, t.Findings, t.SubmittedAt = published, nil, nil
	t.PublishedAt, t.Edition = w.At(), t.Edition+1
	return w.number(ctx, t)
}

// number gives an entry its code: its category's and the next number in it.
func (w *Write) number(ctx context.Context, t *cataloguev1.Topic) error {
	category := t.Category.GetCode()
	if category == "" || t.Code != "" {
		return nil
	}
	var last int64
	if err := w.Tx.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) FROM topic_codes WHERE category = $1", category).Scan(&last); err != nil {
		return err
	}
	t.Code = Code(category, last+1)
	_, err := w.Tx.ExecContext(ctx, "INSERT INTO topic_codes (category, number, topic) VALUES ($1, $2, $3)", category, last+1, t.Name)
	return err
}

// WithdrawTopic ends the exchange of records on a topic, for good, or a draft.
// Its provider may, and an operator.
func (c *Catalogue) WithdrawTopic(ctx context.Context, ch Change, name, reason string) (*cataloguev1.Topic, *journal.Commit, error) {
	if err := Reason(reason); err != nil {
		return nil, nil, err
	}
	return c.changeTopic(ctx, ch, func(ctx context.Context, w *Write) (*cataloguev1.Topic, error) {
		t, err := w.topicOf(ctx, name, "only the topic's provider withdraws it, or an operator")
		if err != nil {
			return nil, err
		}
		if t.State == withdrawn {
			return t, errUnchanged
		}
		if _, err := deadline.Stop(ctx, w.Tx, w.Slot.At, deadline.CatalogueReview, t.Name); err != nil {
			return nil, err
		}
		t.State, t.Revision = withdrawn, nil
		return t, w.putTopic(ctx, t, "withdraw", reason)
	})
}

// errDraft keeps those who review from writing what they review.
func errDraft() error {
	return fault.New(fault.Conflict, "topic.draft", "the draft is its department's; an operator reviews it once it is submitted")
}

func errWithdrawn() error {
	return fault.New(fault.Conflict, "topic.withdrawn", "the topic was withdrawn, which is for good; list another")
}
