package subscription

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Every system has a subscription to the notices for its participant, from the
// first that there ever was. It is made by the enrolment, and for a system that
// was enrolled without one when the exchange is opened. It is rows and nothing
// else until somebody receives from it. What a participant acknowledges, on this
// or any other subscription to that topic, stops the clock of the notice.

const (
	// NoticesName is what the subscription is called.
	NoticesName = "notices"
	// madeAtOnce bounds the subscriptions that one call makes.
	madeAtOnce = 200
)

// Enrolled makes the subscription to notices of a system, in the transaction that
// enrols it; a catalog.OnEnrol.
func (m *Manager) Enrolled(ctx context.Context, tx store.Tx, slot journal.Slot, s *cataloguev1.System) ([]journal.Entry, error) {
	return m.makeNotices(ctx, tx, slot, s.Id)
}

// MakeNotices makes the subscription for every system that has none: those that
// enrolled in an earlier release, and who founded the exchange. Any number of
// processes may call it at once.
func (m *Manager) MakeNotices(ctx context.Context) error {
	for {
		_, err := m.Journal.Submit(ctx, &journal.Call{Build: m.makeMissing})
		switch {
		case errors.Is(err, errUnchanged):
			return nil
		case err != nil:
			return err
		}
	}
}

func (m *Manager) makeMissing(ctx context.Context, tx store.Tx, slot journal.Slot) (entries []journal.Entry, err error) {
	systems, err := instances(ctx, tx, `SELECT id FROM systems WHERE NOT EXISTS
		(SELECT 1 FROM subscriptions WHERE subscriptions.id = systems.id || '/' || $1) ORDER BY id LIMIT $2`, NoticesName, madeAtOnce)
	if err != nil {
		return nil, err
	}
	for _, system := range systems {
		made, err := m.makeNotices(ctx, tx, slot, system)
		if err != nil {
			return nil, err
		}
		entries = append(entries, made...)
	}
	if len(entries) == 0 {
		return nil, errUnchanged
	}
	return entries, nil
}

func (m *Manager) makeNotices(ctx context.Context, tx store.Tx, slot journal.Slot, system string) ([]journal.Entry, error) {
	spec, err := specOf(&exchangev1.Subscription{
		Name: NoticesName, Topic: notice.Notices, Start: &exchangev1.Start{From: &exchangev1.Start_All{All: true}},
	}, m.Clock())
	if err != nil {
		return nil, err
	}
	s := &standing{
		id: system + "/" + NoticesName, system: system, topic: spec.Topic, spec: spec, version: 1, state: active, createdAt: slot.At,
	}
	t, err := m.topicOf(s)
	if err != nil {
		return nil, err
	}
	return []journal.Entry{s.changed(t.Provider, "create", "")}, s.insert(ctx, tx)
}

// ofNotices says whether it is the subscription that every system has. A system
// that had taken the name for another topic keeps that.
func (s *standing) ofNotices() bool {
	return s.topic == notice.Notices && s.id == s.system+"/"+NoticesName
}

// sameNotices says whether a call to create asks for the subscription to notices
// just as it is: that succeeds and changes nothing. s may be nil.
func (s *standing) sameNotices(asked *standing) bool {
	return s != nil && s.ofNotices() && s.topic == asked.topic && proto.Equal(s.spec, asked.spec)
}

// noticedThrough takes the word of a subscriber that keeps its own position for an
// acknowledgement of the notices up to it: if it ended before its own came, none
// comes any more.
func (s *session) noticedThrough(ctx context.Context, tx store.Tx, slot journal.Slot, through uint64) error {
	open, err := deadline.Unacknowledged(ctx, tx, s.caller.Participant)
	if err != nil {
		return err
	}
	var notices []uint64
	a := &ledgerv1.Acknowledgement{Subscription: s.id, System: s.caller.System, Certificate: s.caller.Fingerprint[:]}
	for _, index := range open {
		var sequence uint64
		if err := tx.QueryRowContext(ctx, "SELECT pos FROM sealed WHERE idx = $1", int64(index)).Scan(&sequence); err != nil {
			return err
		}
		if sequence <= through {
			notices, a.Sequences = append(notices, index), append(a.Sequences, sequence)
		}
	}
	if len(notices) == 0 {
		return nil
	}
	s.m.cover.add(s.id)
	return errors.Join(keepAcknowledgement(ctx, tx, s.id, encode(a)), deadline.Acknowledge(ctx, tx, slot.At, s.caller.Participant, notices))
}
