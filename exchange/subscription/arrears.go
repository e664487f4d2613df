package subscription

import (
	"context"
	"database/sql"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

// Arrears are deliveries that a subscription is owed beside what its lanes read:
// the present records of subjects that it enrolled, which lie before where its
// lanes stand. They are rows until they are settled, taken up by who holds the
// lane as replayed dead letters are, and later versions of their records wait for
// them.

// arrear is one delivery that is owed.
type arrear struct {
	sequence, index uint64
	lane            uint32
	// enrolled is the entry that it is owed for: one that a later enrolment owes
	// again is not paid by what was under way before.
	enrolled int64
	record   []byte
}

const arrearColumns = "sequence, lane, idx, enrolled, record"

var (
	insertArrears = &store.Insert{
		Into: "INTO arrears (subscription, sequence, lane, idx, enrolled, record)",
		Then: "ON CONFLICT (subscription, sequence) DO UPDATE SET enrolled = excluded.enrolled",
	}
	lookupArrears = &store.Lookup{
		Select: "SELECT " + arrearColumns + " FROM arrears", Keys: [2]string{"subscription", "record"},
	}
)

// owe writes what a subscription is owed.
func (m *Manager) owe(ctx context.Context, tx store.Tx, subscription int64, list []arrear) error {
	var numbers, sequences, lanes, indexes, enrolled store.Ints
	var records store.Blobs
	for _, a := range list {
		numbers, sequences = append(numbers, subscription), append(sequences, int64(a.sequence))
		lanes, indexes = append(lanes, int64(a.lane)), append(indexes, int64(a.index))
		enrolled, records = append(enrolled, a.enrolled), append(records, a.record)
	}
	return insertArrears.Run(ctx, m.DB.Journal, tx, numbers, sequences, lanes, indexes, enrolled, records)
}

func scanArrear(rows *sql.Rows) (a arrear, err error) {
	err = rows.Scan(&a.sequence, &a.lane, &a.index, &a.enrolled, &a.record)
	return a, err
}

// arrearsOf reads what a lane is owed from a sequence on, in order.
func arrearsOf(ctx context.Context, tx store.Tx, subscription int64, lane uint32, from uint64, limit int) ([]arrear, error) {
	rows, err := tx.QueryContext(ctx, "SELECT "+arrearColumns+` FROM arrears
		WHERE subscription = $1 AND lane = $2 AND sequence >= $3 ORDER BY sequence LIMIT $4`, subscription, int64(lane), int64(from), int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []arrear
	for rows.Next() {
		a, err := scanArrear(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, a)
	}
	return found, rows.Err()
}

// collect takes up what the lanes held here are owed, as far as there is room.
func (s *session) collect() error {
	s.owed = false
	for _, l := range s.lanes {
		list, err := arrearsOf(s.ctx, s.m.DB.Reader(), journal.Number(s.id), l.number, 0, maxReplays)
		if err != nil {
			return err
		}
		for i := range list {
			if s.replays >= maxReplays {
				s.owed = true
				return nil
			}
			s.takeUp(l, &list[i])
		}
		s.owed = s.owed || len(list) == maxReplays
	}
	return nil
}

// takeUp makes a delivery of what is owed, before what of its record is not under
// way; false if it is known. One that the lane delivers anyway pays for it.
func (s *session) takeUp(l *lane, a *arrear) bool {
	if it := s.items[a.sequence]; it != nil {
		if !it.late && it.state != flying && it.state != prepared {
			it.owed, it.enrolled = true, a.enrolled
		} else if it.enrolled != a.enrolled {
			s.owed = true
		}
		return false // one that is under way is settled first
	}
	if s.facts.pay(a) || s.pending != nil && s.pending.facts.pay(a) {
		return false
	}
	s.replays++
	s.precede(&item{sequence: a.sequence, key: keyOf(a.record, a.sequence), index: a.index, lane: l, late: true, owed: true, enrolled: a.enrolled})
	return true
}

// stillOwed finds the arrears that a lane's row has under way. Those that are
// not owed any more are settled.
func (s *session) stillOwed(lane uint32, set []unsettled) (kept []unsettled, err error) {
	for _, u := range set {
		if u.owed {
			list, err := arrearsOf(s.ctx, s.m.DB.Reader(), journal.Number(s.id), lane, u.sequence, 1)
			if err != nil {
				return nil, err
			}
			if len(list) == 1 && list[0].sequence == u.sequence {
				u.enrolled = list[0].enrolled
			} else if u.owed = false; u.late {
				continue
			}
		}
		kept = append(kept, u)
	}
	return kept, nil
}

// yield lets versions wait for what their records are owed: it gives those that
// need not. What is owed of other lanes goes by who holds them.
func (s *session) yield(items []*item, interests []interest) ([]*item, []interest, error) {
	later, paying := map[string]*item{}, map[uint64]*item{}
	for i, it := range items {
		if interests[i] == unconcerned || it.row == nil || len(it.row.KeyToken) == 0 {
			continue
		}
		if it.owed {
			paying[it.sequence] = it
		}
		if !it.late && later[it.key] == nil {
			later[it.key] = it
		}
	}
	found, err := s.arrearsAbout(later, paying)
	if err != nil {
		return nil, nil, err
	}
	back := false
	for i := range found {
		a := &found[i]
		if it := paying[a.sequence]; it != nil {
			// The subject may have been enrolled anew since the item was taken up:
			// it pays for the enrolment under which it is delivered.
			it.enrolled = a.enrolled
			continue
		}
		it := later[keyOf(a.record, a.sequence)]
		if it == nil || it.sequence <= a.sequence {
			continue
		}
		taken := s.takeUp(it.lane, a)
		s.skipped = s.skipped || taken
		back = back || s.inOrder && (taken || s.owedAnew(a))
	}
	return s.sift(items, interests, back)
}

// arrearsAbout reads what is owed of the records of items.
func (s *session) arrearsAbout(later map[string]*item, paying map[uint64]*item) (found []arrear, err error) {
	records := map[string]bool{}
	for key := range later {
		records[key] = true
	}
	for _, it := range paying {
		records[it.key] = true
	}
	numbers, keys := make(store.Ints, 0, len(records)), make(store.Blobs, 0, len(records))
	for key := range records {
		numbers, keys = append(numbers, journal.Number(s.id)), append(keys, []byte(key))
	}
	err = lookupArrears.Run(s.ctx, s.m.DB.Journal, s.m.DB.Reader(), numbers, keys, func(rows *sql.Rows) error {
		a, err := scanArrear(rows)
		found = append(found, a)
		return err
	})
	return found, err
}

// owedAnew says whether a delivery that is under way will be owed once more.
func (s *session) owedAnew(a *arrear) bool {
	it := s.items[a.sequence]
	return it != nil && it.state == flying && it.enrolled != a.enrolled
}

// sift keeps of the chosen those that do not wait now. Where none waits for
// another, all go back behind what they yield to.
func (s *session) sift(items []*item, interests []interest, back bool) ([]*item, []interest, error) {
	if back {
		s.putBack(items)
		return nil, nil, nil
	}
	n := 0
	for i, it := range items {
		if it.state == ready {
			items[n], interests[n] = it, interests[i]
			n++
		}
	}
	s.skipped = s.skipped || n < len(items)
	return items[:n], interests[:n], nil
}

// startOver lets the lanes deliver what a reset brings about the subjects that
// are enrolled, whenever they were, and forgets what is owed of it.
func startOver(ctx context.Context, tx store.Tx, s *standing) error {
	number := journal.Number(s.id)
	if _, err := tx.ExecContext(ctx, "UPDATE enrolments SET since = 0 WHERE subscription = $1", number); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM arrears WHERE subscription = $1 AND sequence > $2", number, int64(s.began))
	return err
}

// forgetEnrolments ends all enrolments with their subscription.
func forgetEnrolments(ctx context.Context, tx store.Tx, slot journal.Slot, id string) error {
	slot.Bump(journal.GuardEnrolment, []byte(id))
	for _, table := range []string{"enrolments", "arrears"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE subscription = $1", journal.Number(id)); err != nil {
			return err
		}
	}
	return nil
}
