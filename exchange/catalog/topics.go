package catalog

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/entry"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// The states of an entry, in short.
const (
	draft     = cataloguev1.TopicState_TOPIC_STATE_DRAFT
	submitted = cataloguev1.TopicState_TOPIC_STATE_SUBMITTED
	returned  = cataloguev1.TopicState_TOPIC_STATE_RETURNED
	published = cataloguev1.TopicState_TOPIC_STATE_PUBLISHED
	withdrawn = cataloguev1.TopicState_TOPIC_STATE_WITHDRAWN
)

// maxTopics bounds the topics of a provider, withdrawn ones too.
const maxTopics = 10_000

// CreateTopic lists a topic. A department system drafts what its participant
// provides; what an operator creates is published at once, for it reviews what it
// writes. The repeat of a call changes nothing.
func (c *Catalogue) CreateTopic(ctx context.Context, ch Change, t *cataloguev1.Topic) (*cataloguev1.Topic, *journal.Commit, error) {
	n := entry.Content(t)
	n.Partition = c.partition(n.Name)
	if n.Provider == "" && ch.Actor != nil {
		n.Provider = ch.Actor.Participant
	}
	if err := checkEntry(n); err != nil {
		return nil, nil, err
	}
	return c.changeTopic(ctx, ch, func(ctx context.Context, w *Write) (*cataloguev1.Topic, error) {
		return w.createTopic(ctx, proto.CloneOf(n))
	})
}

// partition gives the partition of a topic's records; it never changes, for the
// number of partitions is fixed when the journal is made.
func (c *Catalogue) partition(topic string) uint32 {
	return uint32(uint64(journal.Number(topic)) % uint64(len(c.Journal.Head().Sequences)))
}

func checkEntry(t *cataloguev1.Topic) error {
	if verify.OwnTopic(t.Name) {
		return errReserved()
	}
	return First(entry.CheckSecrecy(t), entry.CheckDraft(t))
}

// DeliveryModes checks delivery modes; none means subscribe and query.
func DeliveryModes(field string, modes []cataloguev1.DeliveryMode) ([]cataloguev1.DeliveryMode, error) {
	n := entry.Content(&cataloguev1.Topic{DeliveryModes: modes})
	return n.DeliveryModes, entry.CheckModes(field, n.DeliveryModes)
}

// changeTopic commits a change of one topic and gives the topic as the actor sees
// it afterwards, with all its items.
func (c *Catalogue) changeTopic(ctx context.Context, ch Change, change func(ctx context.Context, w *Write) (*cataloguev1.Topic, error)) (*cataloguev1.Topic, *journal.Commit, error) {
	var result *cataloguev1.Topic
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) error {
		t, err := change(ctx, w)
		if t == nil {
			return err
		}
		k, contractErr := w.NewestContract(ctx, t.Contract)
		if contractErr != nil {
			return contractErr
		}
		result = withItems(t, k)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return result, commit, nil
}

func (w *Write) createTopic(ctx context.Context, t *cataloguev1.Topic) (*cataloguev1.Topic, error) {
	if err := w.requireOperatorOr(t.Provider, "topic.owner", "a department creates only topics that it provides itself"); err != nil {
		return nil, err
	}
	p, err := w.Participant(ctx, t.Provider)
	if err != nil {
		return nil, err
	}
	if p == nil || p.State != cataloguev1.State_STATE_ACTIVE {
		return nil, fault.Field("topic.provider", "participant.unknown", "is no active participant")
	}
	k, err := w.contractOf(ctx, t)
	if err != nil {
		return nil, err
	}
	old, err := w.Topic(ctx, t.Name)
	if err != nil {
		return nil, err
	}
	if old != nil {
		if proto.Equal(entry.Content(old), entry.Content(t)) || old.Revision != nil && proto.Equal(entry.Content(old.Revision), entry.Content(t)) {
			return old, errUnchanged
		}
		return nil, fault.New(fault.AlreadyExists, "topic.exists", "another topic has that name")
	}
	if err := w.room(ctx, t.Provider); err != nil {
		return nil, err
	}
	t.CreatedAt, t.State = w.At(), draft
	if w.reviewsItself() {
		if err := w.publish(ctx, t, k); err != nil {
			return nil, err
		}
	}
	return t, w.putTopic(ctx, t, "create", "")
}

// contractOf reads the newest version of an entry's contract and leaves of the
// entry's items what differs from it.
func (w *Write) contractOf(ctx context.Context, t *cataloguev1.Topic) (*cataloguev1.Contract, error) {
	k, err := w.NewestContract(ctx, t.Contract)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, fault.Field("topic.contract", "contract.unknown", "is not registered; register the contract first")
	}
	entry.Trim(t, k)
	return k, nil
}

// room refuses a topic more where a participant has too many.
func (w *Write) room(ctx context.Context, provider string) error {
	var provided int
	if err := w.Tx.QueryRowContext(ctx, "SELECT count(*) FROM topics WHERE provider = $1", provider).Scan(&provided); err != nil {
		return err
	}
	if provided >= maxTopics {
		return fault.New(fault.TooLarge, "topic.number", "a participant provides at most %d topics", maxTopics)
	}
	return nil
}

// reviewsItself says whether what the actor writes needs no review: an operator's
// does not, nor the exchange's own.
func (w *Write) reviewsItself() bool {
	return w.actor == nil || w.actor.Roles.Has(identity.Operator)
}

// Topic reads a topic; nil if there is none.
func (w *Write) Topic(ctx context.Context, name string) (*cataloguev1.Topic, error) {
	return row[cataloguev1.Topic](ctx, w.Tx, "SELECT body FROM topics WHERE name = $1", name)
}

// NewestContract reads the newest version of a contract, without its descriptor
// set; nil if there is none.
func (w *Write) NewestContract(ctx context.Context, name string) (*cataloguev1.Contract, error) {
	return row[cataloguev1.Contract](ctx, w.Tx, "SELECT body FROM contracts WHERE name = $1 ORDER BY version DESC LIMIT 1", name)
}

func (w *Write) putTopic(ctx context.Context, t *cataloguev1.Topic, change, reason string) error {
	body, err := Encode(t)
	if err != nil {
		return err
	}
	var version int64
	err = w.Tx.QueryRowContext(ctx, `INSERT INTO topics (name, provider, version, changed, body) VALUES ($1, $2, 1, $3, $4)
		ON CONFLICT (name) DO UPDATE SET version = topics.version + 1, changed = excluded.changed, body = excluded.body
		RETURNING version`, t.Name, t.Provider, int64(w.Slot.Policy), body).Scan(&version)
	if err != nil {
		return err
	}
	w.Changed(&ledgerv1.ObjectChanged{
		Object: "topic", Id: t.Name, Change: change, Version: uint64(version), Parties: []string{t.Provider}, Reason: reason,
	}, body)
	return nil
}

// withItems gives a topic with all its data items, and its revision with all of
// its.
func withItems(t *cataloguev1.Topic, k *cataloguev1.Contract) *cataloguev1.Topic {
	n := proto.CloneOf(t)
	n.Items = entry.Items(n, k)
	if n.Revision != nil {
		n.Revision.Items = entry.Items(n.Revision, k)
	}
	return n
}

// Code writes a code: a category's, and the number of the entry in it.
func Code(category string, number int64) string { return fmt.Sprintf("%s/%06d", category, number) }
