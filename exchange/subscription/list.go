package subscription

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// maxPending bounds how far pending records are counted.
const maxPending = 100_000

// Get gives a subscription with its standing: to its own system, and to
// operators, who see no payload by it.
func (m *Manager) Get(ctx context.Context, by *identity.Caller, id string) (*exchangev1.Subscription, error) {
	s, err := m.visible(ctx, by, id)
	if err != nil {
		return nil, err
	}
	return m.show(ctx, s)
}

// visible reads a subscription that a caller may see.
func (m *Manager) visible(ctx context.Context, by *identity.Caller, id string) (*standing, error) {
	id = fullID(by, id)
	s, _, err := m.own(ctx, m.DB.Reader(), by, id)
	if _, other := err.(notOwner); other && by.Roles.Has(identity.Operator) {
		return load(ctx, m.DB.Reader(), id)
	}
	if err != nil {
		return nil, m.concealed(ctx, by, id, err)
	}
	return s, nil
}

// List lists a page of the caller's subscriptions, by id; an operator may ask for
// another system's, or with "*" for all. topic narrows, if it is not empty.
func (m *Manager) List(ctx context.Context, by *identity.Caller, system, topic string, page catalog.Page) ([]*exchangev1.Subscription, error) {
	n, err := page.Size()
	if err != nil {
		return nil, err
	}
	if system == "" {
		system = by.System
	}
	if system != by.System && !by.Roles.Has(identity.Operator) {
		d := access.Decision{Kind: fault.Denied, Rule: "role.operator", Message: "a system lists its own subscriptions; only an operator lists others'"}
		return nil, m.refuse(ctx, access.Request{Caller: by, Action: access.Subscribe}, d)
	}
	rows, err := m.DB.Reader().QueryContext(ctx, selectStanding+
		"WHERE (system = $1 OR $1 = '*') AND (topic = $2 OR $2 = '') AND id > $3 ORDER BY id LIMIT $4", system, topic, page.After, n)
	if err != nil {
		return nil, err
	}
	var found []*standing
	for rows.Next() {
		s, err := scanStanding(rows.Scan)
		if err != nil {
			rows.Close()
			return nil, err
		}
		found = append(found, s)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, err
	}
	list := make([]*exchangev1.Subscription, len(found))
	for i, s := range found {
		if list[i], err = m.show(ctx, s); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// show gives a subscription with its standing.
func (m *Manager) show(ctx context.Context, s *standing) (*exchangev1.Subscription, error) {
	tx := m.DB.Reader()
	rows, err := lanes(ctx, tx, s.id)
	if err != nil {
		return nil, err
	}
	out := s.message()
	out.Floor = floorOfLanes(rows)
	for i := range rows {
		r := &rows[i]
		l := &exchangev1.Lane{Number: r.number, Floor: floorOf(r.seen, r.unsettled), Member: r.member, Epoch: uint64(r.epoch), Above: uint64(len(r.unsettled))}
		for _, u := range r.unsettled {
			switch {
			case u.due != 0:
				l.Delayed++
			case u.attempts > 0 && r.member != "":
				out.InFlight++
			}
		}
		out.LaneState = append(out.LaneState, l)
	}
	topic := journal.Number(s.topic)
	if out.LastSequence, err = journal.SequenceBefore(ctx, tx, topic, 1<<62); err != nil {
		return nil, err
	}
	if out.Floor < out.LastSequence {
		err = tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT pos FROM sealed WHERE topic = $1 AND pos > 0 AND pos > $2 ORDER BY pos LIMIT $3) p",
			topic, int64(out.Floor), maxPending).Scan(&out.Pending)
		if err != nil {
			return nil, err
		}
	}
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM dead_letters WHERE subscription = $1", s.id).Scan(&out.DeadLetters)
	return out, err
}

// floorOfLanes gives the sequence up to which every lane is settled.
func floorOfLanes(rows []laneRow) uint64 {
	floor := uint64(1 << 62)
	for i := range rows {
		floor = min(floor, floorOf(rows[i].seen, rows[i].unsettled))
	}
	if len(rows) == 0 {
		return 0
	}
	return floor
}
