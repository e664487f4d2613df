package inspect

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// line is one entry with its sealed row, as the follower reads it.
type line struct {
	index uint64
	leaf  []byte
	// publication says that the entry publishes a record; then topic, keyToken,
	// tokens and prev are those of its sealed row.
	publication bool
	topic       int64
	prev        int64
	keyToken    []byte
	tokens      []byte
	// body is the sealed opening of an entry that is no publication.
	body []byte
}

const linesQuery = `SELECT l.idx, l.leaf, coalesce(s.pos, 0), coalesce(s.topic, 0), coalesce(s.prev, 0), s.key_token, s.tokens,
	CASE WHEN s.pos = 0 THEN s.body END
	FROM ledger l LEFT JOIN sealed s ON s.idx = l.idx WHERE l.idx >= $1 AND l.idx < $2 ORDER BY l.idx`

// readLines reads the entries [from, to).
func readLines(ctx context.Context, tx store.Tx, from, to uint64) ([]line, error) {
	rows, err := tx.QueryContext(ctx, linesQuery, int64(from), int64(to))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	lines := make([]line, 0, to-from)
	for next := from; rows.Next(); next++ {
		var l line
		var pos int64
		if err := rows.Scan(&l.index, &l.leaf, &pos, &l.topic, &l.prev, &l.keyToken, &l.tokens, &l.body); err != nil {
			return nil, err
		}
		if l.index != next {
			return nil, fmt.Errorf("inspect: entry %d is missing in the ledger", next)
		}
		l.publication = pos > 0
		lines = append(lines, l)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if uint64(len(lines)) != to-from {
		return nil, fmt.Errorf("inspect: entry %d is missing in the ledger", from+uint64(len(lines)))
	}
	return lines, nil
}

// Field numbers of LedgerEntry and RecordPublished, for a glance at a leaf.
const (
	actorField     = 3
	publishedField = 10
	operationField = 2
	reasonField    = 9
)

// glance reads of a publication's leaf what the index needs, without decoding
// it: most entries are publications.
func glance(leaf []byte) (actor string, p glanced, err error) {
	for len(leaf) > 0 {
		number, kind, n := protowire.ConsumeTag(leaf)
		if n < 0 {
			return "", p, protowire.ParseError(n)
		}
		leaf = leaf[n:]
		var value []byte
		if kind == protowire.BytesType {
			value, n = protowire.ConsumeBytes(leaf)
		} else {
			n = protowire.ConsumeFieldValue(number, kind, leaf)
		}
		if n < 0 {
			return "", p, protowire.ParseError(n)
		}
		switch number {
		case actorField:
			actor = string(value)
		case publishedField:
			p, err = glancePublished(value)
			return actor, p, err
		}
		leaf = leaf[n:]
	}
	return actor, p, fmt.Errorf("inspect: the entry publishes nothing")
}

// glanced is what the index needs of a publication.
type glanced struct {
	op     ledgerv1.Operation
	reason bool
}

func glancePublished(published []byte) (p glanced, err error) {
	for len(published) > 0 {
		number, kind, n := protowire.ConsumeTag(published)
		if n < 0 {
			return p, protowire.ParseError(n)
		}
		if published = published[n:]; number == operationField && kind == protowire.VarintType {
			v, n := protowire.ConsumeVarint(published)
			p.op, published = ledgerv1.Operation(v), published[max(n, 0):]
			if n < 0 {
				return p, protowire.ParseError(n)
			}
			continue
		}
		p.reason = p.reason || number == reasonField
		if n = protowire.ConsumeFieldValue(number, kind, published); n < 0 {
			return p, protowire.ParseError(n)
		}
		published = published[n:]
	}
	return p, nil
}

func decode(leaf []byte) (*ledgerv1.LedgerEntry, error) {
	e := &ledgerv1.LedgerEntry{}
	return e, proto.Unmarshal(leaf, e)
}
