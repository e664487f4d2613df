package bus

import (
	"context"
	"time"

	"github.com/huitong-bus/huitong/exchange/store"
)

// leaseFor is how long a relay may go without renewing its lease.
const leaseFor = 5 * time.Second

// lease lets one process at a time create, heal and write a partition's stream.
// Safety does not rest on it but on the expected sequence: two relays at once
// would refuse each other's messages.
type lease struct {
	partition *partition
	timer     *time.Ticker
}

func newLease(p *partition) *lease {
	return &lease{partition: p, timer: time.NewTicker(leaseFor / 3)}
}

// renewal ticks when the lease is to be renewed, or tried for again.
func (l *lease) renewal() <-chan time.Time { return l.timer.C }

// take takes or renews the lease; false if another process holds it.
func (l *lease) take(ctx context.Context) (held bool, err error) {
	b := l.partition.bus
	if b.Instance == "" {
		return true, nil
	}
	now := time.Now()
	err = b.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		result, err := tx.ExecContext(ctx, `INSERT INTO relay_leases (part, holder, until) VALUES ($1, $2, $3)
			ON CONFLICT (part) DO UPDATE SET holder = excluded.holder, until = excluded.until
			WHERE relay_leases.holder = excluded.holder OR relay_leases.until < $4`,
			int64(l.partition.number), b.Instance, now.Add(leaseFor).UnixMicro(), now.UnixMicro())
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		held = n == 1
		return err
	})
	return held, err
}

// renew renews a lease that is held.
func (l *lease) renew(ctx context.Context) error {
	held, err := l.take(ctx)
	if err == nil && !held {
		err = errLeaseLost
	}
	return err
}

// release frees the lease at once for another process.
func (l *lease) release() {
	l.timer.Stop()
	if l.partition.bus.Instance == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	b := l.partition.bus
	err := b.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM relay_leases WHERE part = $1 AND holder = $2", int64(l.partition.number), b.Instance)
		return err
	})
	if err != nil {
		b.Log.Debug("the relay's lease was left to run out", "error", err)
	}
}
