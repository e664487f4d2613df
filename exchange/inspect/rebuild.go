package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Rebuild makes what is derived anew: the tiles of the tree, the idempotency
// keys, the pointers to the present version of each record, and the index. It
// refuses to do so from entries that do not make the tree of the signed
// checkpoint: that would hide what is wrong. progress, which may be nil, is told
// how much is done of how much. The database must not be served meanwhile.
func Rebuild(ctx context.Context, db *store.DB, keyring *identity.Keyring, progress func(done, total uint64)) error {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	c := newChecker(db, keyring, CheckOptions{})
	if err := c.checkHead(ctx); err != nil {
		return refusal(err)
	}
	total := 2 * c.head.Size
	r := &rebuild{checker: c}
	if err := r.survey(ctx, func(done uint64) { progress(done, total) }); err != nil {
		return refusal(err)
	}
	// A crash before this is committed leaves all as it was.
	if err := db.Journal.Update(ctx, r.write); err != nil {
		return refusal(err)
	}
	return r.index(ctx, func(done uint64) { progress(c.head.Size+done, total) })
}

// refusal turns a finding into what the command says.
func refusal(err error) error {
	var f *Finding
	if errors.As(err, &f) {
		return fault.Wrap(fault.Conflict, "rebuild.evidence", err, "nothing was rebuilt, for the evidence itself is wrong: %v", f)
	}
	return err
}

// rebuild is one under way.
type rebuild struct {
	*checker
	// heads are the publications that no later version follows.
	heads marks
	keys  []publicationKey
}

type publicationKey struct {
	system int64
	key    []byte
	index  int64
}

// survey walks the entries, checks that they make the checkpoint's tree, and
// finds the newest version of each record.
func (r *rebuild) survey(ctx context.Context, done func(uint64)) error {
	size := r.head.Size
	for from := uint64(0); from < size; from += tileWidth {
		rows, err := r.page(ctx, from, min(size, from+tileWidth))
		if err != nil {
			return err
		}
		for i := range rows {
			hash := verify.LeafHash(rows[i].leaf)
			if err := r.tree.whole.Append(hash[:], nil); err != nil {
				return err
			}
			if err := r.row(&rows[i]); err != nil {
				return err
			}
		}
		done(from + uint64(len(rows)))
	}
	if size == 0 {
		return nil
	}
	root, err := r.tree.whole.GetRootHash(nil)
	if err == nil && !bytes.Equal(root, r.tree.checkpoint.Root[:]) {
		err = wrong("ledger", nil, "the entries do not make the tree of the checkpoint")
	}
	return err
}

func (r *rebuild) row(x *row) error {
	entry, err := decode(x.leaf)
	if err != nil {
		return wrong("ledger", x.index, "the entry does not decode")
	}
	published := entry.GetPublished()
	if published == nil {
		return nil
	}
	if !x.sealed {
		return wrong("sealed", x.index, "the publication has no sealed row")
	}
	r.keys = append(r.keys, publicationKey{journal.Number(entry.Actor), published.IdempotencyKey, int64(x.index)})
	if x.keyToken == nil || published.Operation == ledgerv1.Operation_OPERATION_ERASE {
		return nil
	}
	r.replay.live.set(x.index)
	r.heads.set(x.index)
	if x.prev > 0 {
		r.heads.take(uint64(x.prev - 1))
	}
	return nil
}

// write replaces the derived rows of the journal part.
func (r *rebuild) write(ctx context.Context, tx store.Tx) error {
	var size int64
	if err := tx.QueryRowContext(ctx, "SELECT size FROM head WHERE id = 1"+r.db.Journal.LockRow()).Scan(&size); err != nil {
		return err
	}
	if uint64(size) != r.head.Size {
		return fault.New(fault.Conflict, "rebuild.served", "the ledger has grown meanwhile; stop the exchange that serves this database")
	}
	for _, table := range []string{"tiles", "idempotency", "records"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table); err != nil {
			return err
		}
	}
	if err := r.writeTiles(ctx, tx); err != nil {
		return err
	}
	if err := r.writeKeys(ctx, tx); err != nil {
		return err
	}
	return r.writeRecords(ctx, tx)
}

// growAt is how many leaves are appended before the tiles are written.
const growAt = 16 * tileWidth

func (r *rebuild) writeTiles(ctx context.Context, tx store.Tx) error {
	var edge []byte
	for from := uint64(0); from < r.head.Size; from += growAt {
		g, err := ledger.Grow(from, edge)
		if err != nil {
			return err
		}
		lines, err := readLines(ctx, tx, from, min(r.head.Size, from+growAt))
		if err != nil {
			return err
		}
		for i := range lines {
			if err := g.Append(verify.LeafHash(lines[i].leaf)); err != nil {
				return err
			}
		}
		if err := g.WriteTiles(ctx, r.db.Journal, tx); err != nil {
			return err
		}
		edge = g.Edge()
	}
	return nil
}

var (
	insertKeys    = &store.Insert{Into: "INTO idempotency (system, key, idx)"}
	insertRecords = &store.Insert{
		Into: "INTO records (topic, key_token, idx, payload_idx, version, status, source_version, valid_from, valid_until)",
	}
)

func (r *rebuild) writeKeys(ctx context.Context, tx store.Tx) error {
	var system, index store.Ints
	var key store.Blobs
	for i, k := range r.keys {
		system, key, index = append(system, k.system), append(key, k.key), append(index, k.index)
		if len(key) == followBatch || i == len(r.keys)-1 {
			if err := insertKeys.Run(ctx, r.db.Journal, tx, system, key, index); err != nil {
				return err
			}
			system, key, index = system[:0], key[:0], index[:0]
		}
	}
	return nil
}

func (r *rebuild) writeRecords(ctx context.Context, tx store.Tx) error {
	live := append(marks(nil), r.replay.live...) // write may run again
	for index := range r.heads.all() {
		if err := r.writeRecord(ctx, tx, live, int64(index)); err != nil {
			return err
		}
	}
	if index, left := live.first(); left {
		return wrong("sealed", index, "the publication stands in no record's chain of versions")
	}
	return nil
}

func (r *rebuild) writeRecord(ctx context.Context, tx store.Tx, live marks, head int64) error {
	var chain []*version
	for at := head; ; {
		v, err := r.version(ctx, at)
		if err != nil {
			return err
		}
		if v == nil || !live.take(uint64(at)) {
			return wrong("sealed", at, "it is no version of a record, or of two")
		}
		chain = append(chain, v)
		if v.prev == 0 {
			break
		}
		at = v.prev - 1
	}
	newest := chain[0]
	s, err := r.standing(ctx, chain, -1)
	if err != nil {
		return err
	}
	return insertRecords.Run(ctx, r.db.Journal, tx, store.Ints{newest.topic}, store.Blobs{newest.keyToken}, store.Ints{head},
		store.Ints{int64(s.PayloadIndex)}, store.Ints{int64(s.Version)}, store.Ints{int64(s.Status)}, store.Ints{int64(s.SourceVersion)},
		store.Ints{s.ValidFrom}, store.Ints{s.ValidUntil})
}

// index makes the index anew.
func (r *rebuild) index(ctx context.Context, done func(uint64)) error {
	f := &follower{source: r.source}
	seen, err := readPosition(ctx, r.db.Index.Read(), "")
	if err != nil {
		return err
	}
	if err := f.wipe(ctx, seen); err != nil {
		return err
	}
	if err := f.seek(ctx, 0); err != nil {
		return err
	}
	for f.next < r.head.Size {
		if err := f.step(ctx, r.head.Size); err != nil {
			return fmt.Errorf("the index at entry %d: %w", f.next, err)
		}
		if err := r.db.Index.Breathe(ctx); err != nil {
			return err
		}
		done(f.next)
	}
	return nil
}
