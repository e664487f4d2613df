package journal

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"

	"github.com/huitong-bus/huitong/exchange/store"
)

// Row is a publication as stored.
type Row struct {
	Index    uint64
	Topic    int64
	Sequence uint64
	KeyToken []byte
	Leaf     []byte
	// Body is the sealed opening; nil once erased.
	Body []byte
}

const rowColumns = "SELECT s.idx, s.topic, s.pos, s.key_token, l.leaf, s.body FROM sealed s JOIN ledger l ON l.idx = s.idx "

// After reads the publications that follow an entry, of all topics, in ledger
// order. next is the index to go on from.
func After(ctx context.Context, tx store.Tx, from uint64, limit int) ([]Row, error) {
	return queryRows(ctx, tx, rowColumns+"WHERE s.idx >= $1 AND s.pos > 0 ORDER BY s.idx LIMIT $2", int64(from), limit)
}

// TopicAfter reads a topic's publications that follow a sequence, in order.
func TopicAfter(ctx context.Context, tx store.Tx, topic int64, after uint64, limit int) ([]Row, error) {
	return queryRows(ctx, tx, rowColumns+"WHERE s.topic = $1 AND s.pos > $2 AND s.pos > 0 ORDER BY s.pos LIMIT $3", topic, int64(after), limit)
}

// ByIndex reads one publication; nil if the entry is none.
func ByIndex(ctx context.Context, tx store.Tx, index uint64) (*Row, error) {
	rows, err := queryRows(ctx, tx, rowColumns+"WHERE s.idx = $1 AND s.pos > 0", int64(index))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// BySequence reads one publication of a topic; nil if there is none.
func BySequence(ctx context.Context, tx store.Tx, topic int64, sequence uint64) (*Row, error) {
	rows, err := queryRows(ctx, tx, rowColumns+"WHERE s.topic = $1 AND s.pos = $2 AND s.pos > 0", topic, int64(sequence))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

func queryRows(ctx context.Context, tx store.Tx, query string, args ...any) ([]Row, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []Row
	for rows.Next() {
		var r Row
		if err := rows.Scan(&r.Index, &r.Topic, &r.Sequence, &r.KeyToken, &r.Leaf, &r.Body); err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

// Present is a record's present version.
type Present struct {
	KeyToken     []byte
	Index        uint64
	PayloadIndex uint64
	Version      uint64
	Status       exchangev1.Status
	ValidFrom    int64
	ValidUntil   int64
}

var lookupPresent = &store.Lookup{
	Select: "SELECT key_token, idx, payload_idx, version, status, valid_from, valid_until FROM records",
	Keys:   [2]string{"topic", "key_token"},
}

// PresentOf finds the present versions of records of one topic, by their tokens.
func PresentOf(ctx context.Context, p *store.Part, tx store.Tx, topic int64, tokens [][]byte) (map[string]Present, error) {
	topics := make(store.Ints, len(tokens))
	for i := range topics {
		topics[i] = topic
	}
	found := make(map[string]Present, len(tokens))
	err := lookupPresent.Run(ctx, p, tx, topics, store.Blobs(tokens), func(rows *sql.Rows) error {
		var r Present
		err := rows.Scan(&r.KeyToken, &r.Index, &r.PayloadIndex, &r.Version, &r.Status, &r.ValidFrom, &r.ValidUntil)
		found[string(r.KeyToken)] = r
		return err
	})
	return found, err
}

// Held is a record with the version that holds its present payload.
type Held struct {
	Present Present
	Row     Row
}

var lookupHeld = &store.Lookup{
	Select: `SELECT r.topic, r.key_token, r.idx, r.payload_idx, r.version, r.status, r.valid_from, r.valid_until, p.pos, l.leaf, p.body
		FROM records r JOIN sealed p ON p.idx = r.payload_idx AND p.key_token = r.key_token JOIN ledger l ON l.idx = r.payload_idx`,
	Keys: [2]string{"r.topic", "r.key_token"},
}

// HeldOf finds records of one topic with their payloads, by their tokens. One that
// was erased is not among them.
func HeldOf(ctx context.Context, p *store.Part, tx store.Tx, topic int64, tokens [][]byte) (map[string]*Held, error) {
	topics := make(store.Ints, len(tokens))
	for i := range topics {
		topics[i] = topic
	}
	found := make(map[string]*Held, len(tokens))
	err := lookupHeld.Run(ctx, p, tx, topics, store.Blobs(tokens), func(rows *sql.Rows) error {
		h := &Held{}
		r := &h.Present
		err := rows.Scan(&h.Row.Topic, &r.KeyToken, &r.Index, &r.PayloadIndex, &r.Version, &r.Status, &r.ValidFrom, &r.ValidUntil,
			&h.Row.Sequence, &h.Row.Leaf, &h.Row.Body)
		h.Row.Index, h.Row.KeyToken = r.PayloadIndex, r.KeyToken
		found[string(r.KeyToken)] = h
		return err
	})
	return found, err
}

// LastPosition reads where a system stands in one of its sources; nil if it
// never said.
func LastPosition(ctx context.Context, tx store.Tx, system, source string) (position []byte, at int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT position, at FROM positions WHERE system = $1 AND source = $2", system, source).Scan(&position, &at)
	if err == sql.ErrNoRows {
		return nil, 0, nil
	}
	return position, at, err
}

// SequenceBefore gives the sequence of a topic's publication before another's; 0
// if there is none.
func SequenceBefore(ctx context.Context, tx store.Tx, topic int64, sequence uint64) (uint64, error) {
	var before int64
	err := tx.QueryRowContext(ctx, "SELECT pos FROM sealed WHERE topic = $1 AND pos > 0 AND pos < $2 ORDER BY pos DESC LIMIT 1",
		topic, int64(sequence)).Scan(&before)
	if err == sql.ErrNoRows {
		return 0, nil
	}
	return uint64(before), err
}

// ErasedAt gives the entry of the version at a place of a partition's stream, if
// its record was erased.
func ErasedAt(ctx context.Context, tx store.Tx, partition uint32, sequence uint64) (index uint64, erased bool, err error) {
	err = tx.QueryRowContext(ctx, "SELECT idx FROM stream_erasures WHERE part = $1 AND pos = $2", int64(partition), int64(sequence)).Scan(&index)
	if err == sql.ErrNoRows {
		return 0, false, nil
	}
	return index, err == nil, err
}

// IndexAt gives the index of the first of size entries that was committed at a
// time or later; size if there is none. Entries' times grow, so it halves.
func IndexAt(ctx context.Context, tx store.Tx, size uint64, atUs int64) (uint64, error) {
	low, high := uint64(0), size
	for low < high {
		mid := low + (high-low)/2
		var leaf []byte
		if err := tx.QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(mid)).Scan(&leaf); err != nil {
			return 0, err
		}
		at, err := LeafTime(leaf)
		if err != nil {
			return 0, err
		}
		if at < atUs {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}

// LeafTime reads of a leaf when it was entered, in µs UTC, and nothing else.
func LeafTime(leaf []byte) (int64, error) {
	for len(leaf) > 0 {
		number, wire, n := protowire.ConsumeTag(leaf)
		if n < 0 {
			return 0, protowire.ParseError(n)
		}
		leaf = leaf[n:]
		if number == leafTime && wire == protowire.VarintType {
			at, n := protowire.ConsumeVarint(leaf)
			return int64(at), protowire.ParseError(min(n, 0))
		}
		if n = protowire.ConsumeFieldValue(number, wire, leaf); n < 0 {
			return 0, protowire.ParseError(n)
		}
		leaf = leaf[n:]
	}
	return 0, nil
}

// leafTime is the number of the field that holds an entry's time.
const leafTime = 2

var lookupPayloads = &store.Lookup{Select: rowColumns[:len(rowColumns)-1], Keys: [2]string{"s.idx", "s.key_token"}}

// PayloadsOf reads the versions that hold the payloads of records, by the
// records' tokens. An erased record has none.
func PayloadsOf(ctx context.Context, p *store.Part, tx store.Tx, records []Present) (map[string]Row, error) {
	indexes, tokens := make(store.Ints, len(records)), make(store.Blobs, len(records))
	for i, r := range records {
		indexes[i], tokens[i] = int64(r.PayloadIndex), r.KeyToken
	}
	found := make(map[string]Row, len(records))
	err := lookupPayloads.Run(ctx, p, tx, indexes, tokens, func(rows *sql.Rows) error {
		var r Row
		err := rows.Scan(&r.Index, &r.Topic, &r.Sequence, &r.KeyToken, &r.Leaf, &r.Body)
		found[string(r.KeyToken)] = r
		return err
	})
	return found, err
}

// sequencesAtOnce is how many places one statement looks up.
const sequencesAtOnce = 32

var bySequences = rowColumns + "WHERE s.topic = $1 AND s.pos > 0 AND s.pos IN (" + func() string {
	places := make([]string, sequencesAtOnce)
	for i := range places {
		places[i] = "$" + strconv.Itoa(i+2)
	}
	return strings.Join(places, ",")
}() + ") ORDER BY s.pos"

// BySequences reads publications of a topic by their sequences, in order; those
// that are not there are left out.
func BySequences(ctx context.Context, tx store.Tx, topic int64, sequences []uint64) ([]Row, error) {
	var found []Row
	for len(sequences) > 0 {
		n := min(len(sequences), sequencesAtOnce)
		args := make([]any, 1+sequencesAtOnce)
		args[0] = topic
		for i := range sequencesAtOnce {
			// The last stands in for those that are not asked for.
			args[i+1] = int64(sequences[min(i, n-1)])
		}
		rows, err := queryRows(ctx, tx, bySequences, args...)
		if err != nil {
			return nil, err
		}
		found, sequences = append(found, rows...), sequences[n:]
	}
	return found, nil
}

// Link is one version in the chain of a record's versions.
type Link struct {
	Index uint64
	// Prev is the entry of the version before plus one; 0 for the first.
	Prev uint64
	// Payload says that the version has one, and Tokens whom it names: subject
	// tokens, joined. A version without payload is about whom the payload before
	// it names.
	Payload bool
	Tokens  []byte
}

var lookupLinks = &store.Lookup{
	Select: "SELECT s.idx, s.prev, s.tokens, l.leaf FROM sealed s JOIN ledger l ON l.idx = s.idx", Keys: [2]string{"s.idx", "s.key_token"},
}

// LinksAt reads versions of records by their entries and, at the same places, the
// records' tokens. A version whose record was erased is left out.
func LinksAt(ctx context.Context, p *store.Part, tx store.Tx, indexes []uint64, keyTokens [][]byte) (map[uint64]Link, error) {
	at := make(store.Ints, len(indexes))
	for i, index := range indexes {
		at[i] = int64(index)
	}
	found := make(map[uint64]Link, len(indexes))
	err := lookupLinks.Run(ctx, p, tx, at, store.Blobs(keyTokens), func(rows *sql.Rows) error {
		var l Link
		var leaf []byte
		if err := rows.Scan(&l.Index, &l.Prev, &l.Tokens, &leaf); err != nil {
			return err
		}
		if l.Payload = len(l.Tokens) > 0; !l.Payload {
			var entry ledgerv1.LedgerEntry
			if err := proto.Unmarshal(leaf, &entry); err != nil {
				return err
			}
			l.Payload = entry.GetPublished().GetOperation() == ledgerv1.Operation_OPERATION_PUT
		}
		found[l.Index] = l
		return nil
	})
	return found, err
}
