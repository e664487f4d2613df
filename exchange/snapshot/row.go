package snapshot

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// row is a row of full_loads.
type row struct {
	topic, system string
	begun         uint64
	// ended is the entry of the end plus one; 0 while the load is under way.
	ended, removed uint64
	done           bool
}

const rowColumns = "SELECT topic, system, begun, ended, removed, done FROM full_loads "

// readRow reads a topic's row; nil if it never had a full load.
func readRow(ctx context.Context, tx store.Tx, topic string) (*row, error) {
	rows, err := readRows(ctx, tx, rowColumns+"WHERE topic = $1", topic)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

func readRows(ctx context.Context, tx store.Tx, query string, args ...any) ([]*row, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []*row
	for rows.Next() {
		r := &row{}
		var done int64
		if err := rows.Scan(&r.topic, &r.system, &r.begun, &r.ended, &r.removed, &done); err != nil {
			return nil, err
		}
		r.done = done == 1
		found = append(found, r)
	}
	return found, rows.Err()
}

func (r *row) write(ctx context.Context, tx store.Tx) error {
	done := int64(0)
	if r.done {
		done = 1
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO full_loads (topic, system, begun, ended, removed, done) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (topic) DO UPDATE SET system = excluded.system, begun = excluded.begun, ended = excluded.ended,
			removed = excluded.removed, done = excluded.done`,
		r.topic, r.system, int64(r.begun), int64(r.ended), int64(r.removed), done)
	return err
}

// The statuses of records that are held.
const held = "(1, 2)" // STATUS_ACTIVE, STATUS_SUSPENDED

// count counts the records of a topic that are held, and those of them that have
// no version since an entry. It looks at each row of the topic.
func count(ctx context.Context, tx store.Tx, topic string, since uint64) (all, unmentioned uint64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(CASE WHEN idx < $2 THEN 1 ELSE 0 END), 0)
		FROM records WHERE topic = $1 AND status IN `+held, journal.Number(topic), int64(since)).Scan(&all, &unmentioned)
	return all, unmentioned, err
}

// entry reads an entry of the ledger.
func (l *Loads) entry(ctx context.Context, index uint64) (*ledgerv1.LedgerEntry, []byte, error) {
	var leaf []byte
	err := l.DB.Reader().QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(index)).Scan(&leaf)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, fault.New(fault.Internal, "snapshot.entry", "entry %d is missing", index)
	}
	if err != nil {
		return nil, nil, err
	}
	e := &ledgerv1.LedgerEntry{}
	return e, leaf, proto.Unmarshal(leaf, e)
}

// message gives a row as the API shows it.
func (l *Loads) message(ctx context.Context, r *row) (*exchangev1.Snapshot, error) {
	begun, _, err := l.entry(ctx, r.begun)
	if err != nil {
		return nil, err
	}
	m := &exchangev1.Snapshot{
		Topic: r.topic, System: r.system, Begun: r.begun, BegunAt: timeOf(begun.AtUs), Removed: r.removed,
		State: exchangev1.SnapshotState_SNAPSHOT_STATE_UNDER_WAY,
	}
	if r.ended == 0 {
		m.Held, m.Unmentioned, err = count(ctx, l.DB.Reader(), r.topic, r.begun)
		return m, err
	}
	entry, _, err := l.entry(ctx, r.ended-1)
	if err != nil {
		return nil, err
	}
	end := entry.GetSnapshotEnded()
	m.Ended, m.EndedAt, m.Held, m.Unmentioned = r.ended-1, timeOf(entry.AtUs), end.GetHeld(), end.GetRemoved()
	switch {
	case end.GetAbandoned():
		m.State = exchangev1.SnapshotState_SNAPSHOT_STATE_ABANDONED
	case r.done:
		m.State = exchangev1.SnapshotState_SNAPSHOT_STATE_ENDED
	default:
		m.State = exchangev1.SnapshotState_SNAPSHOT_STATE_ENDING
	}
	return m, nil
}

func timeOf(us int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMicro(us).UTC()) }
