package subscription

import (
	"context"
	"errors"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// errUnchanged says that a change has nothing to do: its repeat succeeds and
// leaves no second entry.
var errUnchanged = errors.New("nothing to change")

// notOwner says that a subscription is another system's.
type notOwner struct{ topic, provider string }

func (notOwner) Error() string { return "the subscription is another system's" }

// fullID gives the id that a caller means: its own name, or a whole id.
func fullID(by *identity.Caller, id string) string {
	for i := range id {
		if id[i] == '/' {
			return id
		}
	}
	return by.System + "/" + id
}

// own reads a subscription in a transaction and refuses who does not own it.
func (m *Manager) own(ctx context.Context, tx store.Tx, by *identity.Caller, id string) (*standing, *catalog.Topic, error) {
	s, err := load(ctx, tx, id)
	if err != nil {
		return nil, nil, err
	}
	if s == nil {
		return nil, nil, unknown()
	}
	t, err := m.topicOf(s)
	if err != nil {
		return nil, nil, err
	}
	if s.system != by.System {
		return nil, nil, notOwner{s.topic, t.Provider}
	}
	return s, t, nil
}

// concealed answers who asks for another's subscription as if it did not exist,
// and enters that it asked.
func (m *Manager) concealed(ctx context.Context, by *identity.Caller, id string, err error) error {
	var other notOwner
	if !errors.As(err, &other) {
		return err
	}
	d := access.Decision{Kind: fault.NotFound, Rule: "subscription.owner", Topic: other.topic, Provider: other.provider}
	r := access.Request{Caller: by, Action: access.Subscribe, Topic: other.topic, Subscription: id}
	if err := m.Refusals.Refuse(ctx, r, d); err != nil {
		return err
	}
	return unknown()
}

// change changes a subscription of the caller: apply changes the row, or more.
func (m *Manager) change(ctx context.Context, caller *identity.Caller, id string, validateOnly bool,
	apply func(ctx context.Context, tx store.Tx, slot journal.Slot, s *standing, t *catalog.Topic) ([]journal.Entry, error),
) (*standing, *journal.Commit, error) {
	id = fullID(caller, id)
	var s *standing
	commit, err := m.Journal.Submit(ctx, &journal.Call{From: caller.System, ValidateOnly: validateOnly,
		Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
			var t *catalog.Topic
			var err error
			if s, t, err = m.own(ctx, tx, caller, id); err != nil {
				return nil, err
			}
			entries, err := apply(ctx, tx, slot, s, t)
			if err != nil {
				return nil, err
			}
			by(entries, caller)
			return entries, touch(ctx, tx, id)
		}})
	if errors.Is(err, errUnchanged) {
		return s, nil, nil
	}
	if err != nil {
		return nil, nil, m.concealed(ctx, caller, id, err)
	}
	if !validateOnly {
		m.touched(id)
	}
	return s, commit, nil
}

// maxReason bounds a reason, which stands in the ledger in the clear.
const maxReason = 300

// Pause stops deliveries until Resume. What is under way may be settled.
func (m *Manager) Pause(ctx context.Context, by *identity.Caller, id, reason string, validateOnly bool) (*exchangev1.Subscription, *journal.Commit, error) {
	if len(reason) > maxReason {
		return nil, nil, fault.Field("reason", "reason.size", "has more than %d bytes", maxReason)
	}
	if err := catalog.Text("reason", reason, false); err != nil {
		return nil, nil, err
	}
	return m.setState(ctx, by, id, validateOnly, "pause", paused, reason)
}

// Resume lets a paused subscription go on. One that lapsed goes on by itself.
func (m *Manager) Resume(ctx context.Context, by *identity.Caller, id string, validateOnly bool) (*exchangev1.Subscription, *journal.Commit, error) {
	return m.setState(ctx, by, id, validateOnly, "resume", active, "")
}

func (m *Manager) setState(ctx context.Context, by *identity.Caller, id string, validateOnly bool,
	change string, to exchangev1.SubscriptionState, reason string,
) (*exchangev1.Subscription, *journal.Commit, error) {
	s, commit, err := m.change(ctx, by, id, validateOnly,
		func(ctx context.Context, tx store.Tx, _ journal.Slot, s *standing, t *catalog.Topic) ([]journal.Entry, error) {
			if s.state == to {
				return nil, errUnchanged
			}
			s.state, s.reason = to, reason
			s.version++
			return []journal.Entry{s.changed(t.Provider, change, reason)}, s.save(ctx, tx)
		})
	if err != nil {
		return nil, nil, err
	}
	return s.message(), commit, nil
}

// Reset moves the position. Nobody may be receiving. Dead letters of records
// that come again go.
func (m *Manager) Reset(ctx context.Context, by *identity.Caller, id string, start *exchangev1.Start, validateOnly bool) (*exchangev1.Subscription, *journal.Commit, error) {
	if start.GetFrom() == nil {
		return nil, nil, fault.Field("start", "start.required", "says where to begin")
	}
	if err := checkStart(start, m.Clock()); err != nil {
		return nil, nil, err
	}
	s, commit, err := m.change(ctx, by, id, validateOnly,
		func(ctx context.Context, tx store.Tx, _ journal.Slot, s *standing, t *catalog.Topic) ([]journal.Entry, error) {
			receiving, err := members(ctx, tx, s.id)
			if err != nil {
				return nil, err
			}
			if len(receiving) > 0 {
				return nil, fault.New(fault.Conflict, "subscription.receiving", "%d members receive from it; stop them first", len(receiving))
			}
			if s.began, s.snapshot, err = begin(ctx, tx, t, start); err != nil {
				return nil, err
			}
			s.spec.Start = start
			s.version++
			if err := s.save(ctx, tx); err != nil {
				return nil, err
			}
			if err := startOver(ctx, tx, s); err != nil {
				return nil, err
			}
			return []journal.Entry{s.changed(t.Provider, "reset", "")}, moveLanes(ctx, tx, s.id, s.began, "")
		})
	if err != nil {
		return nil, nil, err
	}
	return s.message(), commit, nil
}

// moveLanes puts every lane at a sequence, held by a member or nobody, and
// forgets dead letters of what comes again.
func moveLanes(ctx context.Context, tx store.Tx, id string, to uint64, member string) error {
	_, err := tx.ExecContext(ctx, "UPDATE lanes SET seen = $1, unsettled = $2, member = $3, epoch = epoch + 1 WHERE subscription = $4",
		int64(to), []byte{}, member, id)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM dead_letters WHERE subscription = $1 AND sequence > $2", id, int64(to))
	return err
}

// Delete deletes a subscription with its position and dead letters. Members that
// receive from it are told so.
func (m *Manager) Delete(ctx context.Context, by *identity.Caller, id string, validateOnly bool) (*journal.Commit, error) {
	_, commit, err := m.change(ctx, by, id, validateOnly,
		func(ctx context.Context, tx store.Tx, slot journal.Slot, s *standing, t *catalog.Topic) ([]journal.Entry, error) {
			if s.ofNotices() {
				return nil, fault.New(fault.Conflict, "subscription.notices", "every system has its subscription to notices; pause it, or reset it")
			}
			s.version++
			entries := []journal.Entry{s.changed(t.Provider, "delete", "")}
			for {
				covered, more, err := received(ctx, tx, s, t.Provider)
				if err != nil {
					return nil, err
				}
				entries = append(entries, covered...)
				if !more {
					break
				}
			}
			for _, table := range []string{"lanes", "members", "dead_letters", "acknowledgements"} {
				if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE subscription = $1", s.id); err != nil {
					return nil, err
				}
			}
			if err := forgetEnrolments(ctx, tx, slot, s.id); err != nil {
				return nil, err
			}
			_, err := tx.ExecContext(ctx, "DELETE FROM subscriptions WHERE id = $1", s.id)
			return entries, err
		})
	return commit, err
}
