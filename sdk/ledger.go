package sdk

import (
	"context"
	"io"
	"sync"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Checkpoint is a signed statement of the ledger's size and root hash.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [32]byte
	// Signed is the C2SP signed note.
	Signed string
}

// ledgerView is what the client knows of the ledger so far.
type ledgerView struct {
	key      string
	verifier *verify.CheckpointVerifier
	mu       sync.Mutex
	largest  verify.Checkpoint
}

func newLedgerView(key string, v *verify.CheckpointVerifier) *ledgerView {
	return &ledgerView{key: key, verifier: v}
}

// checkRange checks a proof and notes its checkpoint.
func (l *ledgerView) checkRange(p *rangeProof) error {
	c, err := verify.CheckRange(p.message, p.leaves, l.verifier)
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
	if c.Size == l.largest.Size && c.Root != l.largest.Root {
		return unproven("two ledgers of size %d", c.Size)
	}
	if c.Size > l.largest.Size {
		l.largest = *c
	}
	return nil
}

// Checkpoint fetches the newest checkpoint, checks its signature and that the
// ledger only grew since the last one this client saw.
func (c *Client) Checkpoint(ctx context.Context) (*Checkpoint, error) { return nil, errUnbuilt }

// ProveReceipt fetches an inclusion proof for a receipt that has none, checks it
// and keeps it with the receipt.
func (c *Client) ProveReceipt(ctx context.Context, r *Receipt) error { return errUnbuilt }

// ProveLeaf checks that a leaf, such as Record.Leaf, is in the ledger.
func (c *Client) ProveLeaf(ctx context.Context, index uint64, leaf []byte) error { return errUnbuilt }

// Export writes the whole ledger, for an offline check, and gives the checkpoint
// that covers it.
func (c *Client) Export(ctx context.Context, w io.Writer) (*Checkpoint, error) {
	return nil, errUnbuilt
}

// VerifyExport recomputes the tree over an exported ledger, offline, and checks
// it against a signed checkpoint. The error names the first entry that is wrong
// where that can be told.
func VerifyExport(r io.Reader, checkpoint, ledgerKey string, each func(*ledgerv1.LedgerEntry) error) (entries uint64, err error) {
	return 0, errUnbuilt
}

var errUnbuilt = fault.New(fault.Unsupported, "sdk.unbuilt", "not built yet")
