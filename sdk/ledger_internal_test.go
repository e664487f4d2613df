package sdk

import (
	"crypto/rand"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// tree is a ledger in memory, made with the functions that define it.
type tree struct {
	t      testing.TB
	signer note.Signer
	key    string
	leaves [][]byte
}

func newTree(t testing.TB) *tree {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, "ledger.example/test/1")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return &tree{t: t, signer: signer, key: public}
}

func (l *tree) view() *ledgerView {
	v, err := verify.NewCheckpointVerifier(l.key)
	if err != nil {
		l.t.Fatal(err)
	}
	return newLedgerView(l.key, v)
}

// append adds an entry and gives it as stored.
func (l *tree) append(e *ledgerv1.LedgerEntry) []byte {
	l.t.Helper()
	e.Index = uint64(len(l.leaves))
	e.AtUs = int64(1_700_000_000_000_000 + len(l.leaves))
	leaf, err := proto.Marshal(e)
	if err != nil {
		l.t.Fatal(err)
	}
	l.leaves = append(l.leaves, leaf)
	return leaf
}

// pad makes the tree larger by entries that nobody asks for.
func (l *tree) pad(n int) {
	for range n {
		l.append(&ledgerv1.LedgerEntry{Actor: "other"})
	}
}

func (l *tree) hashes(from, until uint64) [][]byte {
	r := verify.Ranges.NewEmptyRange(from)
	for _, leaf := range l.leaves[from:until] {
		h := verify.LeafHash(leaf)
		if err := r.Append(h[:], nil); err != nil {
			l.t.Fatal(err)
		}
	}
	return r.Hashes()
}

func (l *tree) checkpoint() string {
	l.t.Helper()
	c := &verify.Checkpoint{Origin: l.signer.Name(), Size: uint64(len(l.leaves))}
	r := verify.Ranges.NewEmptyRange(0)
	for _, leaf := range l.leaves {
		h := verify.LeafHash(leaf)
		if err := r.Append(h[:], nil); err != nil {
			l.t.Fatal(err)
		}
	}
	root, err := r.GetRootHash(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	copy(c.Root[:], root)
	signed, err := verify.SignCheckpoint(c, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(signed)
}

// prove gives the range proof of n entries.
func (l *tree) prove(first uint64, n int) *exchangev1.RangeProof {
	end := first + uint64(n)
	return &exchangev1.RangeProof{
		First: first, Left: l.hashes(0, first), Right: l.hashes(end, uint64(len(l.leaves))),
		Checkpoint: l.checkpoint(),
	}
}
