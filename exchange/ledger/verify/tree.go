package verify

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// MaxLeaf is the largest leaf: entry bundles (C2SP tlog-tiles) count in 16 bits.
const MaxLeaf = 65535

// LeafHash is RFC 6962's hash of a leaf.
func LeafHash(leaf []byte) [HashSize]byte {
	var small [512]byte
	if len(leaf) < len(small) {
		return sha256.Sum256(append(small[:1], leaf...))
	}
	h := sha256.New()
	h.Write(small[:1])
	h.Write(leaf)
	return [HashSize]byte(h.Sum(nil))
}

// NodeHash is RFC 6962's hash of an inner node.
func NodeHash(left, right [HashSize]byte) [HashSize]byte {
	var b [1 + 2*HashSize]byte
	b[0] = rfc6962.RFC6962NodeHashPrefix
	copy(b[1:], left[:])
	copy(b[1+HashSize:], right[:])
	return sha256.Sum256(b[:])
}

// Root is RFC 6962's Merkle tree hash over leaf hashes.
func Root(leaves [][HashSize]byte) [HashSize]byte {
	if len(leaves) == 0 {
		return sha256.Sum256(nil)
	}
	row := append(make([][HashSize]byte, 0, len(leaves)), leaves...)
	for len(row) > 1 {
		half := row[:0]
		for i := 0; i+1 < len(row); i += 2 {
			half = append(half, NodeHash(row[i], row[i+1]))
		}
		if len(row)%2 == 1 {
			// A lone right node joins at the level where it has a sibling: RFC
			// 6962's split at the largest power of two is the same tree.
			half = append(half, row[len(row)-1])
		}
		row = half
	}
	return row[0]
}

// Ranges makes compact ranges of the ledger's tree.
var Ranges = &compact.RangeFactory{Hash: func(left, right []byte) []byte {
	h := NodeHash([HashSize]byte(left), [HashSize]byte(right))
	return h[:]
}}

// CheckRange checks that consecutive leaves are in the tree of the proof's
// checkpoint, whose signature the verifier checks, and gives the checkpoint.
func CheckRange(p *exchangev1.RangeProof, leafHashes [][HashSize]byte, verifier *CheckpointVerifier) (*Checkpoint, error) {
	checkpoint, err := verifier.Open([]byte(p.GetCheckpoint()))
	if err != nil {
		return nil, err
	}
	end := p.GetFirst() + uint64(len(leafHashes))
	if end < p.GetFirst() || end > checkpoint.Size {
		return nil, fmt.Errorf("range proof: leaves %d to %d are beyond a tree of %d", p.GetFirst(), end, checkpoint.Size)
	}
	for _, h := range slices.Concat(p.GetLeft(), p.GetRight()) {
		if len(h) != HashSize {
			return nil, fmt.Errorf("range proof: a hash has %d bytes", len(h))
		}
	}
	left, err := Ranges.NewRange(0, p.GetFirst(), p.GetLeft())
	if err != nil {
		return nil, fmt.Errorf("range proof: %w", err)
	}
	right, err := Ranges.NewRange(end, checkpoint.Size, p.GetRight())
	if err != nil {
		return nil, fmt.Errorf("range proof: %w", err)
	}
	for i := range leafHashes {
		if err := left.Append(leafHashes[i][:], nil); err != nil {
			return nil, fmt.Errorf("range proof: %w", err)
		}
	}
	if err := left.AppendRange(right, nil); err != nil {
		return nil, fmt.Errorf("range proof: %w", err)
	}
	root, err := left.GetRootHash(nil)
	if err != nil {
		return nil, fmt.Errorf("range proof: %w", err)
	}
	if !bytes.Equal(root, checkpoint.Root[:]) {
		return nil, errors.New("range proof: the leaves are not in the tree of the checkpoint")
	}
	return checkpoint, nil
}

// CheckInclusion checks an inclusion proof (RFC 6962, section 2.1.1).
func CheckInclusion(c *Checkpoint, index uint64, leafHash [HashSize]byte, hashes [][]byte) error {
	return proof.VerifyInclusion(rfc6962.DefaultHasher, index, c.Size, leafHash[:], hashes, c.Root[:])
}

// CheckConsistency checks that one tree is a prefix of another (RFC 6962,
// section 2.1.2).
func CheckConsistency(old, new *Checkpoint, hashes [][]byte) error {
	return proof.VerifyConsistency(rfc6962.DefaultHasher, old.Size, new.Size, hashes, old.Root[:], new.Root[:])
}
