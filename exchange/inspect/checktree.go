package inspect

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
)

// checkHead checks what the head says without looking at entries.
func (c *checker) checkHead(ctx context.Context) error {
	head, err := journal.ReadHead(ctx, c.db.Reader())
	if errors.Is(err, journal.ErrEmpty) {
		return wrong("head", nil, "the row is missing")
	}
	if err != nil {
		return unreadable(ctx, c.db, err, "head", nil)
	}
	c.head, c.origin = head, head.Origin
	c.report.Checkpoint = string(head.Checkpoint)
	if head.Origin != c.keyring.Origin() {
		return wrong("head", "origin", "the database is of ledger %q, the keys are of %q", head.Origin, c.keyring.Origin())
	}
	v, err := verify.NewCheckpointVerifier(c.keyring.VerifierKey())
	if err != nil {
		return err
	}
	checkpoint, err := v.Open(head.Checkpoint)
	if err != nil {
		return wrong("head", "checkpoint", "%v", err)
	}
	if checkpoint.Size != head.Size {
		return wrong("head", "size", "the head has %d entries, its checkpoint %d", head.Size, checkpoint.Size)
	}
	if len(head.Edge)%verify.HashSize != 0 {
		return wrong("head", "edge", "has %d bytes", len(head.Edge))
	}
	c.tree.checkpoint, c.tree.whole = checkpoint, verify.Ranges.NewEmptyRange(0)
	c.replay.begin(head)
	if !head.GroupFits() {
		return wrong("head", "group_id", "it does not belong to the checkpoint")
	}
	return nil
}

// tree is the ledger's tree as the check derives it.
type tree struct {
	checkpoint *verify.Checkpoint
	whole      *compact.Range
	// rows holds, for each tile level, the hashes of the tile that fills.
	rows [][][verify.HashSize]byte
	full []uint64 // full tiles of each level
}

// page takes the entries of one tile.
func (t *tree) page(ctx context.Context, c *checker, rows []row) error {
	hashes := make([][verify.HashSize]byte, len(rows))
	for i := range rows {
		hashes[i] = verify.LeafHash(rows[i].leaf)
	}
	if len(rows) == tileWidth {
		if err := t.tile(ctx, c, 0, rows[0].index/tileWidth, hashes, func(i int) error {
			return wrong("ledger", rows[i].index, "the entry's bytes are not those in the tree")
		}); err != nil {
			return err
		}
	} else if err := t.ragged(c, rows, hashes); err != nil {
		return err
	}
	for i := range hashes {
		if err := t.whole.Append(hashes[i][:], nil); err != nil {
			return err
		}
	}
	return nil
}

// tile compares a full tile with its row, and then those above that it fills.
// differs says what is wrong where a hash is not that of the tile.
func (t *tree) tile(ctx context.Context, c *checker, level int, index uint64, hashes [][verify.HashSize]byte, differs func(i int) error) error {
	name := fmt.Sprintf("level %d, index %d", level, index)
	var root, stored []byte
	err := c.db.Reader().QueryRowContext(ctx, "SELECT root, hashes FROM tiles WHERE level = $1 AND idx = $2", int64(level), int64(index)).Scan(&root, &stored)
	if errors.Is(err, sql.ErrNoRows) {
		return wrong("tiles", name, "the tile is missing")
	}
	if err != nil {
		return unreadable(ctx, c.db, err, "tiles", name)
	}
	if len(stored) != tileWidth*verify.HashSize {
		return wrong("tiles", name, "the tile has %d bytes", len(stored))
	}
	derived := verify.Root(hashes)
	kept := make([][verify.HashSize]byte, tileWidth)
	for i := range kept {
		kept[i] = [verify.HashSize]byte(stored[i*verify.HashSize:])
	}
	keptRoot := verify.Root(kept)
	for i := range hashes {
		if hashes[i] == kept[i] {
			continue
		}
		if bytes.Equal(root, derived[:]) || !bytes.Equal(root, keptRoot[:]) {
			return wrong("tiles", name, "hash %d is not the one in the tree", i)
		}
		return differs(i)
	}
	if !bytes.Equal(root, derived[:]) {
		return wrong("tiles", name, "the root is not that of the tile's hashes")
	}
	for len(t.rows) <= level {
		t.rows, t.full = append(t.rows, nil), append(t.full, 0)
	}
	t.full[level]++
	if t.rows[level] = append(t.rows[level], derived); len(t.rows[level]) < tileWidth {
		return nil
	}
	above := t.rows[level]
	t.rows[level] = nil
	return t.tile(ctx, c, level+1, t.full[level]/tileWidth-1, above, func(i int) error {
		return wrong("tiles", name, "its root is not the one in the tile above")
	})
}

// ragged compares the entries behind the last full tile with the head's edge,
// whose hashes are of ever smaller subtrees.
func (t *tree) ragged(c *checker, rows []row, hashes [][verify.HashSize]byte) error {
	edge := c.head.Edge
	n := len(hashes)
	var sizes []int
	for size := tileWidth / 2; size > 0; size /= 2 {
		if n&size != 0 {
			sizes = append(sizes, size)
		}
	}
	if len(edge) < len(sizes)*verify.HashSize {
		return wrong("head", "edge", "it does not fit a tree of %d entries", c.head.Size)
	}
	edge = edge[len(edge)-len(sizes)*verify.HashSize:]
	at, bad := 0, ""
	for i, size := range sizes {
		root := verify.Root(hashes[at : at+size])
		if !bytes.Equal(root[:], edge[i*verify.HashSize:(i+1)*verify.HashSize]) && bad == "" {
			bad = fmt.Sprint(rows[at].index)
			if size > 1 {
				bad = fmt.Sprintf("%d to %d", rows[at].index, rows[at+size-1].index)
			}
		}
		at += size
	}
	if bad == "" {
		return nil
	}
	if c.edgeMakesCheckpoint() {
		c.suspect = wrong("ledger", bad, "the bytes are not those in the tree")
		return nil
	}
	return wrong("head", "edge", "it is not the edge of the checkpoint's tree")
}

// edgeMakesCheckpoint says whether the head's edge is that of its checkpoint.
func (c *checker) edgeMakesCheckpoint() bool {
	var hashes [][]byte
	for e := c.head.Edge; len(e) >= verify.HashSize; e = e[verify.HashSize:] {
		hashes = append(hashes, e[:verify.HashSize])
	}
	r, err := verify.Ranges.NewRange(0, c.head.Size, hashes)
	if err != nil {
		return false
	}
	root, err := r.GetRootHash(nil)
	return err == nil && bytes.Equal(root, c.tree.checkpoint.Root[:])
}

// end compares the whole tree with head and checkpoint.
func (t *tree) end(ctx context.Context, c *checker) error {
	if c.head.Size == 0 {
		if len(c.head.Edge) != 0 || t.checkpoint.Root != verify.Root(nil) {
			return wrong("head", "edge", "it is not that of an empty tree")
		}
	} else {
		root, err := t.whole.GetRootHash(nil)
		if err != nil {
			return err
		}
		if !bytes.Equal(root, t.checkpoint.Root[:]) {
			return wrong("ledger", nil, "the entries do not make the tree of the checkpoint")
		}
	}
	var edge []byte
	for _, h := range t.whole.Hashes() {
		edge = append(edge, h...)
	}
	if !bytes.Equal(edge, c.head.Edge) {
		return wrong("head", "edge", "it is not the edge of the tree")
	}
	var tiles uint64
	for _, n := range t.full {
		tiles += n
	}
	n, err := c.count(ctx, "tiles")
	if err == nil && n != tiles {
		err = wrong("tiles", nil, "there are %d tiles, a ledger of this size has %d", n, tiles)
	}
	return err
}
