package journaltest

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Audit re-derives the whole ledger from its leaves, sharing no code with what
// wrote it but the definitions of hashes, and fails the test at the first thing
// that is not so. It returns how many entries there are.
func (l *Ledger) Audit() uint64 {
	l.T.Helper()
	a := &audit{l: l, ctx: l.T.Context(), sequences: map[uint32]uint64{}, records: map[string]*record{}}
	if err := a.run(); err != nil {
		l.T.Fatalf("audit: %v", err)
	}
	return a.head.Size
}

type audit struct {
	l         *Ledger
	ctx       context.Context
	head      *journal.Head
	hashes    []tlog.Hash
	sequences map[uint32]uint64
	records   map[string]*record
	keys      int
	lastAt    int64
}

// record is what the entries say of a record.
type record struct {
	idx, payload, version, source int64
	status                        exchangev1.Status
	topic                         int64
}

func (a *audit) run() (err error) {
	if a.head, err = journal.ReadHead(a.ctx, a.l.DB.Reader()); err != nil {
		return err
	}
	leaves, err := a.leaves()
	if err != nil {
		return err
	}
	for i, leaf := range leaves {
		if err := a.entry(uint64(i), leaf); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	for _, step := range []func() error{a.tree, a.tiles, a.streams, a.present, a.idempotency} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (a *audit) leaves() (leaves [][]byte, err error) {
	rows, err := a.l.DB.Reader().QueryContext(a.ctx, "SELECT idx, leaf FROM ledger ORDER BY idx")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var idx int
		var leaf []byte
		if err := rows.Scan(&idx, &leaf); err != nil {
			return nil, err
		}
		if idx != len(leaves) {
			return nil, fmt.Errorf("entry %d follows %d", idx, len(leaves)-1)
		}
		leaves = append(leaves, leaf)
	}
	return leaves, rows.Err()
}

func (a *audit) entry(index uint64, leaf []byte) error {
	var e ledgerv1.LedgerEntry
	if err := proto.Unmarshal(leaf, &e); err != nil {
		return err
	}
	if e.Index != index || e.AtUs <= a.lastAt {
		return fmt.Errorf("says index %d, time %d after %d", e.Index, e.AtUs, a.lastAt)
	}
	a.lastAt = e.AtUs
	a.hashes = append(a.hashes, tlog.RecordHash(leaf))
	if p := e.GetPublished(); p != nil {
		return a.published(int64(index), &e, p)
	}
	return nil
}

func (a *audit) published(index int64, e *ledgerv1.LedgerEntry, p *ledgerv1.RecordPublished) error {
	a.keys++
	if a.sequences[p.Partition]++; p.Sequence != a.sequences[p.Partition] {
		return fmt.Errorf("stream sequence %d, not %d", p.Sequence, a.sequences[p.Partition])
	}
	var topic, pos, prev int64
	var token, tokens, body []byte
	err := a.l.DB.Reader().QueryRowContext(a.ctx, "SELECT topic, pos, prev, key_token, tokens, body FROM sealed WHERE idx = $1", index).
		Scan(&topic, &pos, &prev, &token, &tokens, &body)
	if err != nil {
		return err
	}
	if topic != journal.Number(p.Topic) || uint64(pos) != p.Sequence {
		return fmt.Errorf("sealed row says topic %d, sequence %d", topic, pos)
	}
	erase := p.Operation == ledgerv1.Operation_OPERATION_ERASE
	if body == nil {
		if !erase && (token != nil || tokens != nil) || erase && token == nil {
			return fmt.Errorf("erased, but not its tokens, or an erasure that names no record")
		}
		if erase {
			delete(a.records, recordOf(topic, token))
		}
		return nil
	}
	if erase {
		return fmt.Errorf("an erasure with a body")
	}
	if err := a.opens(e, p, token, body); err != nil {
		return err
	}
	return a.moves(index, p, topic, prev, token)
}

func (a *audit) opens(e *ledgerv1.LedgerEntry, p *ledgerv1.RecordPublished, token, body []byte) error {
	o, err := journal.OpenRecord(a.l.Keys, a.head.Origin, p.Topic, token, body)
	if err != nil {
		return err
	}
	if !bytes.Equal(verify.CommitText(verify.Key, 0, o.Secret, o.Key), p.KeyCommitment) {
		return fmt.Errorf("the key is not what was committed to")
	}
	if p.Operation != ledgerv1.Operation_OPERATION_PUT || p.Contract != layout.Contract {
		return nil
	}
	c, err := layout.Commitment(o.Secret, o.Payload)
	if err != nil || !bytes.Equal(c[:], p.PayloadCommitment) {
		return fmt.Errorf("the payload is not what was committed to: %v", err)
	}
	return nil
}

// recordOf names a record as the journal's rows do.
func recordOf(topic int64, token []byte) string { return fmt.Sprintf("%d/%x", topic, token) }

func (a *audit) moves(index int64, p *ledgerv1.RecordPublished, topic, prev int64, token []byte) error {
	id := recordOf(topic, token)
	r := a.records[id]
	if r == nil {
		r = &record{topic: topic, idx: -1}
		a.records[id] = r
	}
	if prev != r.idx+1 {
		return fmt.Errorf("names %d as the version before, not %d", prev-1, r.idx)
	}
	r.idx, r.version, r.source = index, r.version+1, max(r.source, int64(p.SourceVersion))
	r.status = map[ledgerv1.Operation]exchangev1.Status{
		ledgerv1.Operation_OPERATION_PUT: exchangev1.Status_STATUS_ACTIVE, ledgerv1.Operation_OPERATION_RESUME: exchangev1.Status_STATUS_ACTIVE,
		ledgerv1.Operation_OPERATION_REMOVE: exchangev1.Status_STATUS_REMOVED, ledgerv1.Operation_OPERATION_SUSPEND: exchangev1.Status_STATUS_SUSPENDED,
		ledgerv1.Operation_OPERATION_REVOKE: exchangev1.Status_STATUS_REVOKED, ledgerv1.Operation_OPERATION_CANCEL: exchangev1.Status_STATUS_CANCELLED,
		ledgerv1.Operation_OPERATION_SUPERSEDE: exchangev1.Status_STATUS_SUPERSEDED,
	}[p.Operation]
	if p.Operation == ledgerv1.Operation_OPERATION_PUT {
		r.payload = index
	}
	return nil
}

// tree compares the checkpoint with the tree that another implementation of RFC
// 6962 builds from the leaves.
func (a *audit) tree() error {
	checkpoint, err := a.l.Verifier.Open(a.head.Checkpoint)
	if err != nil {
		return err
	}
	root, err := treeHash(a.hashes)
	if err != nil {
		return err
	}
	if checkpoint.Size != uint64(len(a.hashes)) || a.head.Size != checkpoint.Size || tlog.Hash(checkpoint.Root) != root {
		return fmt.Errorf("head of %d, checkpoint of %d with root %x; the leaves are %d with root %v",
			a.head.Size, checkpoint.Size, checkpoint.Root, len(a.hashes), root)
	}
	if a.head.At != a.lastAt {
		return fmt.Errorf("the head's time is %d, the last entry's %d", a.head.At, a.lastAt)
	}
	growth, err := ledger.Grow(a.head.Size, a.head.Edge)
	if err != nil {
		return err
	}
	if edge, err := growth.Root(); err != nil || edge != checkpoint.Root {
		return fmt.Errorf("the edge is not that of the tree: %v", err)
	}
	return nil
}

// treeHash is the definition of RFC 6962, section 2.1, by recursion.
func treeHash(leaves []tlog.Hash) (tlog.Hash, error) {
	switch len(leaves) {
	case 0:
		return tlog.TreeHash(0, nil)
	case 1:
		return leaves[0], nil
	}
	split := 1
	for split*2 < len(leaves) {
		split *= 2
	}
	left, err := treeHash(leaves[:split])
	if err != nil {
		return left, err
	}
	right, err := treeHash(leaves[split:])
	return tlog.NodeHash(left, right), err
}

func (a *audit) tiles() error {
	row := slices.Clone(a.hashes)
	for level := 0; len(row) >= ledger.TileWidth; level++ {
		var above []tlog.Hash
		for n := 0; (n+1)*ledger.TileWidth <= len(row); n++ {
			part := row[n*ledger.TileWidth : (n+1)*ledger.TileWidth]
			root, err := treeHash(part)
			if err != nil {
				return err
			}
			var stored, hashes []byte
			err = a.l.DB.Reader().QueryRowContext(a.ctx, "SELECT root, hashes FROM tiles WHERE level = $1 AND idx = $2", level, n).Scan(&stored, &hashes)
			if err != nil {
				return fmt.Errorf("tile %d/%d: %w", level, n, err)
			}
			var want []byte
			for _, h := range part {
				want = append(want, h[:]...)
			}
			if !bytes.Equal(stored, root[:]) || !bytes.Equal(hashes, want) {
				return fmt.Errorf("tile %d/%d is wrong", level, n)
			}
			above = append(above, root)
		}
		row = above
	}
	return nil
}

func (a *audit) streams() error {
	for p, last := range a.head.Sequences {
		if a.sequences[uint32(p)] != last {
			return fmt.Errorf("partition %d: the head says sequence %d, the entries %d", p, last, a.sequences[uint32(p)])
		}
	}
	return nil
}

func (a *audit) present() error {
	rows, err := a.l.DB.Reader().QueryContext(a.ctx, "SELECT topic, key_token, idx, payload_idx, version, status, source_version FROM records")
	if err != nil {
		return err
	}
	defer rows.Close()
	found := 0
	for rows.Next() {
		var r record
		var token []byte
		if err := rows.Scan(&r.topic, &token, &r.idx, &r.payload, &r.version, &r.status, &r.source); err != nil {
			return err
		}
		found++
		want := a.records[recordOf(r.topic, token)]
		if want == nil {
			return fmt.Errorf("record of entry %d is held, but was erased or never published", r.idx)
		}
		if want.idx != r.idx || want.payload != r.payload || want.version != r.version || want.status != r.status || want.source != r.source {
			return fmt.Errorf("record is %+v, by its entries %+v", r, *want)
		}
	}
	if found != len(a.records) {
		return fmt.Errorf("%d records, by the entries %d", found, len(a.records))
	}
	return rows.Err()
}

func (a *audit) idempotency() error {
	var n int
	if err := a.l.DB.Reader().QueryRowContext(a.ctx, "SELECT count(*) FROM idempotency").Scan(&n); err != nil {
		return err
	}
	if n != a.keys {
		return fmt.Errorf("%d idempotency keys for %d publications", n, a.keys)
	}
	return nil
}
