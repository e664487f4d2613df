package journal

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"github.com/huitong-bus/huitong/exchange/ledger"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
)

// Head is the state of the whole journal after a group.
type Head struct {
	Origin     string
	Size       uint64
	At         int64
	Policy     uint64
	Group      []byte
	Edge       []byte
	Sequences  []uint64
	Checkpoint []byte
	// Published is the size of the ledger as of which every publication in it is
	// in: whoever looks for records need not wait for what came behind. It is not
	// stored, and may be larger than need be.
	Published uint64
}

// publishedSince takes over from the head before where the publications end, if
// none has come since.
func (h *Head) publishedSince(old *Head) {
	h.Published = h.Size
	if slices.Equal(h.Sequences, old.Sequences) {
		h.Published = old.Published
	}
}

// ErrEmpty says that the database has no journal yet.
var ErrEmpty = errors.New("journal: the database is not initialised")

// Create makes the journal of an empty database: a ledger without entries.
func Create(ctx context.Context, db *store.DB, signer note.Signer, partitions int) error {
	if partitions < 1 || partitions > 1024 {
		return fmt.Errorf("journal: 1 to 1024 partitions, not %d", partitions)
	}
	growth, err := ledger.Grow(0, nil)
	if err != nil {
		return err
	}
	h := &Head{Origin: signer.Name(), Policy: 1, Sequences: make([]uint64, partitions)}
	if err := h.seal(growth, signer); err != nil {
		return err
	}
	return db.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO head (id, origin, size, at, policy, group_id, edge, sequences, checkpoint)
			VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8)`, h.columns()...)
		return err
	})
}

func (h *Head) columns() []any {
	sequences := make([]byte, 0, 8*len(h.Sequences))
	for _, s := range h.Sequences {
		sequences = binary.BigEndian.AppendUint64(sequences, s)
	}
	edge := h.Edge
	if edge == nil {
		edge = []byte{}
	}
	return []any{h.Origin, int64(h.Size), h.At, int64(h.Policy), h.Group, edge, sequences, h.Checkpoint}
}

// seal takes the tree's state into the head and signs its checkpoint.
func (h *Head) seal(g *ledger.Growth, signer note.Signer) error {
	root, err := g.Root()
	if err != nil {
		return err
	}
	h.Size, h.Edge = g.Size(), g.Edge()
	h.Checkpoint, err = verify.SignCheckpoint(&verify.Checkpoint{Origin: h.Origin, Size: h.Size, Root: root}, signer)
	if err != nil {
		return err
	}
	h.Group, err = newGroup(h.Checkpoint)
	return err
}

func (h *Head) write(ctx context.Context, tx store.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE head SET origin = $1, size = $2, at = $3, policy = $4, group_id = $5,
		edge = $6, sequences = $7, checkpoint = $8 WHERE id = 1`, h.columns()...)
	return err
}

// readHead reads the head row; lock is what holds it in a transaction.
func readHead(ctx context.Context, tx store.Tx, lock string) (*Head, error) {
	h := &Head{}
	var size, policy int64
	var sequences []byte
	err := tx.QueryRowContext(ctx, `SELECT origin, size, at, policy, group_id, edge, sequences, checkpoint
		FROM head WHERE id = 1`+lock).Scan(&h.Origin, &size, &h.At, &policy, &h.Group, &h.Edge, &sequences, &h.Checkpoint)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrEmpty
	}
	if err != nil {
		return nil, err
	}
	h.Size, h.Policy = uint64(size), uint64(policy)
	for i := 0; i+8 <= len(sequences); i += 8 {
		h.Sequences = append(h.Sequences, binary.BigEndian.Uint64(sequences[i:]))
	}
	return h, nil
}

// ReadHead reads the committed head.
func ReadHead(ctx context.Context, tx store.Tx) (*Head, error) { return readHead(ctx, tx, "") }
