package subscription

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// begin gives the sequence after which a subscription begins, and the one up to
// which it delivers present versions only. It runs in the transaction that
// creates or resets the subscription: what commits after it is a change.
func begin(ctx context.Context, tx store.Tx, t *catalog.Topic, start *exchangev1.Start) (began, snapshot uint64, err error) {
	head, err := journal.ReadHead(ctx, tx)
	if err != nil {
		return 0, 0, err
	}
	last := head.Sequences[t.Partition]
	switch from := start.GetFrom().(type) {
	case *exchangev1.Start_Current:
		return 0, last, nil
	case *exchangev1.Start_All:
		return 0, 0, nil
	case *exchangev1.Start_Index:
		if from.Index > head.Size {
			return 0, 0, fault.Field("start.index", "start.index", "the ledger has %d entries", head.Size)
		}
		began, err = before(ctx, tx, journal.Number(t.Name), last, from.Index)
		return began, 0, err
	case *exchangev1.Start_Time:
		index, err := journal.IndexAt(ctx, tx, head.Size, from.Time.AsTime().UnixMicro())
		if err != nil {
			return 0, 0, err
		}
		began, err = before(ctx, tx, journal.Number(t.Name), last, index)
		return began, 0, err
	}
	return last, 0, nil
}

// before gives a sequence behind which a topic has exactly its records from a
// ledger index on. Along a topic both grow, so it halves.
func before(ctx context.Context, tx store.Tx, topic int64, last, index uint64) (uint64, error) {
	low, high := uint64(0), last // records up to low are older, those after high are not
	for low < high {
		mid := low + (high-low)/2
		var pos, idx int64
		err := tx.QueryRowContext(ctx, "SELECT pos, idx FROM sealed WHERE topic = $1 AND pos > $2 ORDER BY pos LIMIT 1",
			topic, int64(mid)).Scan(&pos, &idx)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			high = mid
		case err != nil:
			return 0, err
		case uint64(idx) < index:
			low = uint64(pos)
		default:
			high = mid
		}
	}
	return low, nil
}

// checkStart refuses a start that cannot be meant.
func checkStart(start *exchangev1.Start, now time.Time) error {
	switch from := start.GetFrom().(type) {
	case *exchangev1.Start_Time:
		if err := from.Time.CheckValid(); err != nil {
			return fault.Field("start.time", "start.time", "is not a time")
		}
		if from.Time.AsTime().After(now) {
			return fault.Field("start.time", "start.time", "is not over yet")
		}
	case *exchangev1.Start_Current:
		if !from.Current {
			return fault.Field("start.current", "start.current", "is true or not given")
		}
	case *exchangev1.Start_New:
		if !from.New {
			return fault.Field("start.new", "start.new", "is true or not given")
		}
	case *exchangev1.Start_All:
		if !from.All {
			return fault.Field("start.all", "start.all", "is true or not given")
		}
	}
	return nil
}
