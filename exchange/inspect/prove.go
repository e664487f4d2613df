package inspect

import (
	"bytes"
	"context"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
)

// Proof is an inclusion or consistency proof with the newest checkpoint.
type Proof struct {
	Hashes     [][]byte
	LeafHash   []byte
	Size       uint64
	Checkpoint string
}

// Checkpoint gives the newest checkpoint and the key that it verifies by.
func (l *Ledger) Checkpoint() (checkpoint, key string) {
	return string(l.Journal.Head().Checkpoint), l.VerifierKey
}

// Inclusion proves that an entry is in the tree of a size; 0 is the newest. Who
// gives the right leaf hash need not be party to the entry.
func (l *Ledger) Inclusion(ctx context.Context, caller *identity.Caller, index, size uint64, leafHash []byte) (*Proof, error) {
	head := l.Journal.Head()
	if size == 0 {
		size = head.Size
	}
	if size > head.Size {
		return nil, errBeyond(head.Size)
	}
	leaf, err := l.leaf(ctx, index)
	if err != nil {
		return nil, err
	}
	hash := verify.LeafHash(leaf)
	switch {
	case len(leafHash) == 0:
		d, err := l.decide(ctx, caller, access.ReadLedger)
		if err != nil {
			return nil, err
		}
		if found, err := l.entry(ctx, caller, d.All, index); err != nil || found == nil {
			if err == nil {
				err = errUnknown()
			}
			return nil, err
		}
	case leaf == nil || !bytes.Equal(hash[:], leafHash):
		return nil, errUnknown()
	}
	hashes, err := ledger.NewTree(l.DB.Reader()).Inclusion(ctx, index, size)
	if err != nil {
		return nil, err
	}
	return &Proof{Hashes: hashes, LeafHash: hash[:], Size: size, Checkpoint: string(head.Checkpoint)}, nil
}

// Consistency proves that the tree of one size is the beginning of that of
// another; second 0 is the newest.
func (l *Ledger) Consistency(ctx context.Context, first, second uint64) (*Proof, error) {
	head := l.Journal.Head()
	if second == 0 {
		second = head.Size
	}
	if second > head.Size {
		return nil, errBeyond(head.Size)
	}
	hashes, err := ledger.NewTree(l.DB.Reader()).Consistency(ctx, first, second)
	if err != nil {
		return nil, err
	}
	return &Proof{Hashes: hashes, Size: second, Checkpoint: string(head.Checkpoint)}, nil
}

// Tile gives width hashes of a hash tile (C2SP tlog-tiles).
func (l *Ledger) Tile(ctx context.Context, level uint, index uint64, width int) ([]byte, error) {
	return ledger.NewTree(l.DB.Reader()).Tile(ctx, level, index, width, l.Journal.Head().Size)
}

func errBeyond(size uint64) error {
	return fault.New(fault.NotFound, "proof.beyond", "the ledger has %d entries", size)
}
