package subscription

import (
	"context"
	"crypto/sha256"
	"errors"
	"regexp"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Defaults and limits of a subscription.
const (
	DefaultLanes       = 4
	MaxLanes           = 64
	DefaultAckWait     = 30 * time.Second
	DefaultMaxAttempts = 5
	MaxAttempts        = 100
	DefaultBackoff     = time.Second
	DefaultMaxBackoff  = 5 * time.Minute
	// MaxOfSystem is how many subscriptions a system may have.
	MaxOfSystem = 20_000
)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// specOf takes what a creator may say of a subscription, with its defaults.
func specOf(in *exchangev1.Subscription, now time.Time) (*exchangev1.Subscription, error) {
	spec := &exchangev1.Subscription{
		Name: in.GetName(), Topic: in.GetTopic(), Start: in.GetStart(), Lanes: in.GetLanes(), MaxAttempts: in.GetMaxAttempts(),
	}
	if !nameForm.MatchString(spec.Name) || contract.HoldsResidentID(spec.Name) {
		return nil, fault.Field("name", "subscription.name",
			`starts with a lower-case letter or digit, has lower-case letters, digits, ".", "-" and "_", at most 63 of them, and names no person`)
	}
	if spec.Topic == "" {
		return nil, fault.Field("topic", "topic.required", "is required")
	}
	if spec.Lanes == 0 {
		spec.Lanes = DefaultLanes
	}
	if spec.Lanes > MaxLanes {
		return nil, fault.Field("lanes", "subscription.lanes", "is 1 to %d", MaxLanes)
	}
	if spec.MaxAttempts == 0 {
		spec.MaxAttempts = DefaultMaxAttempts
	}
	if spec.MaxAttempts > MaxAttempts {
		return nil, fault.Field("max_attempts", "subscription.max_attempts", "is 1 to %d", MaxAttempts)
	}
	if spec.Start.GetFrom() == nil {
		spec.Start = &exchangev1.Start{From: &exchangev1.Start_New{New: true}}
	}
	if err := checkStart(spec.Start, now); err != nil {
		return nil, err
	}
	return spec, times(spec, in)
}

func times(spec, in *exchangev1.Subscription) (err error) {
	within := func(field string, d *durationpb.Duration, otherwise, low, high time.Duration) *durationpb.Duration {
		given := otherwise
		if d != nil {
			given = d.AsDuration()
		}
		if (d.CheckValid() != nil && d != nil || given < low || given > high) && err == nil {
			err = fault.Field(field, "subscription."+field, "is %v to %v", low, high)
		}
		return durationpb.New(given)
	}
	spec.AckWait = within("ack_wait", in.GetAckWait(), DefaultAckWait, 100*time.Millisecond, 24*time.Hour)
	spec.Backoff = within("backoff", in.GetBackoff(), DefaultBackoff, time.Millisecond, 24*time.Hour)
	longest := max(DefaultMaxBackoff, spec.Backoff.AsDuration())
	spec.MaxBackoff = within("max_backoff", in.GetMaxBackoff(), longest, spec.Backoff.AsDuration(), 7*24*time.Hour)
	return err
}

// Create creates a subscription of the calling system. A denial is an entry.
func (m *Manager) Create(ctx context.Context, by *identity.Caller, in *exchangev1.Subscription, validateOnly bool) (*exchangev1.Subscription, *journal.Commit, error) {
	spec, err := specOf(in, m.Clock())
	if err != nil {
		return nil, nil, err
	}
	s := &standing{
		id: by.System + "/" + spec.Name, system: by.System, topic: spec.Topic, spec: spec, version: 1, state: active,
	}
	r := access.Request{Caller: by, Action: access.Subscribe, Topic: spec.Topic, Subscription: s.id}
	commit, err := m.decided(ctx, r, validateOnly, func(ctx context.Context, tx store.Tx, slot journal.Slot, d *access.Decision) ([]journal.Entry, error) {
		return m.create(ctx, tx, slot, s, d)
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return nil, nil, err
	}
	return s.message(), commit, nil
}

func (m *Manager) create(ctx context.Context, tx store.Tx, slot journal.Slot, s *standing, d *access.Decision) ([]journal.Entry, error) {
	t, err := m.topicOf(s)
	if err != nil {
		return nil, err
	}
	known, err := load(ctx, tx, s.id)
	if err != nil {
		return nil, err
	}
	if known.sameNotices(s) {
		*s = *known
		return nil, errUnchanged
	}
	if known != nil {
		return nil, fault.New(fault.AlreadyExists, "subscription.exists", "the system has a subscription of that name")
	}
	var all int64
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM subscriptions WHERE system = $1", s.system).Scan(&all)
	switch {
	case err != nil:
		return nil, err
	case all >= MaxOfSystem:
		return nil, fault.New(fault.TooLarge, "subscription.number", "a system has at most %d subscriptions", MaxOfSystem)
	}
	if s.began, s.snapshot, err = begin(ctx, tx, t, s.spec.Start); err != nil {
		return nil, err
	}
	s.createdAt = slot.At
	if err := s.insert(ctx, tx); err != nil {
		return nil, err
	}
	return []journal.Entry{s.changed(d.Provider, "create", "")}, nil
}

// changed makes the entry of a change of a subscription by its own system.
func (s *standing) changed(provider, change, reason string) journal.Entry {
	digest := sha256.Sum256(encode(s.message()))
	o := &ledgerv1.ObjectChanged{
		Object: "subscription", Id: s.id, Change: change, Version: s.version, Digest: digest[:],
		Parties: []string{provider, verify.ParticipantOf(s.system)}, Reason: reason,
	}
	if change == "delete" {
		o.Digest = nil
	}
	return journal.Entry{Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Changed{Changed: o}}}
}

// maxDecisions bounds how often a moving policy is decided by anew.
const maxDecisions = 20

// decided decides a request and commits what build makes under that decision,
// anew while the policy moves. A denial is committed before it is returned.
func (m *Manager) decided(ctx context.Context, r access.Request, validateOnly bool,
	build func(ctx context.Context, tx store.Tx, slot journal.Slot, d *access.Decision) ([]journal.Entry, error),
) (*journal.Commit, error) {
	for range maxDecisions {
		d := m.Policy.Decide(r)
		if !d.Allow {
			return nil, m.refuse(ctx, r, d)
		}
		commit, err := m.Journal.Submit(ctx, &journal.Call{From: r.Caller.System, ValidateOnly: validateOnly,
			Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
				if slot.Policy != d.Policy {
					return nil, journal.ErrPolicyMoved
				}
				entries, err := build(ctx, tx, slot, &d)
				by(entries, r.Caller)
				return entries, err
			}})
		if !errors.Is(err, journal.ErrPolicyMoved) {
			return commit, err
		}
		if err := m.Policy.Refresh(ctx, 0); err != nil {
			return nil, fault.Wrap(fault.Unavailable, "policy.moving", err, "the policy is changing; try again")
		}
	}
	return nil, fault.New(fault.Unavailable, "policy.moving", "the policy is changing; try again")
}

// by names the caller in entries.
func by(entries []journal.Entry, caller *identity.Caller) {
	for _, e := range entries {
		e.Leaf.Actor, e.Leaf.ActorCertificate = caller.System, caller.Fingerprint[:]
	}
}

// refuse commits a denial and gives it, or why it could not be committed.
func (m *Manager) refuse(ctx context.Context, r access.Request, d access.Decision) error {
	if err := m.Refusals.Refuse(ctx, r, d); err != nil {
		return err
	}
	return d.Err()
}
