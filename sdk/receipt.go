package sdk

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// Receipt says that an entry is committed. It carries its own proof: anyone with
// the ledger's key can check it offline, now or in ten years.
type Receipt struct {
	// Index is the entry's place in the ledger.
	Index uint64
	// At is when it was committed.
	At time.Time
	// Leaf is the entry as stored: a marshalled huitong.ledger.v1.LedgerEntry.
	Leaf []byte
	// Repeat says that the idempotency key was known and nothing changed: this
	// is the receipt of the first time. It comes without proof; get one with
	// Client.ProveReceipt.
	Repeat bool
	// Warnings are rules that the record breaks without being refused.
	Warnings []fault.Violation

	proof *rangeProof
	// place is the leaf's place among those of the proof.
	place int
	// inclusion takes the place of proof where it was fetched alone.
	inclusion *inclusion
}

// inclusion proves one leaf (RFC 6962, section 2.1.1).
type inclusion struct {
	checkpoint string
	hashes     [][]byte
}

// rangeProof is the proof of a whole call; its receipts share it.
type rangeProof struct {
	message *exchangev1.RangeProof
	leaves  [][verify.HashSize]byte
}

// Proven says whether the receipt carries a proof.
func (r *Receipt) Proven() bool { return r.proof != nil || r.inclusion != nil }

// Verify checks, offline, that the receipt's leaf is in the ledger whose key is
// given (a C2SP vkey): the leaf is in the tree of a checkpoint, and that
// checkpoint carries the ledger's signature.
func (r *Receipt) Verify(ledgerKey string) error {
	v, err := verify.NewCheckpointVerifier(ledgerKey)
	if err != nil {
		return err
	}
	if r.inclusion != nil {
		_, err := r.inclusion.check(v, r.Index, r.Leaf)
		return err
	}
	if r.proof == nil {
		return unproven("the receipt of entry %d carries no proof", r.Index)
	}
	if r.Index != r.proof.message.GetFirst()+uint64(r.place) || r.proof.leaves[r.place] != verify.LeafHash(r.Leaf) {
		return unproven("the receipt of entry %d is not the one that its proof proves", r.Index)
	}
	if _, err := r.proof.check(v.Open); err != nil {
		return unproven("entry %d: %w", r.Index, err)
	}
	return nil
}

// check checks that the leaves are in the tree of the proof's checkpoint, whose
// signature open checks. It works on copies of the hash lists: the range
// arithmetic extends them in place, and a receipt may be checked again.
func (p *rangeProof) check(open func(signed []byte) (*verify.Checkpoint, error)) (*verify.Checkpoint, error) {
	checkpoint, err := open([]byte(p.message.GetCheckpoint()))
	if err != nil {
		return nil, err
	}
	first := p.message.GetFirst()
	end := first + uint64(len(p.leaves))
	if end < first || end > checkpoint.Size {
		return nil, fmt.Errorf("entries %d to %d are beyond a ledger of %d", first, end, checkpoint.Size)
	}
	left, err := verify.Ranges.NewRange(0, first, slices.Clone(p.message.GetLeft()))
	if err != nil {
		return nil, err
	}
	right, err := verify.Ranges.NewRange(end, checkpoint.Size, slices.Clone(p.message.GetRight()))
	if err != nil {
		return nil, err
	}
	for i := range p.leaves {
		if err := left.Append(p.leaves[i][:], nil); err != nil {
			return nil, err
		}
	}
	if err := left.AppendRange(right, nil); err != nil {
		return nil, err
	}
	root, err := left.GetRootHash(nil)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(root, checkpoint.Root[:]) {
		return nil, errors.New("the entries are not in the tree of the checkpoint")
	}
	return checkpoint, nil
}

// Checkpoint gives the signed checkpoint that the receipt proves itself by;
// empty if it carries none.
func (r *Receipt) Checkpoint() string {
	switch {
	case r.inclusion != nil:
		return r.inclusion.checkpoint
	case r.proof == nil:
		return ""
	}
	return r.proof.message.GetCheckpoint()
}
