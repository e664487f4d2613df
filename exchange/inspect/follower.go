package inspect

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
)

// followBatch is how many entries are followed in one transaction.
const followBatch = 1000

// follower brings the index on from the place it has reached.
type follower struct {
	source
	next uint64
	// block is the open block, and bits what its rows hold so far.
	block int64
	bits  map[int64]bitset
}

// position is the row of index_position.
type position struct {
	origin string
	next   uint64
	leaf   []byte
}

// errMoved says that another process brought the index on meanwhile.
var errMoved = errors.New("inspect: another process brought the index on")

func readPosition(ctx context.Context, tx store.Tx, lock string) (*position, error) {
	p := &position{}
	err := tx.QueryRowContext(ctx, "SELECT origin, next, leaf FROM index_position WHERE id = 1"+lock).Scan(&p.origin, &p.next, &p.leaf)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return p, err
}

// fits says whether a position is one of this ledger, as its rows are: another
// process may have brought the index on past what this one has heard of.
func (s *source) fits(ctx context.Context, p *position) (bool, error) {
	if p.origin != s.origin {
		return false, nil
	}
	if p.next == 0 {
		return true, nil
	}
	var leaf []byte
	err := s.db.Reader().QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(p.next-1)).Scan(&leaf)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	hash := verify.LeafHash(leaf)
	return bytes.Equal(hash[:], p.leaf), err
}

// start finds the place to go on from; an index that is none of this ledger's
// past is emptied.
func (f *follower) start(ctx context.Context) error {
	p, err := readPosition(ctx, f.db.Index.Read(), "")
	if err != nil {
		return err
	}
	if p != nil {
		ok, err := f.fits(ctx, p)
		if err != nil {
			return err
		}
		if ok {
			return f.seek(ctx, p.next)
		}
		f.log.Warn("the index is not of this ledger and is made anew", "at", p.next)
	}
	if err := f.wipe(ctx, p); err != nil {
		return err
	}
	return f.seek(ctx, 0)
}

// wipe empties the index, unless another process has touched it since it was
// seen.
func (f *follower) wipe(ctx context.Context, seen *position) error {
	return f.db.Index.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		p, err := readPosition(ctx, tx, f.db.Index.LockRow())
		if err != nil {
			return err
		}
		if p != nil && (seen == nil || p.origin != seen.origin || p.next != seen.next) {
			return nil
		}
		for _, table := range tables {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO index_position (id, origin, next, leaf) VALUES (1, $1, 0, $2)
			ON CONFLICT (id) DO UPDATE SET origin = excluded.origin, next = excluded.next, leaf = excluded.leaf`, f.origin, []byte{})
		return err
	})
}

// seek goes to a place and derives the open block's bits from the ledger.
func (f *follower) seek(ctx context.Context, next uint64) error {
	f.next, f.bits = next, map[int64]bitset{}
	f.block, _ = blockOf(next)
	from := uint64(f.block) * blockSize
	if from == next {
		return nil
	}
	lines, err := readLines(ctx, f.db.Reader(), from, next)
	if err != nil {
		return err
	}
	cache := terms{}
	for i := range lines {
		_, place := blockOf(lines[i].index)
		for _, term := range f.termsOf(&lines[i], cache) {
			f.bits[term] = f.bits[term].with(place)
		}
	}
	return nil
}

// termsOf gives the terms of a line; none if it does not decode.
func (s *source) termsOf(l *line, cache terms) []int64 {
	if l.publication {
		actor, _, err := glance(l.leaf)
		if err != nil {
			return nil
		}
		return append(append([]int64(nil), cache.publication(actor)...), l.topic)
	}
	entry, err := decode(l.leaf)
	if err != nil {
		return nil
	}
	f := factsOf(entry)
	return f.terms()
}

// step follows at most one batch towards size.
func (f *follower) step(ctx context.Context, size uint64) error {
	to := min(size, f.next+followBatch)
	lines, err := readLines(ctx, f.db.Reader(), f.next, to)
	if err != nil {
		return err
	}
	touched := newTouched(f)
	b, err := f.take(ctx, lines, touched.mark)
	if err != nil {
		return err
	}
	last := verify.LeafHash(lines[len(lines)-1].leaf)
	err = f.db.Index.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		p, err := readPosition(ctx, tx, f.db.Index.LockRow())
		if err != nil {
			return err
		}
		if p == nil || p.origin != f.origin || p.next != f.next {
			return errMoved
		}
		if err := b.write(ctx, f.db.Index, tx); err != nil {
			return err
		}
		if err := touched.write(ctx, f.db.Index, tx); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE index_position SET next = $1, leaf = $2 WHERE id = 1", int64(to), last[:])
		return err
	})
	// A crash here leaves the batch and its position together, or neither: the
	// index goes on from the position that it finds.
	if errors.Is(err, errMoved) {
		return f.start(ctx)
	}
	if err != nil {
		return err
	}
	f.next, f.block, f.bits = to, touched.block, touched.bits
	return nil
}

// touched are the rows of index_bits that a step changes.
type touched struct {
	block int64
	bits  map[int64]bitset // of block, whole
	fresh map[int64]bool   // terms of block that changed
	rows  struct {
		term, block store.Ints
		bits        store.Blobs
	}
}

func newTouched(f *follower) *touched {
	t := &touched{block: f.block, bits: make(map[int64]bitset, len(f.bits)), fresh: map[int64]bool{}}
	for term, bits := range f.bits {
		t.bits[term] = append(bitset(nil), bits...)
	}
	return t
}

func (t *touched) mark(index uint64, terms []int64) {
	block, place := blockOf(index)
	if block != t.block {
		t.close()
		t.block, t.bits, t.fresh = block, map[int64]bitset{}, map[int64]bool{}
	}
	for _, term := range terms {
		t.bits[term] = t.bits[term].with(place)
		t.fresh[term] = true
	}
}

// close turns what changed in the block into rows.
func (t *touched) close() {
	for term := range t.fresh {
		t.rows.term, t.rows.block = append(t.rows.term, term), append(t.rows.block, t.block)
		t.rows.bits = append(t.rows.bits, append([]byte(nil), t.bits[term]...))
	}
	clear(t.fresh)
}

func (t *touched) write(ctx context.Context, p *store.Part, tx store.Tx) error {
	t.close()
	return upsertBits.Run(ctx, p, tx, t.rows.term, t.rows.block, t.rows.bits)
}
