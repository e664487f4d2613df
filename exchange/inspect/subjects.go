package inspect

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"math"

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

// RecordsOfSubjectAt is RecordsOfSubject for what was known once: it gives the
// records of which some version up to the entry last was about the subject,
// whatever became of them but erasure.
func (x *Index) RecordsOfSubjectAt(ctx context.Context, topic string, subjectToken, after []byte, limit int, last uint64) ([][]byte, error) {
	from := int64(0)
	if len(after) > 0 {
		from = recordNumber(after)
	}
	var found [][]byte
	for len(found) < limit {
		candidates, err := x.candidatesAt(ctx, tokenNumber(subjectToken), journal.Number(topic), from, limit+1, int64(last))
		if err != nil {
			return nil, err
		}
		for _, c := range candidates {
			from = c.record + 1
			keyToken, err := x.keyToken(ctx, c.idx, subjectToken)
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

// keyToken gives the key token of a version's record; nil if it was erased, or
// is about somebody else whose token has the same number.
func (x *Index) keyToken(ctx context.Context, idx int64, subjectToken []byte) (token []byte, err error) {
	var tokens []byte
	err = x.DB.Brief().QueryRowContext(ctx, "SELECT key_token, tokens FROM sealed WHERE idx = $1", idx).Scan(&token, &tokens)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if len(tokens) > 0 && !holdsToken(tokens, subjectToken) {
		return nil, err
	}
	return token, err
}

// candidate is a record and its newest version that is about the subject.
type candidate struct{ record, idx int64 }

func (x *Index) candidates(ctx context.Context, token, topic, from int64, limit int) ([]candidate, error) {
	return x.candidatesAt(ctx, token, topic, from, limit, math.MaxInt64)
}

// candidatesAt looks at versions up to an entry only.
func (x *Index) candidatesAt(ctx context.Context, token, topic, from int64, limit int, last int64) ([]candidate, error) {
	rows, err := x.DB.Index.Brief().QueryContext(ctx, `SELECT record, max(idx) FROM index_tokens
		WHERE token = $1 AND topic = $2 AND record >= $3 AND record > 0 AND idx <= $5 GROUP BY record ORDER BY record LIMIT $4`,
		token, topic, from, int64(limit), last)
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
	err := x.DB.Brief().QueryRowContext(ctx, `SELECT r.key_token, p.tokens FROM sealed s
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
