package ledger

import (
	"context"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
)

// Tree answers proofs and tiles of the committed ledger.
type Tree struct{ tx store.Tx }

// NewTree reads from tx.
func NewTree(tx store.Tx) *Tree { return &Tree{tx} }

// Tile gives width hashes of a tile. size is the size of a committed tree that
// holds them.
func (t *Tree) Tile(ctx context.Context, level uint, index uint64, width int, size uint64) ([]byte, error) {
	if width < 1 || width > TileWidth || level > 7 {
		return nil, fault.Field("width", "tile.width", "a tile has a level of 0 to 7 and 1 to 256 hashes")
	}
	have := size >> (TileHeight * level)
	if index > have/TileWidth || index*TileWidth+uint64(width) > have {
		return nil, fault.New(fault.NotFound, "tile.beyond", "the tile is beyond a ledger of %d entries", size)
	}
	if width == TileWidth {
		var hashes []byte
		err := t.tx.QueryRowContext(ctx, "SELECT hashes FROM tiles WHERE level = $1 AND idx = $2", int64(level), int64(index)).Scan(&hashes)
		return hashes, err
	}
	return bottom(ctx, t.tx, level, index*TileWidth, width)
}

// Inclusion gives the inclusion proof of a leaf in the tree of that size (RFC
// 6962, section 2.1.1).
func (t *Tree) Inclusion(ctx context.Context, index, size uint64) ([][]byte, error) {
	if index >= size {
		return nil, fault.New(fault.NotFound, "proof.beyond", "a tree of %d entries has no entry %d", size, index)
	}
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, err
	}
	return t.resolve(ctx, nodes, size)
}

// Consistency gives the consistency proof between two sizes (RFC 6962, section
// 2.1.2).
func (t *Tree) Consistency(ctx context.Context, first, second uint64) ([][]byte, error) {
	if first > second {
		return nil, fault.Field("first_size", "proof.order", "is larger than second_size")
	}
	nodes, err := proof.Consistency(first, second)
	if err != nil {
		return nil, err
	}
	return t.resolve(ctx, nodes, second)
}

func (t *Tree) resolve(ctx context.Context, nodes proof.Nodes, size uint64) ([][]byte, error) {
	seen := map[compact.NodeID][]byte{}
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		h, err := t.node(ctx, id, size, seen)
		if err != nil {
			return nil, err
		}
		hashes[i] = h
	}
	return nodes.Rehash(hashes, verify.Ranges.Hash)
}

// node gives the hash of a perfect subtree from the tile that holds it.
func (t *Tree) node(ctx context.Context, id compact.NodeID, size uint64, tiles map[compact.NodeID][]byte) ([]byte, error) {
	tileLevel := id.Level / TileHeight
	within := id.Level % TileHeight
	first := id.Index << within // of the bottom hashes under the node
	key := compact.NewNodeID(tileLevel, first/TileWidth)
	hashes, ok := tiles[key]
	if !ok {
		have := size >> (TileHeight * tileLevel)
		width := min(have-key.Index*TileWidth, TileWidth)
		var err error
		if hashes, err = t.Tile(ctx, tileLevel, key.Index, int(width), size); err != nil {
			return nil, err
		}
		tiles[key] = hashes
	}
	from := first % TileWidth * verify.HashSize
	to := from + (uint64(1)<<within)*verify.HashSize
	if to > uint64(len(hashes)) {
		return nil, fmt.Errorf("ledger: node %d/%d is beyond its tile", id.Level, id.Index)
	}
	row := make([]Hash, 0, 1<<within)
	for ; from < to; from += verify.HashSize {
		row = append(row, Hash(hashes[from:from+verify.HashSize]))
	}
	root := verify.Root(row)
	return root[:], nil
}
