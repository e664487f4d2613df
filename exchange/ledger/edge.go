// Package ledger keeps the tree over the journal's entries: its right edge while
// it grows, its hash tiles, and proofs from them. The tree is that of RFC 6962;
// tiles are those of C2SP tlog-tiles.
package ledger

import (
	"context"
	"fmt"

	"github.com/transparency-dev/merkle/compact"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
)

const (
	// TileHeight is the number of tree levels in a tile.
	TileHeight = 8
	// TileWidth is the number of hashes in a full tile.
	TileWidth = 1 << TileHeight
)

// Hash is a node or leaf hash.
type Hash = [verify.HashSize]byte

// Growth appends leaves to the tree of one transaction and collects the tiles
// that become full and the nodes that range proofs need.
type Growth struct {
	edge  *compact.Range
	start uint64
	nodes []level
	full  []tile
}

type level struct {
	base   uint64
	hashes [][]byte
}

type tile struct {
	level uint
	index uint64
	root  []byte
}

// Grow starts from a tree of the given size and edge, as the head row holds it.
func Grow(size uint64, edge []byte) (*Growth, error) {
	if len(edge)%verify.HashSize != 0 {
		return nil, fmt.Errorf("ledger: the edge of the tree has %d bytes", len(edge))
	}
	hashes := make([][]byte, 0, len(edge)/verify.HashSize+4)
	for i := 0; i < len(edge); i += verify.HashSize {
		hashes = append(hashes, edge[i:i+verify.HashSize])
	}
	r, err := verify.Ranges.NewRange(0, size, hashes)
	if err != nil {
		return nil, fmt.Errorf("ledger: the edge does not fit a tree of %d: %w", size, err)
	}
	return &Growth{edge: r, start: size}, nil
}

// Append adds a leaf by its hash.
func (g *Growth) Append(leaf Hash) error {
	return g.edge.Append(leaf[:], g.visit)
}

func (g *Growth) visit(id compact.NodeID, hash []byte) {
	for uint(len(g.nodes)) <= id.Level {
		g.nodes = append(g.nodes, level{})
	}
	l := &g.nodes[id.Level]
	if len(l.hashes) == 0 {
		l.base = id.Index
	}
	l.hashes = append(l.hashes, hash)
	if id.Level > 0 && id.Level%TileHeight == 0 {
		g.full = append(g.full, tile{level: id.Level/TileHeight - 1, index: id.Index, root: hash})
	}
}

// Size is the tree's size now.
func (g *Growth) Size() uint64 { return g.edge.End() }

// Left gives the hashes that cover everything so far; the left side of the
// range proof of what comes next.
func (g *Growth) Left() [][]byte {
	return append([][]byte(nil), g.edge.Hashes()...)
}

// Right gives the hashes that cover [from, Size()); from is not before the
// growth began.
func (g *Growth) Right(from uint64) ([][]byte, error) {
	ids := compact.RangeNodes(from, g.Size(), nil)
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		l := g.nodes[id.Level]
		if id.Index < l.base || id.Index-l.base >= uint64(len(l.hashes)) {
			return nil, fmt.Errorf("ledger: node %d/%d is not of this growth", id.Level, id.Index)
		}
		hashes[i] = l.hashes[id.Index-l.base]
	}
	return hashes, nil
}

// Root gives the root hash.
func (g *Growth) Root() (Hash, error) {
	if g.Size() == 0 {
		return verify.Root(nil), nil
	}
	root, err := g.edge.GetRootHash(nil)
	if err != nil {
		return Hash{}, err
	}
	return Hash(root), nil
}

// Edge gives the right edge as the head row keeps it.
func (g *Growth) Edge() []byte {
	var b []byte
	for _, h := range g.edge.Hashes() {
		b = append(b, h...)
	}
	return b
}

var insertTiles = &store.Insert{Into: "INTO tiles (level, idx, root, hashes)"}

// WriteTiles writes the tiles that became full. The ledger's new rows must have
// been written in tx.
func (g *Growth) WriteTiles(ctx context.Context, p *store.Part, tx store.Tx) error {
	// Lower tiles come first: the roots of a full row of them make the next.
	for _, t := range g.full {
		hashes, err := bottom(ctx, tx, t.level, t.index*TileWidth, TileWidth)
		if err != nil {
			return err
		}
		err = insertTiles.Run(ctx, p, tx, store.Ints{int64(t.level)}, store.Ints{int64(t.index)}, store.Blobs{t.root}, store.Blobs{hashes})
		if err != nil {
			return err
		}
	}
	return nil
}

// bottom gives n hashes of a tile level from its place first on, joined: leaf
// hashes on level 0, roots of full tiles above.
func bottom(ctx context.Context, tx store.Tx, level uint, first uint64, n int) ([]byte, error) {
	query, args := "SELECT idx, leaf FROM ledger WHERE idx >= $1 AND idx < $2 ORDER BY idx", []any{int64(first), int64(first) + int64(n)}
	if level > 0 {
		query = "SELECT idx, root FROM tiles WHERE level = $3 AND idx >= $1 AND idx < $2 ORDER BY idx"
		args = append(args, int64(level)-1)
	}
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	hashes := make([]byte, 0, n*verify.HashSize)
	next := int64(first)
	for rows.Next() {
		var index int64
		var value []byte
		if err := rows.Scan(&index, &value); err != nil {
			return nil, err
		}
		if index != next {
			return nil, fmt.Errorf("ledger: hash %d of level %d is missing", next, level)
		}
		next++
		if level == 0 {
			h := verify.LeafHash(value)
			value = h[:]
		}
		hashes = append(hashes, value...)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(hashes) != n*verify.HashSize {
		return nil, fmt.Errorf("ledger: hash %d of level %d is missing", next, level)
	}
	return hashes, nil
}
