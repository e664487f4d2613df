package subscription

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

const (
	active = exchangev1.SubscriptionState_SUBSCRIPTION_STATE_ACTIVE
	paused = exchangev1.SubscriptionState_SUBSCRIPTION_STATE_PAUSED
	lapsed = exchangev1.SubscriptionState_SUBSCRIPTION_STATE_LAPSED
)

// standing is a subscription's row.
type standing struct {
	id, system, topic string
	spec              *exchangev1.Subscription
	version           uint64
	state             exchangev1.SubscriptionState
	reason            string
	// began is the sequence after which it starts, snapshot the one up to which
	// only present versions are delivered.
	began, snapshot uint64
	createdAt       int64
	received        int64
}

func (s *standing) settings() settings {
	return settings{
		ackWait: s.spec.AckWait.AsDuration(), backoff: s.spec.Backoff.AsDuration(),
		maxBackoff: s.spec.MaxBackoff.AsDuration(), maxAttempts: s.spec.MaxAttempts,
	}
}

// settings are how deliveries are tried again.
type settings struct {
	ackWait, backoff, maxBackoff time.Duration
	maxAttempts                  uint32
}

// after gives the delay after an attempt that failed.
func (s *settings) after(attempts uint32) time.Duration {
	d := s.backoff
	for range attempts - 1 {
		if d >= s.maxBackoff {
			break
		}
		d *= 2
	}
	return min(d, s.maxBackoff)
}

// message gives the subscription as the API shows it, without what is filled in
// on get and list.
func (s *standing) message() *exchangev1.Subscription {
	m := proto.CloneOf(s.spec)
	m.Id, m.System, m.Topic = s.id, s.system, s.topic
	m.State, m.Reason = s.state, s.reason
	m.CreatedAt = timestamppb.New(time.UnixMicro(s.createdAt).UTC())
	return m
}

const selectStanding = "SELECT id, system, topic, spec, version, state, reason, began, snapshot, created_at, received FROM subscriptions "

func scanStanding(scan func(...any) error) (*standing, error) {
	s := &standing{spec: &exchangev1.Subscription{}}
	var spec []byte
	var version, state, began, snapshot int64
	err := scan(&s.id, &s.system, &s.topic, &spec, &version, &state, &s.reason, &began, &snapshot, &s.createdAt, &s.received)
	if err != nil {
		return nil, err
	}
	s.version, s.state, s.began, s.snapshot = uint64(version), exchangev1.SubscriptionState(state), uint64(began), uint64(snapshot)
	return s, proto.Unmarshal(spec, s.spec)
}

// load reads a subscription; nil if there is none.
func load(ctx context.Context, tx store.Tx, id string) (*standing, error) {
	s, err := scanStanding(tx.QueryRowContext(ctx, selectStanding+"WHERE id = $1", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return s, err
}

// save writes what of a subscription's row changes.
func (s *standing) save(ctx context.Context, tx store.Tx) error {
	_, err := tx.ExecContext(ctx, "UPDATE subscriptions SET version = $1, state = $2, reason = $3, began = $4, snapshot = $5, spec = $6 WHERE id = $7",
		int64(s.version), int64(s.state), s.reason, int64(s.began), int64(s.snapshot), encode(s.spec), s.id)
	return err
}

// insert writes a new subscription and its lanes.
func (s *standing) insert(ctx context.Context, tx store.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO subscriptions
		(id, system, topic, spec, version, state, reason, began, snapshot, created_at, received, changed)
		VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8, $9, 0, 0)`,
		s.id, s.system, s.topic, encode(s.spec), int64(s.version), int64(s.state), int64(s.began), int64(s.snapshot), s.createdAt)
	if err != nil {
		return err
	}
	for n := range s.spec.Lanes {
		_, err := tx.ExecContext(ctx, "INSERT INTO lanes (subscription, lane, seen, unsettled, member, epoch) VALUES ($1, $2, $3, $4, '', 1)",
			s.id, int64(n), int64(s.began), []byte{})
		if err != nil {
			return err
		}
	}
	return touch(ctx, tx, s.id)
}

func encode(m proto.Message) []byte {
	// A message of this package's own making always marshals.
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return b
}

// laneRow is a lane's row.
type laneRow struct {
	number    uint32
	seen      uint64
	unsettled []unsettled
	member    string
	epoch     int64
}

// lanes reads the lanes of a subscription in their order.
func lanes(ctx context.Context, tx store.Tx, id string) ([]laneRow, error) {
	rows, err := tx.QueryContext(ctx, "SELECT lane, seen, unsettled, member, epoch FROM lanes WHERE subscription = $1 ORDER BY lane", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []laneRow
	for rows.Next() {
		var r laneRow
		var number, seen int64
		var raw []byte
		if err := rows.Scan(&number, &seen, &raw, &r.member, &r.epoch); err != nil {
			return nil, err
		}
		r.number, r.seen = uint32(number), uint64(seen)
		if r.unsettled, err = decodeRow(r.seen, raw); err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

// members lists who receives from a subscription now, by name.
type member struct {
	name, session string
	alone         bool
}

func members(ctx context.Context, tx store.Tx, id string) ([]member, error) {
	rows, err := tx.QueryContext(ctx, "SELECT member, session, alone FROM members WHERE subscription = $1 ORDER BY member", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []member
	for rows.Next() {
		var m member
		var alone int64
		if err := rows.Scan(&m.name, &m.session, &alone); err != nil {
			return nil, err
		}
		m.alone = alone != 0
		found = append(found, m)
	}
	return found, rows.Err()
}

func unknown() error {
	return fault.New(fault.NotFound, "subscription.unknown", "the caller has no such subscription")
}

func errStopping() error {
	return fault.New(fault.Unavailable, "exchange.stopping", "the exchange is stopping; connect again")
}

// topicOf finds a subscription's topic; topics stay in the catalogue for good.
func (m *Manager) topicOf(s *standing) (*catalog.Topic, error) { return m.Catalogue.Topic(s.topic) }
