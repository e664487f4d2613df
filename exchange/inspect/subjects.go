package inspect

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"github.com/huitong-bus/huitong/exchange/journal"
)

// RecordsOfSubject gives the key tokens of the records of a topic whose present
// payload names a subject, by the subject's token, in the order of the key
// tokens: those after a key token, at most limit of them. Fewer than limit are
// the last. Wait for the head first.
func (x *Index) RecordsOfSubject(ctx context.Context, topic string, subjectToken []byte, after []byte, limit int) ([][]byte, error) {
	var found [][]byte
	number := journal.Number(topic)
	from := int64(0)
	if len(after) > 0 {
		from = recordNumber(after)
	}
	for len(found) < limit {
		candidates, err := x.candidates(ctx, tokenNumber(subjectToken), number, from, limit+1)
		if err != nil {
			return nil, err
		}
		for _, c := range candidates {
			from = c.record + 1
			keyToken, err := x.present(ctx, number, c.idx, subjectToken)
			if err != nil {
				return nil, err
			}
			if keyToken != nil && bytes.Compare(keyToken, after) > 0 && len(found) < limit {
				found = append(found, keyToken)
			}
		}
		if len(candidates) <= limit {
			break
		}
	}
	return found, nil
}

// candidate is a record and its newest version that is about the subject.
type candidate struct{ record, idx int64 }

func (x *Index) candidates(ctx context.Context, token, topic, from int64, limit int) ([]candidate, error) {
	rows, err := x.DB.Index.Read().QueryContext(ctx, `SELECT record, max(idx) FROM index_tokens
		WHERE token = $1 AND topic = $2 AND record >= $3 AND record > 0 GROUP BY record ORDER BY record LIMIT $4`, token, topic, from, int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []candidate
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.record, &c.idx); err != nil {
			return nil, err
		}
		found = append(found, c)
	}
	return found, rows.Err()
}

// present gives the key token of a version's record if the record's present
// payload is about the subject; nil if the record was erased, or is about
// others by now.
func (x *Index) present(ctx context.Context, topic, idx int64, subjectToken []byte) ([]byte, error) {
	var keyToken, tokens []byte
	err := x.DB.Reader().QueryRowContext(ctx, `SELECT r.key_token, p.tokens FROM sealed s
		JOIN records r ON r.topic = s.topic AND r.key_token = s.key_token
		JOIN sealed p ON p.idx = r.payload_idx
		WHERE s.idx = $1 AND s.topic = $2`, idx, topic).Scan(&keyToken, &tokens)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil || !holdsToken(tokens, subjectToken) {
		return nil, err
	}
	return keyToken, nil
}
