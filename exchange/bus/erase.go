package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/huitong-bus/huitong/exchange/store"
)

// erase takes the messages of erased records out of the stream, overwritten. The
// rows that ask for it are marked once it is done; a crash in between does it
// again.
func (p *partition) erase(ctx context.Context) error {
	sequences, err := p.erasures(ctx)
	if err != nil || len(sequences) == 0 {
		return err
	}
	at := p.stream.Load()
	if at == nil {
		return errDiffers
	}
	for _, s := range sequences {
		err := at.stream.SecureDeleteMsg(ctx, s)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			return fmt.Errorf("erase message %d: %w", s, err)
		}
	}
	return p.bus.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		for _, s := range sequences {
			if _, err := tx.ExecContext(ctx, "UPDATE stream_erasures SET done = 1 WHERE part = $1 AND pos = $2", int64(p.number), int64(s)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *partition) erasures(ctx context.Context) ([]uint64, error) {
	rows, err := p.bus.DB.Reader().QueryContext(ctx, "SELECT pos FROM stream_erasures WHERE part = $1 AND done = 0 ORDER BY pos LIMIT 1000", int64(p.number))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var sequences []uint64
	for rows.Next() {
		var s int64
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		sequences = append(sequences, uint64(s))
	}
	return sequences, rows.Err()
}
