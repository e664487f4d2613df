package catalog

import (
	"context"
	"regexp"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// maxTopics bounds the topics of a provider, withdrawn ones too.
const maxTopics = 10_000

var topicName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,95}$`)

// CreateTopic lists a topic. A department system creates what its participant
// provides, an operator any. The repeat of a call changes nothing.
func (c *Catalogue) CreateTopic(ctx context.Context, ch Change, t *cataloguev1.Topic) (*cataloguev1.Topic, *journal.Commit, error) {
	n := &cataloguev1.Topic{
		Name: t.Name, Title: t.Title, Provider: t.Provider, Contract: t.Contract, SharingClass: t.SharingClass,
		Conditions: t.Conditions, LegalBasis: t.LegalBasis, UpdateCycle: t.UpdateCycle,
		DeliveryModes: slices.Clone(t.DeliveryModes), SignatureRequired: t.SignatureRequired,
		State: cataloguev1.State_STATE_ACTIVE, Partition: c.partition(t.Name),
	}
	if n.Provider == "" && ch.Actor != nil {
		n.Provider = ch.Actor.Participant
	}
	if err := checkTopic(n); err != nil {
		return nil, nil, err
	}
	var result *cataloguev1.Topic
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) (err error) {
		result, err = w.createTopic(ctx, proto.CloneOf(n))
		return err
	})
	return result, commit, err
}

// partition gives the partition of a topic's records; it never changes, for the
// number of partitions is fixed when the journal is made.
func (c *Catalogue) partition(topic string) uint32 {
	return uint32(uint64(journal.Number(topic)) % uint64(len(c.Journal.Head().Sequences)))
}

func checkTopic(t *cataloguev1.Topic) error {
	if verify.OwnTopic(t.Name) {
		return errReserved()
	}
	if !topicName.MatchString(t.Name) || contract.HoldsResidentID(t.Name) {
		return fault.Field("topic.name", "topic.name",
			`starts with a lower-case letter or digit, has lower-case letters, digits, "-" and "_", at most 96 of them, and names no person`)
	}
	if err := First(
		Text("topic.title", t.Title, true), Text("topic.contract", t.Contract, true), Text("topic.conditions", t.Conditions, false),
		Text("topic.legal_basis", t.LegalBasis, t.SharingClass == cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED),
		Text("topic.update_cycle", t.UpdateCycle, false),
	); err != nil {
		return err
	}
	if _, ok := cataloguev1.SharingClass_name[int32(t.SharingClass)]; !ok || t.SharingClass == 0 {
		return fault.Field("topic.sharing_class", "topic.sharing_class.required", "is unconditional, conditional or not shared")
	}
	modes, err := DeliveryModes("topic.delivery_modes", t.DeliveryModes)
	t.DeliveryModes = modes
	return err
}

// DeliveryModes checks delivery modes; none means subscribe and query.
func DeliveryModes(field string, modes []cataloguev1.DeliveryMode) ([]cataloguev1.DeliveryMode, error) {
	if len(modes) == 0 {
		return []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE, cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY}, nil
	}
	modes = slices.Clone(modes)
	slices.Sort(modes)
	for i, m := range modes {
		switch {
		case cataloguev1.DeliveryMode_name[int32(m)] == "", m == 0, i > 0 && modes[i-1] == m:
			return nil, fault.Field(field, field+".unknown", "names an unknown delivery mode, or one twice")
		}
	}
	return modes, nil
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
	k, err := row[cataloguev1.Contract](ctx, w.Tx, "SELECT body FROM contracts WHERE name = $1 AND version = 1", t.Contract)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, fault.Field("topic.contract", "contract.unknown", "is not registered; register the contract first")
	}
	old, err := w.Topic(ctx, t.Name)
	if err != nil {
		return nil, err
	}
	t.CreatedAt = w.At()
	if old != nil {
		t.CreatedAt = old.CreatedAt
		if proto.Equal(t, old) {
			return old, errUnchanged
		}
		return nil, fault.New(fault.AlreadyExists, "topic.exists", "another topic has that name")
	}
	var provided int
	if err := w.Tx.QueryRowContext(ctx, "SELECT count(*) FROM topics WHERE provider = $1", t.Provider).Scan(&provided); err != nil {
		return nil, err
	}
	if provided >= maxTopics {
		return nil, fault.New(fault.TooLarge, "topic.number", "a participant provides at most %d topics", maxTopics)
	}
	return t, w.putTopic(ctx, t, "create", "")
}

// WithdrawTopic ends the exchange of records on a topic, for good. Its provider
// may, and an operator.
func (c *Catalogue) WithdrawTopic(ctx context.Context, ch Change, name, reason string) (*cataloguev1.Topic, *journal.Commit, error) {
	if err := Reason(reason); err != nil {
		return nil, nil, err
	}
	if verify.OwnTopic(name) {
		return nil, nil, errReserved()
	}
	var result *cataloguev1.Topic
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) error {
		if w.actor != nil && !w.actor.Roles.Has(identity.Department, identity.Operator) {
			return fault.New(fault.Denied, "role.department", "topics are withdrawn by their provider or an operator")
		}
		t, err := w.Topic(ctx, name)
		if err != nil {
			return err
		}
		if t == nil {
			return fault.New(fault.NotFound, "topic.unknown", "the catalogue has no such topic")
		}
		if err := w.requireOperatorOr(t.Provider, "topic.owner", "only the topic's provider withdraws it, or an operator"); err != nil {
			return err
		}
		result = t
		if t.State == cataloguev1.State_STATE_WITHDRAWN {
			return errUnchanged
		}
		t.State = cataloguev1.State_STATE_WITHDRAWN
		return w.putTopic(ctx, t, "withdraw", reason)
	})
	return result, commit, err
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
