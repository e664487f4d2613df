package correction

import (
	"context"
	"encoding/binary"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// The states of a dispute.
const (
	open      = exchangev1.DisputeState_DISPUTE_STATE_OPEN
	corrected = exchangev1.DisputeState_DISPUTE_STATE_CORRECTED
	kept      = exchangev1.DisputeState_DISPUTE_STATE_KEPT
	withdrawn = exchangev1.DisputeState_DISPUTE_STATE_WITHDRAWN
	erased    = exchangev1.DisputeState_DISPUTE_STATE_ERASED
)

// row is a row of disputes.
type row struct {
	idx, version                    uint64
	topic, provider, consumer       string
	participant                     string
	fields                          []uint32
	keyToken                        []byte
	state                           exchangev1.DisputeState
	answerPlusOne, correctedPlusOne uint64
	late                            bool
	changed                         uint64
}

const rowColumns = `SELECT idx, topic, provider, consumer, participant, version, fields, key_token, state, answer, corrected, late, changed
	FROM disputes `

func readRows(ctx context.Context, tx store.Tx, where string, args ...any) ([]*row, error) {
	rows, err := tx.QueryContext(ctx, rowColumns+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []*row
	for rows.Next() {
		r := &row{}
		var fields []byte
		var late int64
		err := rows.Scan(&r.idx, &r.topic, &r.provider, &r.consumer, &r.participant, &r.version, &fields, &r.keyToken,
			&r.state, &r.answerPlusOne, &r.correctedPlusOne, &late, &r.changed)
		if err != nil {
			return nil, err
		}
		r.fields, r.late = unpackFields(fields), late == 1
		found = append(found, r)
	}
	return found, rows.Err()
}

// readRow reads a dispute by its entry; a fault says that there is none.
func readRow(ctx context.Context, tx store.Tx, dispute uint64) (*row, error) {
	if dispute > 1<<62 {
		return nil, unknown()
	}
	found, err := readRows(ctx, tx, "WHERE idx = $1", int64(dispute))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, unknown()
	}
	return found[0], nil
}

func unknown() error { return fault.New(fault.NotFound, "dispute.unknown", "there is no such dispute") }

func (r *row) insert(ctx context.Context, tx store.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO disputes
		(idx, topic, provider, consumer, participant, version, fields, key_token, state, answer, corrected, late, changed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, $10)`,
		int64(r.idx), r.topic, r.provider, r.consumer, r.participant, int64(r.version), packFields(r.fields), r.keyToken, int64(r.state), int64(r.idx))
	return err
}

// end writes how a dispute ended.
func (r *row) end(ctx context.Context, tx store.Tx) error {
	late := int64(0)
	if r.late {
		late = 1
	}
	_, err := tx.ExecContext(ctx, "UPDATE disputes SET state = $1, answer = $2, corrected = $3, late = $4, changed = $5 WHERE idx = $6",
		int64(r.state), int64(r.answerPlusOne), int64(r.correctedPlusOne), late, int64(r.changed), int64(r.idx))
	return err
}

func packFields(fields []uint32) []byte {
	packed := []byte{}
	for _, f := range fields {
		packed = binary.AppendUvarint(packed, uint64(f))
	}
	return packed
}

func unpackFields(packed []byte) []uint32 {
	var fields []uint32
	for len(packed) > 0 {
		f, n := binary.Uvarint(packed)
		if n <= 0 {
			return fields
		}
		fields, packed = append(fields, uint32(f)), packed[n:]
	}
	return fields
}
