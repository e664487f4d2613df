package inspect

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// disputed is a dispute as the ledger has it.
type disputed struct {
	*ledgerv1.RecordDisputed
	answer   *ledgerv1.DisputeAnswered
	answered uint64 // entry of the answer plus one
	seen     bool
}

var disputeEnds = map[string]exchangev1.DisputeState{
	"corrected": exchangev1.DisputeState_DISPUTE_STATE_CORRECTED,
	"kept":      exchangev1.DisputeState_DISPUTE_STATE_KEPT,
	"withdrawn": exchangev1.DisputeState_DISPUTE_STATE_WITHDRAWN,
}

// answered takes the end of a dispute.
func (r *replay) answered(index uint64, a *ledgerv1.DisputeAnswered) error {
	d := r.disputes[a.Dispute]
	switch {
	case d == nil || d.answer != nil || d.Topic != a.Topic || d.Provider != a.Provider || d.Consumer != a.Consumer:
		return wrong("ledger", index, "it ends no open dispute of entry %d", a.Dispute)
	case disputeEnds[a.Outcome] == 0 || (a.Outcome == "corrected") != (a.CorrectedPlusOne != 0) || a.CorrectedPlusOne > index:
		return wrong("ledger", index, "it is no outcome of a dispute")
	}
	d.answer, d.answered = a, index+1
	return nil
}

// reason takes the reason of a dispute or of its end. One that is gone must have
// gone with its record.
func (c *checker) reason(index uint64, o *ledgerv1.ReadOpening, want []byte) {
	if o.Reason == "" && len(want) > 0 {
		c.replay.muted.set(index)
	}
}

// checkDisputes derives each row of disputes from the ledger.
func (c *checker) checkDisputes(ctx context.Context) error {
	type found struct {
		idx, version, answer, corrected, changed uint64
		topic, provider, consumer, participant   string
		fields, token                            []byte
		state, late                              int64
	}
	var all []found
	err := c.each(ctx, "disputes", `SELECT idx, topic, provider, consumer, participant, version, fields, key_token, state, answer, corrected, late, changed
		FROM disputes ORDER BY idx`, func(rows *sql.Rows) error {
		var f found
		err := rows.Scan(&f.idx, &f.topic, &f.provider, &f.consumer, &f.participant, &f.version, &f.fields, &f.token,
			&f.state, &f.answer, &f.corrected, &f.late, &f.changed)
		all = append(all, f)
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range all {
		d := c.replay.disputes[f.idx]
		if d == nil {
			return wrong("disputes", f.idx, "the entry is no dispute")
		}
		d.seen = true
		by, gone := c.replay.erasedBy[d.Index]
		state, changed, late := exchangev1.DisputeState_DISPUTE_STATE_OPEN, f.idx, int64(0)
		if gone {
			state, changed = exchangev1.DisputeState_DISPUTE_STATE_ERASED, by.index
		}
		if d.answer != nil {
			state, changed = disputeEnds[d.answer.Outcome], max(d.answered-1, by.index)
			if d.answer.Late {
				late = 1
			}
		}
		switch {
		case f.topic != d.Topic || f.provider != d.Provider || f.consumer != d.Consumer || f.participant != verify.ParticipantOf(d.Consumer) || f.version != d.Index:
			return wrong("disputes", f.idx, "the row is not of that entry's dispute")
		case !bytes.Equal(f.fields, packNumbersOf(d.Fields)):
			return wrong("disputes", f.idx, "fields are not those of the entry")
		case f.state != int64(state) || f.answer != d.answered || f.corrected != d.answer.GetCorrectedPlusOne() || f.late != late || f.changed != changed:
			return wrong("disputes", f.idx, "the row is not as the dispute stands")
		}
		if err := c.checkDisputed(ctx, f.idx, d, f.token, gone); err != nil {
			return err
		}
	}
	for index, d := range c.replay.disputes {
		if !d.seen {
			return wrong("disputes", index, "the dispute's row is missing")
		}
	}
	return nil
}

// checkDisputed compares a dispute with its record: the token, and the reasons,
// which go with it and not before.
func (c *checker) checkDisputed(ctx context.Context, index uint64, d *disputed, token []byte, gone bool) error {
	v, err := c.version(ctx, int64(d.Index))
	if err != nil {
		return err
	}
	switch {
	case v == nil || v.published == nil || v.published.Topic != d.Topic:
		return wrong("ledger", index, "it disputes no record of its topic")
	case gone != (token == nil) || !gone && !bytes.Equal(token, v.keyToken):
		return wrong("disputes", index, "key_token is not that of the record")
	}
	reasons := map[uint64][]byte{index: d.ReasonCommitment}
	if d.answer != nil {
		reasons[d.answered-1] = d.answer.ReasonCommitment
	}
	for at, commitment := range reasons {
		if muted := c.replay.muted.take(at); muted != (gone && len(commitment) > 0) {
			return wrong("sealed", at, "the reason is gone and its record is not, or the other way round")
		}
	}
	return nil
}

func packNumbersOf(fields []uint32) []byte {
	packed := []byte{}
	for _, f := range fields {
		packed = binary.AppendUvarint(packed, uint64(f))
	}
	return packed
}
