package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
)

// witness is the same tree in another implementation (golang.org/x/mod/sumdb).
type witness struct{ hashes []tlog.Hash }

func (w *witness) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		found[i] = w.hashes[x]
	}
	return found, nil
}

func (w *witness) append(t *testing.T, n int64, leaf []byte) {
	t.Helper()
	hashes, err := tlog.StoredHashes(n, leaf, w)
	must(t, err)
	w.hashes = append(w.hashes, hashes...)
}

func (w *witness) root(t *testing.T, size int64) tlog.Hash {
	t.Helper()
	h, err := tlog.TreeHash(size, w)
	must(t, err)
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree is a ledger that grows, in the database and at the witness.
type tree struct {
	t       *testing.T
	db      *store.DB
	witness witness
	size    uint64
	edge    []byte
}

var insertLedger = &store.Insert{Into: "INTO ledger (idx, leaf)"}

func leafOf(i uint64) []byte { return fmt.Appendf(nil, "entry %d", i) }

// grow appends n leaves in one transaction and returns the growth.
func (x *tree) grow(n uint64) *ledger.Growth {
	x.t.Helper()
	var growth *ledger.Growth
	must(x.t, x.db.Journal.Update(x.t.Context(), func(ctx context.Context, tx store.Tx) error {
		var err error
		if growth, err = ledger.Grow(x.size, x.edge); err != nil {
			return err
		}
		var idx store.Ints
		var leaves store.Blobs
		for i := x.size; i < x.size+n; i++ {
			if err := growth.Append(verify.LeafHash(leafOf(i))); err != nil {
				return err
			}
			idx, leaves = append(idx, int64(i)), append(leaves, leafOf(i))
		}
		if err := insertLedger.Run(ctx, x.db.Journal, tx, idx, leaves); err != nil {
			return err
		}
		return growth.WriteTiles(ctx, x.db.Journal, tx)
	}))
	for i := x.size; i < x.size+n; i++ {
		x.witness.append(x.t, int64(i), leafOf(i))
	}
	x.size, x.edge = growth.Size(), growth.Edge()
	if root, err := growth.Root(); err != nil || tlog.Hash(root) != x.witness.root(x.t, int64(x.size)) {
		x.t.Fatalf("size %d: root %x, %v", x.size, root, err)
	}
	return growth
}

func (x *tree) checkInclusion(index, size uint64) {
	x.t.Helper()
	proof, err := ledger.NewTree(x.db.Reader()).Inclusion(x.t.Context(), index, size)
	must(x.t, err)
	root, leaf := x.witness.root(x.t, int64(size)), verify.LeafHash(leafOf(index))
	if err := tlog.CheckRecord(recordProof(proof), int64(size), root, int64(index), tlog.Hash(leaf)); err != nil {
		x.t.Fatalf("entry %d of %d: %v", index, size, err)
	}
	c := &verify.Checkpoint{Size: size, Root: root}
	must(x.t, verify.CheckInclusion(c, index, leaf, proof))
	if other := verify.LeafHash(leafOf(index + 1)); verify.CheckInclusion(c, index, other, proof) == nil {
		x.t.Fatalf("entry %d of %d: another leaf is proven as well", index, size)
	}
}

func (x *tree) checkConsistency(first, second uint64) {
	x.t.Helper()
	proof, err := ledger.NewTree(x.db.Reader()).Consistency(x.t.Context(), first, second)
	must(x.t, err)
	old, now := x.witness.root(x.t, int64(first)), x.witness.root(x.t, int64(second))
	if first > 0 {
		if err := tlog.CheckTree(treeProof(proof), int64(second), now, int64(first), old); err != nil {
			x.t.Fatalf("%d to %d: %v", first, second, err)
		}
	}
	must(x.t, verify.CheckConsistency(&verify.Checkpoint{Size: first, Root: old}, &verify.Checkpoint{Size: second, Root: now}, proof))
}

func recordProof(hashes [][]byte) (p tlog.RecordProof) {
	for _, h := range hashes {
		p = append(p, tlog.Hash(h))
	}
	return p
}

func treeProof(hashes [][]byte) (p tlog.TreeProof) {
	for _, h := range hashes {
		p = append(p, tlog.Hash(h))
	}
	return p
}

// TestEverySize grows a tree one by one past four tiles; every root is that of
// the other implementation, and proofs between sizes and of entries check there
// and here.
func TestEverySize(t *testing.T) {
	x := &tree{t: t, db: storetest.Open(t)}
	random := rand.New(rand.NewPCG(1, 2))
	for x.size < 1100 {
		// One by one up to 40 and around the edges of tiles, in groups between.
		n := uint64(1)
		if x.size > 40 && (x.size+8)%256 > 16 {
			n = 1 + random.Uint64N(9)
		}
		x.grow(n)
		x.checkInclusion(random.Uint64N(x.size), x.size)
		x.checkInclusion(x.size-1, x.size)
		x.checkInclusion(0, x.size)
		x.checkConsistency(random.Uint64N(x.size+1), x.size)
		x.checkConsistency(x.size, x.size)
	}
	// Of old sizes too, from the tiles of the newest tree.
	for range 300 {
		second := 1 + random.Uint64N(x.size)
		x.checkConsistency(random.Uint64N(second+1), second)
		x.checkInclusion(random.Uint64N(second), second)
	}
}

// TestTwoLevelsOfTiles: past 65,536 entries the roots of tiles make tiles.
func TestTwoLevelsOfTiles(t *testing.T) {
	x := &tree{t: t, db: storetest.Open(t)}
	random := rand.New(rand.NewPCG(3, 4))
	for _, size := range []uint64{1, 255, 256, 257, 60_000, 65_535, 65_536, 65_537, 66_100} {
		x.grow(size - x.size)
		x.checkInclusion(random.Uint64N(size), size)
		x.checkConsistency(random.Uint64N(size+1), size)
	}
	for range 40 {
		second := 65_530 + random.Uint64N(570)
		x.checkInclusion(random.Uint64N(second), second)
		x.checkConsistency(random.Uint64N(second), second)
	}
	top, err := ledger.NewTree(x.db.Reader()).Tile(t.Context(), 2, 0, 1, x.size)
	if err != nil || !bytes.Equal(top, rootOf(x, 65_536)) {
		t.Fatalf("the tile of tiles of tiles: %x, %v", top, err)
	}
}

func rootOf(x *tree, size int64) []byte {
	h := x.witness.root(x.t, size)
	return h[:]
}

// TestTiles compares every tile, full and partial, with the other implementation.
func TestTiles(t *testing.T) {
	x := &tree{t: t, db: storetest.Open(t)}
	x.grow(700)
	read := ledger.NewTree(x.db.Reader())
	for level := range uint(2) {
		have := x.size >> (8 * level)
		for n := uint64(0); n*256 < have; n++ {
			for _, width := range []int{1, 7, 188, 255, 256} {
				got, err := read.Tile(t.Context(), level, n, width, x.size)
				if n*256+uint64(width) > have {
					if fault.KindOf(err) != fault.NotFound {
						t.Fatalf("tile %d/%d of width %d: %v", level, n, width, err)
					}
					continue
				}
				must(t, err)
				want, err := tlog.ReadTileData(tlog.Tile{H: 8, L: int(level), N: int64(n), W: width}, &x.witness)
				must(t, err)
				if !bytes.Equal(got, want) {
					t.Fatalf("tile %d/%d of width %d differs", level, n, width)
				}
			}
		}
	}
	for _, bad := range []struct {
		level uint
		index uint64
		width int
	}{{0, 0, 0}, {0, 0, 257}, {8, 0, 1}, {64, 0, 1}, {0, 1 << 62, 1}, {0, 1<<64 - 1, 256}, {3, 0, 1}} {
		if _, err := read.Tile(t.Context(), bad.level, bad.index, bad.width, x.size); err == nil {
			t.Errorf("%+v was given", bad)
		}
	}
	for _, bad := range [][2]uint64{{700, 700}, {1 << 63, 700}} {
		if _, err := read.Inclusion(t.Context(), bad[0], bad[1]); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := read.Consistency(t.Context(), 5, 4); fault.KindOf(err) != fault.Invalid {
		t.Error(err)
	}
}

// TestRangeProofs: what a group's growth gives proves each of its parts, and
// nothing else.
func TestRangeProofs(t *testing.T) {
	for _, before := range []uint64{0, 1, 2, 3, 7, 8, 255, 256, 300} {
		for _, sizes := range [][]uint64{{1}, {1, 1}, {2, 3, 1}, {5, 1, 250, 7}} {
			g, err := ledger.Grow(0, nil)
			must(t, err)
			for i := range before {
				must(t, g.Append(verify.LeafHash(leafOf(i))))
			}
			group, err := ledger.Grow(g.Size(), g.Edge())
			must(t, err)
			var lefts [][][]byte
			for _, n := range sizes {
				lefts = append(lefts, group.Left())
				for range n {
					must(t, group.Append(verify.LeafHash(leafOf(group.Size()))))
				}
			}
			root, err := group.Root()
			must(t, err)
			first := before
			for i, n := range sizes {
				right, err := group.Right(first + n)
				must(t, err)
				if err := joined(lefts[i], right, first, n, group.Size(), root); err != nil {
					t.Fatalf("%d before, part %d of %v: %v", before, i, sizes, err)
				}
				first += n
			}
		}
	}
}

// joined puts the tree together from left side, leaves and right side.
func joined(left, right [][]byte, first, n, size uint64, root ledger.Hash) error {
	l, err := verify.Ranges.NewRange(0, first, left)
	if err != nil {
		return err
	}
	r, err := verify.Ranges.NewRange(first+n, size, right)
	if err != nil {
		return err
	}
	for i := first; i < first+n; i++ {
		h := verify.LeafHash(leafOf(i))
		if err := l.Append(h[:], nil); err != nil {
			return err
		}
	}
	if err := l.AppendRange(r, nil); err != nil {
		return err
	}
	got, err := l.GetRootHash(nil)
	if err == nil && !bytes.Equal(got, root[:]) {
		err = fmt.Errorf("another root")
	}
	return err
}

func TestBadEdge(t *testing.T) {
	for _, c := range []struct {
		size uint64
		edge []byte
	}{{0, make([]byte, 32)}, {1, nil}, {3, make([]byte, 32)}, {3, make([]byte, 65)}, {4, make([]byte, 64)}} {
		if _, err := ledger.Grow(c.size, c.edge); err == nil {
			t.Errorf("a tree of %d with an edge of %d bytes was taken", c.size, len(c.edge))
		}
	}
}

// TestMissingRow: a proof over a row that is gone fails, and says which.
func TestMissingRow(t *testing.T) {
	x := &tree{t: t, db: storetest.Open(t)}
	x.grow(100)
	must(t, x.db.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM ledger WHERE idx = 40")
		return err
	}))
	if _, err := ledger.NewTree(x.db.Reader()).Inclusion(t.Context(), 3, 100); err == nil || !bytes.Contains([]byte(err.Error()), []byte("40")) {
		t.Fatal(err)
	}
}
