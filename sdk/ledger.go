package sdk

import (
	"bytes"
	"context"
	"sync"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Checkpoint is a signed statement of the ledger's size and root hash.
type Checkpoint struct {
	verify.Checkpoint
	// Signed is the C2SP signed note that says so.
	Signed string
}

// ledgerView is what the client knows of the ledger so far.
type ledgerView struct {
	key      string
	verifier *verify.CheckpointVerifier
	mu       sync.Mutex
	// proven is the last checkpoint that all earlier ones are proven to be part
	// of; largest the largest that came with an answer since.
	proven, largest verify.Checkpoint

	// The checkpoints opened last: calls that were committed together come with
	// the same one, and its signature costs more than all else of a small call.
	// Over several connections the answers of a few commits come mixed.
	opening sync.Mutex
	opened  [4]opened
	oldest  int
}

// opened is a checkpoint whose signature was checked.
type opened struct {
	signed     []byte
	checkpoint *verify.Checkpoint
}

func newLedgerView(key string, v *verify.CheckpointVerifier) *ledgerView {
	return &ledgerView{key: key, verifier: v}
}

// open checks the signature of a checkpoint, unless it is one of the last again.
func (l *ledgerView) open(signed []byte) (*verify.Checkpoint, error) {
	l.opening.Lock()
	defer l.opening.Unlock()
	for _, o := range l.opened {
		if o.checkpoint != nil && bytes.Equal(signed, o.signed) {
			return o.checkpoint, nil
		}
	}
	c, err := l.verifier.Open(signed)
	if err != nil {
		return nil, err
	}
	l.opened[l.oldest] = opened{signed, c}
	l.oldest = (l.oldest + 1) % len(l.opened)
	return c, nil
}

// checkRange checks a proof and notes its checkpoint.
func (l *ledgerView) checkRange(p *rangeProof) error {
	c, err := p.check(l.open)
	if err != nil {
		return unproven("%w", err)
	}
	return l.see(c)
}

// see notes a checkpoint. Two checkpoints of one size have one root: anything
// else is a forked ledger.
func (l *ledgerView) see(c *verify.Checkpoint) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, known := range []*verify.Checkpoint{&l.largest, &l.proven} {
		if c.Size == known.Size && c.Root != known.Root {
			return unproven("two ledgers of size %d", c.Size)
		}
	}
	if c.Size > l.largest.Size {
		l.largest = *c
	}
	return nil
}

// seen gives the largest size of the ledger that was shown so far. An entry of a
// call that is sent after that cannot stand before it: history is not written
// into.
func (l *ledgerView) seen() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.largest.Size
}

func (l *ledgerView) known() (proven, largest verify.Checkpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proven, l.largest
}

// Checkpoint fetches the newest checkpoint, checks its signature, and has the
// exchange prove that the ledger only grew since every checkpoint that this
// client saw. Call it now and then in a process that runs for long: it is what
// shows a rewritten history.
func (c *Client) Checkpoint(ctx context.Context) (*Checkpoint, error) {
	resp, err := c.ledger().GetCheckpoint(ctx, &ledgerv1.GetCheckpointRequest{})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	newest, err := c.log.verifier.Open([]byte(resp.GetCheckpoint()))
	if err != nil {
		return nil, unproven("%w", err)
	}
	proven, largest := c.log.known()
	for _, old := range []verify.Checkpoint{proven, largest} {
		if err := c.grewFrom(ctx, old, *newest); err != nil {
			return nil, err
		}
	}
	if err := c.log.see(newest); err != nil {
		return nil, err
	}
	c.log.mu.Lock()
	c.log.proven = *newest
	c.log.mu.Unlock()
	return &Checkpoint{*newest, resp.GetCheckpoint()}, nil
}

// grewFrom checks that the smaller of two trees is a prefix of the other.
func (c *Client) grewFrom(ctx context.Context, a, b verify.Checkpoint) error {
	if a.Size > b.Size {
		a, b = b, a
	}
	if a.Size == 0 {
		return nil
	}
	if a.Size == b.Size {
		if a.Root != b.Root {
			return unproven("two ledgers of size %d", a.Size)
		}
		return nil
	}
	resp, err := c.ledger().GetConsistencyProof(ctx, &ledgerv1.GetConsistencyProofRequest{FirstSize: a.Size, SecondSize: b.Size})
	if err != nil {
		return fault.FromStatus(err)
	}
	if err := verify.CheckConsistency(&a, &b, resp.GetHashes()); err != nil {
		return unproven("the ledger of size %d is not part of that of size %d: %w", a.Size, b.Size, err)
	}
	return nil
}

// ProveReceipt fetches an inclusion proof for a receipt, against the newest
// checkpoint, checks it and keeps it with the receipt.
func (c *Client) ProveReceipt(ctx context.Context, r *Receipt) error {
	i, err := c.inclusion(ctx, r.Index, r.Leaf)
	if err == nil {
		r.inclusion = i
	}
	return err
}

// ProveLeaf checks that a leaf, such as Record.Leaf, is in the ledger. Whoever
// holds a leaf may ask.
func (c *Client) ProveLeaf(ctx context.Context, index uint64, leaf []byte) error {
	_, err := c.inclusion(ctx, index, leaf)
	return err
}

func (c *Client) inclusion(ctx context.Context, index uint64, leaf []byte) (*inclusion, error) {
	hash := verify.LeafHash(leaf)
	resp, err := c.ledger().GetInclusionProof(ctx, &ledgerv1.GetInclusionProofRequest{Index: index, LeafHash: hash[:]})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	i := &inclusion{checkpoint: resp.GetCheckpoint(), hashes: resp.GetHashes()}
	checkpoint, err := i.check(c.log.verifier, index, leaf)
	if err != nil {
		return nil, err
	}
	return i, c.log.see(checkpoint)
}

func (i *inclusion) check(v *verify.CheckpointVerifier, index uint64, leaf []byte) (*verify.Checkpoint, error) {
	checkpoint, err := v.Open([]byte(i.checkpoint))
	if err != nil {
		return nil, unproven("%w", err)
	}
	if err := verify.CheckInclusion(checkpoint, index, verify.LeafHash(leaf), i.hashes); err != nil {
		return nil, unproven("entry %d is not in the ledger: %w", index, err)
	}
	return checkpoint, nil
}
