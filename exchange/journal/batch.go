package journal

import (
	"context"
	"database/sql"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

type (
	recordID struct {
		topic int64
		token string
	}
	publicationID struct {
		system int64
		key    string
	}
)

// batch is one try of one group: what it has read and what it will write.
type batch struct {
	j      *Journal
	head   Head
	growth *ledger.Growth
	start  uint64
	now    int64

	states map[recordID]*state
	known  map[publicationID]int64
	guards guards

	ledgerRows struct {
		idx  store.Ints
		leaf store.Blobs
	}
	sealedRows struct {
		idx, topic, pos, prev  store.Ints
		keyToken, tokens, body store.Blobs
	}
	keyRows struct {
		system, idx store.Ints
		key         store.Blobs
	}
	erasures []erasure
	answers  []answer
	// writes says that something is to be committed: a group of repeats,
	// refusals and dry runs is not.
	writes bool
}

// answer is what a call will be told once the group is committed.
type answer struct {
	commit *Commit
	err    error
	left   [][]byte
	proven int // how many leaves from commit.Index on the proof covers
}

type erasure struct {
	id    recordID
	topic string
	// erased is the RecordErased entry, at its time.
	erased    uint64
	at        int64
	last      int64 // entry of the erase operation
	partition uint32
	leaf      *ledgerv1.RecordErased
}

var (
	insertLedger = &store.Insert{Into: "INTO ledger (idx, leaf)"}
	insertSealed = &store.Insert{Into: "INTO sealed (idx, topic, pos, prev, key_token, tokens, body)"}
	insertKeys   = &store.Insert{Into: "INTO idempotency (system, idx, key)"}
	upsertRecord = &store.Insert{
		Into: "INTO records (topic, key_token, idx, payload_idx, version, status, source_version, valid_from, valid_until)",
		Then: `ON CONFLICT (topic, key_token) DO UPDATE SET idx = excluded.idx, payload_idx = excluded.payload_idx,
			version = excluded.version, status = excluded.status, source_version = excluded.source_version,
			valid_from = excluded.valid_from, valid_until = excluded.valid_until`,
	}
	lookupRecords = &store.Lookup{
		Select: "SELECT topic, key_token, idx, payload_idx, version, status, source_version, valid_from, valid_until FROM records",
		Keys:   [2]string{"topic", "key_token"},
	}
	lookupKeys = &store.Lookup{
		Select: "SELECT system, key, idx FROM idempotency",
		Keys:   [2]string{"system", "key"},
	}
)

func (j *Journal) newBatch(head *Head) (*batch, error) {
	growth, err := ledger.Grow(head.Size, head.Edge)
	if err != nil {
		return nil, err
	}
	b := &batch{j: j, head: *head, growth: growth, start: head.Size, now: j.Clock().UnixMicro()}
	b.head.Sequences = append([]uint64(nil), head.Sequences...)
	b.states, b.known = map[recordID]*state{}, map[publicationID]int64{}
	return b, nil
}

// load reads the present versions of all records of the group, published and given
// out, and the known idempotency keys, in bulk.
func (b *batch) load(ctx context.Context, tx store.Tx, group []*waiting) error {
	var topics, systems store.Ints
	var tokens, keys store.Blobs
	record := func(topic int64, token []byte) {
		id := recordID{topic, string(token)}
		if b.states[id] == nil {
			b.states[id] = &state{}
			topics, tokens = append(topics, topic), append(tokens, token)
		}
	}
	for _, w := range group {
		for _, r := range w.call.Seen {
			record(r.Topic, r.Token)
		}
		if w.call.Publish == nil {
			continue
		}
		system := Number(w.call.Publish.Actor)
		for _, r := range w.call.Publish.Records {
			r.topicNumber = Number(r.Leaf.Topic)
			record(r.topicNumber, r.KeyToken)
			systems, keys = append(systems, system), append(keys, r.Leaf.IdempotencyKey)
		}
	}
	if err := b.guards.load(ctx, b.j.DB.Journal, tx, group); err != nil {
		return err
	}
	err := lookupRecords.Run(ctx, b.j.DB.Journal, tx, topics, tokens, func(rows *sql.Rows) error {
		var id recordID
		var token []byte
		s := state{exists: true}
		err := rows.Scan(&id.topic, &token, &s.idx, &s.payloadIdx, &s.version, &s.status, &s.sourceVersion, &s.validFrom, &s.validUntil)
		id.token = string(token)
		*b.states[id] = s
		return err
	})
	if err != nil {
		return err
	}
	return lookupKeys.Run(ctx, b.j.DB.Journal, tx, systems, keys, func(rows *sql.Rows) error {
		var system, idx int64
		var key []byte
		err := rows.Scan(&system, &key, &idx)
		b.known[publicationID{system, string(key)}] = idx
		return err
	})
}

// nextAt gives the next entry's time: larger than every earlier one.
func (b *batch) nextAt() int64 { return max(b.now, b.head.At+1) }

// append adds an entry's leaf and sealed row.
func (b *batch) append(entry *ledgerv1.LedgerEntry) ([]byte, error) {
	entry.Index, entry.AtUs = b.growth.Size(), b.nextAt()
	leaf, err := proto.MarshalOptions{Deterministic: true}.Marshal(entry)
	if err != nil {
		return nil, err
	}
	if len(leaf) > verify.MaxLeaf {
		return nil, fault.New(fault.TooLarge, "entry.size", "the entry would have %d bytes; %d is the limit", len(leaf), verify.MaxLeaf)
	}
	if err := b.growth.Append(verify.LeafHash(leaf)); err != nil {
		return nil, err
	}
	b.head.At = entry.AtUs
	b.ledgerRows.idx = append(b.ledgerRows.idx, int64(entry.Index))
	b.ledgerRows.leaf = append(b.ledgerRows.leaf, leaf)
	return leaf, nil
}

func (b *batch) seal(index uint64, topic, pos, prev int64, keyToken, tokens, body []byte) {
	r := &b.sealedRows
	r.idx, r.topic, r.pos, r.prev = append(r.idx, int64(index)), append(r.topic, topic), append(r.pos, pos), append(r.prev, prev)
	r.keyToken, r.tokens, r.body = append(r.keyToken, keyToken), append(r.tokens, tokens), append(r.body, body)
}

// call takes one call into the batch.
func (b *batch) call(ctx context.Context, tx store.Tx, c *Call) (answer, error) {
	switch {
	case c.DecidedAt != 0 && c.DecidedAt != b.head.Policy:
		return answer{err: ErrPolicyMoved}, nil
	case !b.guards.hold(c), !b.asSeen(c):
		return answer{err: ErrPolicyMoved}, nil
	case c.Publish != nil:
		return b.publish(ctx, tx, c.Publish)
	case c.Build != nil:
		return b.build(ctx, tx, c)
	}
	return b.entries(c.Entries)
}

// asSeen says whether the records that a call gives out still stand as it saw them.
func (b *batch) asSeen(c *Call) bool {
	for _, r := range c.Seen {
		if now := b.states[recordID{r.Topic, string(r.Token)}]; now.status != r.Status || uint64(now.payloadIdx) != r.Payload {
			return false
		}
	}
	return true
}

var errValidated = errors.New("validated")

func (b *batch) build(ctx context.Context, tx store.Tx, c *Call) (answer, error) {
	var bumped []guardID
	slot := Slot{Index: b.growth.Size(), At: b.nextAt(), Policy: b.head.Policy, bumped: &bumped}
	if c.ChangesPolicy {
		slot.Policy++
	}
	var entries []Entry
	err := store.Savepoint(ctx, tx, func() error {
		var err error
		if entries, err = c.Build(ctx, tx, slot); err == nil && c.ValidateOnly {
			err = errValidated
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrLost):
		return answer{}, err
	case err == errValidated:
		return answer{commit: &Commit{Index: slot.Index, At: slot.At, Policy: b.head.Policy}}, nil
	case err != nil:
		// The caller's own refusal, or what the engine said of its statements.
		return answer{err: err}, nil
	}
	b.head.Policy, b.writes = slot.Policy, true
	b.guards.bump(bumped)
	return b.entries(entries)
}

func (b *batch) entries(entries []Entry) (answer, error) {
	commit := &Commit{Index: b.growth.Size(), At: b.nextAt(), Policy: b.head.Policy}
	a := answer{commit: commit, left: b.growth.Left(), proven: len(entries)}
	b.writes = b.writes || len(entries) > 0
	for _, e := range entries {
		leaf, err := b.append(e.Leaf)
		if err != nil {
			return a, err
		}
		commit.Leaves = append(commit.Leaves, leaf)
		if e.Opening == nil {
			continue
		}
		body, err := SealEntry(b.j.Sealer, b.head.Origin, e.Opening)
		if err != nil {
			return a, err
		}
		b.seal(e.Leaf.Index, 0, 0, 0, nil, nil, body)
	}
	return a, nil
}

// write writes the rows of the batch and the head.
func (b *batch) write(ctx context.Context, tx store.Tx) error {
	p := b.j.DB.Journal
	if err := insertLedger.Run(ctx, p, tx, b.ledgerRows.idx, b.ledgerRows.leaf); err != nil {
		return err
	}
	s := &b.sealedRows
	if err := insertSealed.Run(ctx, p, tx, s.idx, s.topic, s.pos, s.prev, s.keyToken, s.tokens, s.body); err != nil {
		return err
	}
	k := &b.keyRows
	if err := insertKeys.Run(ctx, p, tx, k.system, k.idx, k.key); err != nil {
		return err
	}
	if err := b.writeRecords(ctx, tx); err != nil {
		return err
	}
	if err := b.erase(ctx, tx); err != nil {
		return err
	}
	if err := b.guards.write(ctx, p, tx); err != nil {
		return err
	}
	if err := b.growth.WriteTiles(ctx, p, tx); err != nil {
		return err
	}
	if err := b.head.seal(b.growth, b.j.Signer); err != nil {
		return err
	}
	return b.head.write(ctx, tx)
}

// writeRecords moves the pointers; many changes of one record are one row.
func (b *batch) writeRecords(ctx context.Context, tx store.Tx) error {
	var topic, idx, payload, version, status, source, from, until store.Ints
	var token store.Blobs
	for id, s := range b.states {
		if !s.touched || s.erased {
			continue
		}
		topic, token = append(topic, id.topic), append(token, []byte(id.token))
		idx, payload, version = append(idx, s.idx), append(payload, s.payloadIdx), append(version, s.version)
		status, source = append(status, int64(s.status)), append(source, s.sourceVersion)
		from, until = append(from, s.validFrom), append(until, s.validUntil)
	}
	return upsertRecord.Run(ctx, b.j.DB.Journal, tx, topic, token, idx, payload, version, status, source, from, until)
}

// settle fills in the proofs once the whole group's tree is known.
func (b *batch) settle() error {
	for i := range b.answers {
		a := &b.answers[i]
		if a.err != nil || a.proven == 0 {
			continue
		}
		right, err := b.growth.Right(a.commit.Index + uint64(a.proven))
		if err != nil {
			return err
		}
		a.commit.Proof = &exchangev1.RangeProof{
			First: a.commit.Index, Left: a.left, Right: right, Checkpoint: string(b.head.Checkpoint),
		}
	}
	return nil
}
