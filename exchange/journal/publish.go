package journal

import (
	"cmp"
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// publish takes a call's records into the batch: first it decides each, then it
// writes the entries of those that are accepted, side by side.
func (b *batch) publish(ctx context.Context, tx store.Tx, p *Publish) (answer, error) {
	if p.ValidateOnly {
		return b.validate(ctx, tx, p)
	}
	commit := &Commit{Index: b.growth.Size(), At: b.nextAt(), Policy: b.head.Policy, Records: make([]Outcome, len(p.Records))}
	a := answer{commit: commit, left: b.growth.Left()}
	accepted, omitted, err := b.decide(ctx, tx, p, commit.Records)
	if err != nil {
		return a, err
	}
	for n, d := range accepted {
		r, o := p.Records[d.at], &commit.Records[d.at]
		r.Leaf.Call = &ledgerv1.CallPart{Back: uint32(n), Position: r.Position}
		if n == 0 {
			r.Leaf.Call.Statements, r.Leaf.Call.Signature = uint32(p.Statements), p.Signature
			r.Leaf.Call.Omitted = append(append([]*ledgerv1.OmittedStatement(nil), p.Omitted...), omitted...)
		}
		b.head.Sequences[r.Leaf.Partition]++
		r.Leaf.Sequence = b.head.Sequences[r.Leaf.Partition]
		entry := &ledgerv1.LedgerEntry{
			Actor: p.Actor, ActorCertificate: p.Certificate,
			Body: &ledgerv1.LedgerEntry_Published{Published: r.Leaf},
		}
		leaf, err := b.append(entry)
		if err != nil {
			return a, err
		}
		o.Index, o.At, o.Leaf = entry.Index, entry.AtUs, leaf
		body, tokens := r.Sealed, r.Tokens
		if r.Leaf.Operation == ledgerv1.Operation_OPERATION_ERASE {
			body = nil
			if tokens, err = sealEraser(b.j.Sealer, b.head.Origin, r.Leaf.Topic, r.KeyToken); err != nil {
				return a, err
			}
		}
		b.seal(entry.Index, r.topicNumber, int64(r.Leaf.Sequence), d.prev, r.KeyToken, tokens, body)
		commit.Leaves = append(commit.Leaves, leaf)
	}
	a.proven = len(accepted)
	b.writes = b.writes || len(accepted) > 0 || p.Position != nil
	if err := b.appendErasures(p); err != nil {
		return a, err
	}
	if p.Position != nil {
		err = b.savePosition(ctx, tx, p)
	}
	return a, err
}

// decision is one accepted record: its place among the call's, and the entry of
// its version before plus one.
type decision struct {
	at   int
	prev int64
}

// decide moves the states record by record and fills in the outcomes of those
// that make no entry.
func (b *batch) decide(ctx context.Context, tx store.Tx, p *Publish, outcomes []Outcome) (accepted []decision, omitted []*ledgerv1.OmittedStatement, err error) {
	system := Number(p.Actor)
	for i, r := range p.Records {
		id := publicationID{system, string(r.Leaf.IdempotencyKey)}
		next := int64(b.growth.Size()) + int64(len(accepted))
		if first, known := b.known[id]; known {
			if err := b.repeat(ctx, tx, first, &outcomes[i]); err != nil {
				return nil, nil, err
			}
			omitted = append(omitted, &ledgerv1.OmittedStatement{Position: r.Position, LeafHash: r.Statement[:]})
			continue
		}
		s := b.states[recordID{r.topicNumber, string(r.KeyToken)}]
		if s.erased {
			*s = state{}
		}
		before := *s
		err := s.apply(r, next)
		if err == nil {
			err = b.attach(ctx, tx, p.Actor, r, next, b.nextAt()+int64(len(accepted)))
		}
		if broken := unlessFault(err); broken != nil {
			return nil, nil, broken
		}
		if err != nil {
			*s = before
			outcomes[i].Err = err
			omitted = append(omitted, &ledgerv1.OmittedStatement{Position: r.Position, LeafHash: r.Statement[:]})
			continue
		}
		d := decision{at: i}
		if before.exists {
			d.prev = before.idx + 1
		}
		accepted = append(accepted, d)
		outcomes[i].Index = uint64(next)
		b.known[id] = next
		b.keyRows.system, b.keyRows.key = append(b.keyRows.system, system), append(b.keyRows.key, r.Leaf.IdempotencyKey)
		b.keyRows.idx = append(b.keyRows.idx, next)
		if s.erased {
			b.erasures = append(b.erasures, erasure{
				id: recordID{r.topicNumber, string(r.KeyToken)}, topic: r.Leaf.Topic, last: next, partition: r.Leaf.Partition,
				leaf: &ledgerv1.RecordErased{Topic: r.Leaf.Topic, RequestedBy: uint64(next), Versions: uint32(s.version)},
			})
		}
	}
	return accepted, omitted, nil
}

// validate decides a call's records and leaves the batch as it is.
func (b *batch) validate(ctx context.Context, tx store.Tx, p *Publish) (answer, error) {
	commit := &Commit{Index: b.growth.Size(), At: b.nextAt(), Policy: b.head.Policy, Records: make([]Outcome, len(p.Records))}
	system := Number(p.Actor)
	tried := map[recordID]state{}
	for i, r := range p.Records {
		if first, known := b.known[publicationID{system, string(r.Leaf.IdempotencyKey)}]; known {
			if err := b.repeat(ctx, tx, first, &commit.Records[i]); err != nil {
				return answer{}, err
			}
			continue
		}
		id := recordID{r.topicNumber, string(r.KeyToken)}
		s, again := tried[id]
		if !again {
			s = *b.states[id]
		}
		if s.erased {
			s = state{}
		}
		next := int64(b.growth.Size()) + int64(i)
		err := s.apply(r, next)
		if err == nil {
			err = b.tryAttach(ctx, tx, p.Actor, r, next, commit.At+int64(i))
		}
		if broken := unlessFault(err); broken != nil {
			return answer{}, broken
		}
		if commit.Records[i].Err = err; err == nil {
			tried[id] = s
		}
	}
	return answer{commit: commit}, nil
}

// attach makes the record's documents belong to its publication, and writes what
// goes with it: all or nothing.
func (b *batch) attach(ctx context.Context, tx store.Tx, system string, r *Record, index, at int64) error {
	if len(r.Documents) == 0 && r.With == nil {
		return nil
	}
	return store.Savepoint(ctx, tx, func() error { return b.attached(ctx, tx, system, r, index, at) })
}

// tryAttach says whether attach would be refused.
func (b *batch) tryAttach(ctx context.Context, tx store.Tx, system string, r *Record, index, at int64) error {
	if len(r.Documents) == 0 && r.With == nil {
		return nil
	}
	err := store.Savepoint(ctx, tx, func() error {
		if err := b.attached(ctx, tx, system, r, index, at); err != nil {
			return err
		}
		return errValidated
	})
	if errors.Is(err, errValidated) {
		return nil
	}
	return err
}

func (b *batch) attached(ctx context.Context, tx store.Tx, system string, r *Record, index, at int64) error {
	if len(r.Documents) > 0 {
		if err := b.j.Attach(ctx, tx, system, uint64(index), r.Documents); err != nil {
			return err
		}
	}
	if r.With == nil {
		return nil
	}
	return r.With(ctx, tx, uint64(index), at)
}

// unlessFault gives an error that is the engine's, after which the transaction
// cannot go on; a fault refuses one record alone.
func unlessFault(err error) error {
	var own *fault.Error
	if errors.As(err, &own) && !errors.Is(err, store.ErrLost) {
		return nil
	}
	return err
}

// repeat answers a known idempotency key with the receipt of the first time.
func (b *batch) repeat(ctx context.Context, tx store.Tx, first int64, o *Outcome) error {
	o.Repeat, o.Index = true, uint64(first)
	if uint64(first) >= b.growth.Size() {
		// Its first time is in this very call: the leaf is not made yet.
		o.Err = fault.Field("idempotency_key", "idempotency_key.duplicate", "another record of this call has the same idempotency key")
		return nil
	}
	if uint64(first) >= b.start {
		o.Leaf = b.ledgerRows.leaf[uint64(first)-b.start]
	} else if err := tx.QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", first).Scan(&o.Leaf); err != nil {
		return err
	}
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(o.Leaf, &entry); err != nil {
		return err
	}
	o.At = entry.AtUs
	return nil
}

// appendErasures adds an entry for each erasure of the call just taken.
func (b *batch) appendErasures(p *Publish) error {
	for i := range b.erasures {
		e := &b.erasures[i]
		if e.leaf == nil {
			continue
		}
		b.head.Policy++
		e.leaf.Provider, e.leaf.Policy = verify.ParticipantOf(p.Actor), b.head.Policy
		if p.Provider != "" {
			e.leaf.Provider = p.Provider
		}
		entry := &ledgerv1.LedgerEntry{Actor: cmp.Or(p.Actor, p.For), Body: &ledgerv1.LedgerEntry_Erased{Erased: e.leaf}}
		if _, err := b.append(entry); err != nil {
			return err
		}
		e.leaf, e.erased, e.at = nil, entry.Index, entry.AtUs
	}
	return nil
}

// erase takes payloads, openings and tokens of all versions of the erased
// records. The row of the erase operation keeps the record's token: by it the
// subscribers learn which record they must forget. Which version followed which
// stays too, so that the index can forget them and a check can count them; it
// names neither record nor subject.
func (b *batch) erase(ctx context.Context, tx store.Tx) error {
	for _, e := range b.erasures {
		if s := b.states[e.id]; s.erased {
			if _, err := tx.ExecContext(ctx, "DELETE FROM records WHERE topic = $1 AND key_token = $2", e.id.topic, []byte(e.id.token)); err != nil {
				return err
			}
		}
		var next int64
		if err := tx.QueryRowContext(ctx, "SELECT prev FROM sealed WHERE idx = $1", e.last).Scan(&next); err != nil {
			return err
		}
		gone := Erased{Topic: e.topic, KeyToken: []byte(e.id.token), Eraser: uint64(e.last), Index: e.erased, At: e.at}
		for next != 0 {
			idx, pos := next-1, int64(0)
			gone.Versions = append(gone.Versions, uint64(idx))
			if err := tx.QueryRowContext(ctx, "SELECT prev, pos FROM sealed WHERE idx = $1", idx).Scan(&next, &pos); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO stream_erasures (part, pos, idx, done) VALUES ($1, $2, $3, 0)", int64(e.partition), pos, idx); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "UPDATE sealed SET key_token = NULL, tokens = NULL, body = NULL WHERE idx = $1", idx); err != nil {
				return err
			}
		}
		for _, take := range b.j.Erasing {
			if err := take(ctx, tx, gone); err != nil {
				return err
			}
		}
	}
	return nil
}

// Erased is a record that is erased.
type Erased struct {
	Topic    string
	KeyToken []byte
	// Eraser is the publication that asks for it, Index the RecordErased entry, and
	// At its time.
	Eraser, Index uint64
	At            int64
	// Versions are the entries of its versions, the newest first, without Eraser.
	Versions []uint64
}

func (b *batch) savePosition(ctx context.Context, tx store.Tx, p *Publish) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO positions (system, source, position, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (system, source) DO UPDATE SET position = excluded.position, at = excluded.at`,
		p.Actor, p.Position.GetSource(), append([]byte{}, p.Position.GetPosition()...), b.nextAt())
	return err
}
