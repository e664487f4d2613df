package subscription

import (
	"context"
	"time"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

// forever is the lease of a process that has the database for itself.
const forever = 1 << 62

// alone says that no other process shares the database.
func (m *Manager) alone() bool { return m.Instance == "" }

// keepLease holds this process's lease, ends the members of processes whose
// lease ran out, and hears of what other processes change.
func (m *Manager) keepLease(ctx context.Context) {
	m.persist(ctx, "the lease could not be taken", m.begin)
	close(m.began)
	if m.alone() {
		return
	}
	var seen int64
	look := time.NewTicker(m.Lease / 20)
	defer look.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		var err error
		if time.Since(renewed) > m.Lease/3 {
			renewed = time.Now()
			if err = m.renew(ctx); err == nil {
				err = m.reap(ctx)
			}
		}
		if err == nil {
			seen, err = m.hear(ctx, seen)
		}
		if err != nil && ctx.Err() == nil {
			m.Log.Warn("subscriptions: the lease could not be kept", "error", err)
		}
	}
}

const persistEvery = 500 * time.Millisecond

// persist runs f until it succeeds or ctx ends.
func (m *Manager) persist(ctx context.Context, what string, f func(context.Context) error) {
	for {
		err := f(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		m.Log.Warn("subscriptions: "+what, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(persistEvery):
		}
	}
}

// begin writes this process's lease. What an earlier run of this process left is
// freed at once: it is dead, or this process could not have started.
func (m *Manager) begin(ctx context.Context) error {
	return m.write(ctx, "", func(ctx context.Context, tx store.Tx, _ journal.Slot) error {
		dead, err := instances(ctx, tx, "SELECT id FROM instances WHERE name = $1 AND id <> $2", m.Instance, m.instance)
		if err != nil {
			return err
		}
		for _, id := range dead {
			if err := bury(ctx, tx, id); err != nil {
				return err
			}
		}
		return m.writeLease(ctx, tx)
	})
}

func (m *Manager) writeLease(ctx context.Context, tx store.Tx) error {
	until := int64(forever)
	if !m.alone() {
		until = m.Clock().Add(m.Lease).UnixMicro()
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO instances (id, name, until) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET until = excluded.until`, m.instance, m.Instance, until)
	return err
}

// renew renews the lease. Where another process ended it meanwhile, the members
// here find their rows gone, and connect again.
func (m *Manager) renew(ctx context.Context) error {
	return m.write(ctx, "", func(ctx context.Context, tx store.Tx, _ journal.Slot) error { return m.writeLease(ctx, tx) })
}

// reap ends the members of processes whose lease has run out.
func (m *Manager) reap(ctx context.Context) error {
	now := m.now()
	dead, err := instances(ctx, m.DB.Reader(), "SELECT id FROM instances WHERE until < $1", now)
	if err != nil || len(dead) == 0 {
		return err
	}
	return m.write(ctx, "", func(ctx context.Context, tx store.Tx, _ journal.Slot) error {
		for _, id := range dead {
			still, err := instances(ctx, tx, "SELECT id FROM instances WHERE id = $1 AND until < $2", id, now)
			if err != nil {
				return err
			}
			if len(still) == 0 {
				continue
			}
			if err := bury(ctx, tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// bury frees what the members of a dead process held.
func bury(ctx context.Context, tx store.Tx, instance string) error {
	of, err := instances(ctx, tx, "SELECT DISTINCT subscription FROM members WHERE instance = $1", instance)
	if err != nil {
		return err
	}
	for _, id := range of {
		_, err := tx.ExecContext(ctx, `UPDATE lanes SET member = '', epoch = epoch + 1 WHERE subscription = $1
			AND member IN (SELECT member FROM members WHERE subscription = $1 AND instance = $2)`, id, instance)
		if err != nil {
			return err
		}
		if err := touch(ctx, tx, id); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM members WHERE instance = $1", instance); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM instances WHERE id = $1", instance)
	return err
}

// hear tells the sessions here of what changed since.
func (m *Manager) hear(ctx context.Context, since int64) (int64, error) {
	var now int64
	if err := m.DB.Reader().QueryRowContext(ctx, "SELECT n FROM subscription_changes WHERE id = 1").Scan(&now); err != nil || now == since {
		return since, err
	}
	changed, err := instances(ctx, m.DB.Reader(), "SELECT id FROM subscriptions WHERE changed > $1", since)
	if err != nil {
		return since, err
	}
	for _, id := range changed {
		m.touched(id)
	}
	return now, nil
}

// endLease frees the lease at the end of this process.
func (m *Manager) endLease(ctx context.Context) {
	err := m.write(ctx, "", func(ctx context.Context, tx store.Tx, _ journal.Slot) error { return bury(ctx, tx, m.instance) })
	if err != nil {
		m.Log.Debug("subscriptions: the lease was left to run out", "error", err)
	}
}

// write runs fn in the journal's transaction. Everything about subscriptions is
// written there: the head row's lock puts all writers in one order, so no two
// wait for each other.
func (m *Manager) write(ctx context.Context, from string, fn func(ctx context.Context, tx store.Tx, slot journal.Slot) error) error {
	_, err := m.Journal.Submit(ctx, &journal.Call{From: from, Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		return nil, fn(ctx, tx, slot)
	}})
	return err
}

// instances reads a column of names.
func instances(ctx context.Context, tx store.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, rows.Err()
}
