package store

import (
	"context"
	"time"
)

// Skew gives how far ahead a clock is of the database's; zero where the database
// runs in this process.
func (p *Part) Skew(ctx context.Context, clock func() time.Time) (time.Duration, error) {
	query := p.dialect.clock()
	if query == "" {
		return 0, nil
	}
	before := clock()
	var us int64
	if err := p.read.QueryRowContext(ctx, query).Scan(&us); err != nil {
		return 0, err
	}
	after := clock()
	return before.Add(after.Sub(before) / 2).Sub(time.UnixMicro(us)), nil
}
