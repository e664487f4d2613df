package inspect_test

import (
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
)

// grown is a world whose ledger has more than one full tile.
func grown(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for i := range 3 {
		w.publish(t, w.security, numbered("N", 300*i, 300)...)
	}
	return w
}

func TestProofsVerify(t *testing.T) {
	w := grown(t)
	v, err := verify.NewCheckpointVerifier(w.ledger.VerifierKey)
	must(t, err)
	signed, _ := w.ledger.Checkpoint()
	newest, err := v.Open([]byte(signed))
	must(t, err)
	for _, index := range []uint64{0, 1, 255, 256, 700, newest.Size - 1} {
		p, err := w.ledger.Inclusion(t.Context(), w.auditor.Caller, index, 0, nil)
		must(t, err)
		must(t, verify.CheckInclusion(newest, index, [verify.HashSize]byte(p.LeafHash), p.Hashes))
	}
	// Of an earlier tree, whose root follows from the leaves.
	hashes := w.leafHashes(t)
	for _, sizes := range [][2]uint64{{1, newest.Size}, {256, 512}, {300, 301}, {newest.Size, newest.Size}, {0, 7}} {
		first := &verify.Checkpoint{Size: sizes[0], Root: verify.Root(hashes[:sizes[0]])}
		second := &verify.Checkpoint{Size: sizes[1], Root: verify.Root(hashes[:sizes[1]])}
		p, err := w.ledger.Consistency(t.Context(), sizes[0], sizes[1])
		must(t, err)
		must(t, verify.CheckConsistency(first, second, p.Hashes))
		if sizes[0] == 0 {
			continue
		}
		p, err = w.ledger.Inclusion(t.Context(), w.auditor.Caller, sizes[0]-1, sizes[1], nil)
		must(t, err)
		must(t, verify.CheckInclusion(second, sizes[0]-1, hashes[sizes[0]-1], p.Hashes))
	}
}

func (w *world) leafHashes(t testing.TB) [][verify.HashSize]byte {
	t.Helper()
	var hashes [][verify.HashSize]byte
	rows, err := w.DB.Reader().QueryContext(t.Context(), "SELECT leaf FROM ledger ORDER BY idx")
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var leaf []byte
		must(t, rows.Scan(&leaf))
		hashes = append(hashes, verify.LeafHash(leaf))
	}
	must(t, rows.Err())
	return hashes
}

// Whoever holds a leaf has it proven; a wrong hash tells nothing.
func TestInclusionByLeafHash(t *testing.T) {
	w := grown(t)
	hash := w.leafHashes(t)[300]
	_, err := w.ledger.Inclusion(t.Context(), w.housing.Caller, 300, 0, hash[:])
	must(t, err)
	_, err = w.ledger.Inclusion(t.Context(), w.witness.Caller, 300, 0, hash[:])
	must(t, err)
	for name, try := range map[string]struct {
		index uint64
		hash  []byte
	}{"another entry": {301, hash[:]}, "a short hash": {300, hash[:8]}, "beyond": {1 << 40, hash[:]}} {
		if _, err := w.ledger.Inclusion(t.Context(), w.housing.Caller, try.index, 0, try.hash); fault.RuleOf(err) != "entry.unknown" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.ledger.Inclusion(t.Context(), w.auditor.Caller, 0, 1<<40, nil); fault.RuleOf(err) != "proof.beyond" {
		t.Errorf("a tree beyond the ledger: %v", err)
	}
	if _, err := w.ledger.Inclusion(t.Context(), w.auditor.Caller, 300, 300, nil); fault.RuleOf(err) != "proof.beyond" {
		t.Errorf("an entry beyond the tree: %v", err)
	}
}

// tileReader reads tiles as golang.org/x/mod/sumdb/tlog asks for them.
type tileReader struct {
	t *testing.T
	w *world
	n int
}

func (r *tileReader) Height() int { return 8 }

func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		var err error
		if data[i], err = r.w.ledger.Tile(r.t.Context(), uint(tile.L), uint64(tile.N), tile.W); err != nil {
			return nil, fmt.Errorf("%v: %w", tile, err)
		}
		r.n++
	}
	return data, nil
}

func (r *tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

// The tools that Go has for its checksum database work on the ledger unchanged:
// notes, proofs, and tiles.
func TestToolsForTransparencyLogsWork(t *testing.T) {
	w := grown(t)
	signed, key := w.ledger.Checkpoint()
	verifier, err := note.NewVerifier(key)
	must(t, err)
	n, err := note.Open([]byte(signed), note.VerifierList(verifier))
	must(t, err)
	checkpoint, err := verify.ParseCheckpoint(n.Text)
	must(t, err)
	tree := tlog.Tree{N: int64(checkpoint.Size), Hash: tlog.Hash(checkpoint.Root)}
	reader := &tileReader{t: t, w: w}
	hashes := tlog.TileHashReader(tree, reader)
	for _, index := range []int64{0, 255, 256, 600, tree.N - 1} {
		p, err := tlog.ProveRecord(tree.N, index, hashes)
		must(t, err)
		leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		must(t, err)
		must(t, tlog.CheckRecord(p, tree.N, tree.Hash, index, leaf[0]))
		ours, err := w.ledger.Inclusion(t.Context(), w.auditor.Caller, uint64(index), 0, nil)
		must(t, err)
		if len(ours.Hashes) != len(p) || tlog.Hash(ours.LeafHash) != leaf[0] {
			t.Fatalf("the proof of entry %d is not the one from the tiles", index)
		}
		for i := range p {
			if tlog.Hash(ours.Hashes[i]) != p[i] {
				t.Errorf("hash %d of the proof of entry %d", i, index)
			}
		}
	}
	older, err := tlog.TreeHash(300, hashes)
	must(t, err)
	p, err := tlog.ProveTree(tree.N, 300, hashes)
	must(t, err)
	must(t, tlog.CheckTree(p, tree.N, tree.Hash, 300, older))
	if reader.n == 0 {
		t.Error("no tile was read")
	}
}

func TestTilesBeyondTheLedger(t *testing.T) {
	w := grown(t)
	for _, c := range []struct {
		level uint
		index uint64
		width int
	}{{0, 100, 256}, {0, 1 << 60, 1}, {0, 0, 0}, {0, 0, 257}, {9, 0, 1}, {1, 0, 200}} {
		if _, err := w.ledger.Tile(t.Context(), c.level, c.index, c.width); err == nil || fault.KindOf(err) == fault.Internal {
			t.Errorf("tile %v: %v", c, err)
		}
	}
}
