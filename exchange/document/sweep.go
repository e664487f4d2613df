package document

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/huitong-bus/huitong/exchange/store"
)

const (
	// look is how often unfinished uploads and what is left of documents are looked
	// for.
	look = time.Minute
	// clearAtOnce is how many chunks one commit takes away.
	clearAtOnce = 4
)

func (d *Documents) sweepAll() {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if err := d.Sweep(d.ended); err != nil && d.ended.Err() == nil {
			d.Log.Warn("what is left of documents cannot be swept away yet", "error", err)
		}
		select {
		case <-tick.C:
		case <-d.sweep:
		case <-d.ended.Done():
			return
		}
	}
}

// Sweep forgets uploads that nothing came for in time, erases documents that no
// publication named in time, and takes away what is left of these and of erased ones.
func (d *Documents) Sweep(ctx context.Context) error {
	old, err := ids(ctx, d.DB.Reader(), "SELECT id FROM documents WHERE stored = 0 AND touched < $1", d.Clock().Add(-d.Keep).UnixMicro())
	if err != nil {
		return err
	}
	for _, id := range old {
		if err := d.forget(ctx, id, d.Clock().Add(-d.Keep).UnixMicro()); err != nil {
			return err
		}
	}
	if err := d.eraseUnnamed(ctx); err != nil {
		return err
	}
	left, err := ids(ctx, d.DB.Reader(), "SELECT document FROM document_remains")
	if err != nil {
		return err
	}
	for _, id := range left {
		if err := d.clear(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// unnamed selects documents that belong to no publication; the index over those serves
// it.
const unnamed = " FROM documents WHERE published = 0 AND stored > 0 AND body IS NOT NULL AND touched < $1"

func (d *Documents) eraseUnnamed(ctx context.Context) error {
	before := d.Clock().Add(-d.Unnamed).UnixMicro()
	old, err := ids(ctx, d.DB.Reader(), "SELECT id"+unnamed, before)
	if err != nil {
		return err
	}
	for _, id := range old {
		err := d.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			still, err := ids(ctx, tx, "SELECT id"+unnamed+" AND id = $2"+d.DB.Journal.LockRow(), before, id)
			if err != nil || len(still) == 0 {
				return err
			}
			return erase(ctx, tx, id)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func ids(ctx context.Context, tx store.Tx, query string, args ...any) (all [][]byte, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		all = append(all, id)
	}
	return all, rows.Err()
}

// drop forgets an unfinished document at once.
func (d *Documents) drop(ctx context.Context, id []byte) error {
	if err := d.forget(ctx, id, 1<<62); err != nil {
		return err
	}
	return d.clear(ctx, id)
}

// forget takes the row of an unfinished document that was touched before a time.
// Its chunks go after it, for they are many.
func (d *Documents) forget(ctx context.Context, id []byte, before int64) error {
	return d.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM documents WHERE id = $1 AND stored = 0 AND touched < $2", id, before)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return remains(ctx, tx, id)
	})
}

func remains(ctx context.Context, tx store.Tx, id []byte) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO document_remains (document) VALUES ($1) ON CONFLICT (document) DO NOTHING", id)
	return err
}

// clear takes away what is left of a document that is gone, a few chunks a
// commit.
func (d *Documents) clear(ctx context.Context, id []byte) error {
	var n int
	if err := d.DB.Reader().QueryRowContext(ctx, "SELECT count(*) FROM document_remains WHERE document = $1", id).Scan(&n); err != nil || n == 0 {
		return err
	}
	for {
		done, err := d.clearSome(ctx, id)
		if err != nil || done {
			return err
		}
	}
}

func (d *Documents) clearSome(ctx context.Context, id []byte) (done bool, err error) {
	err = d.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		// Who clears holds the row: once it is gone, the id may stand for another
		// document.
		var held []byte
		err := tx.QueryRowContext(ctx, "SELECT document FROM document_remains WHERE document = $1"+d.DB.Journal.LockRow(), id).Scan(&held)
		if errors.Is(err, sql.ErrNoRows) {
			done = true
			return nil
		}
		if err != nil {
			return err
		}
		var last sql.NullInt64
		if err := tx.QueryRowContext(ctx, "SELECT max(number) FROM document_chunks WHERE document = $1", id).Scan(&last); err != nil {
			return err
		}
		if done = !last.Valid; done {
			_, err := tx.ExecContext(ctx, "DELETE FROM document_remains WHERE document = $1", id)
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM document_chunks WHERE document = $1 AND number > $2", id, last.Int64-clearAtOnce)
		return err
	})
	if err == nil {
		err = d.DB.Journal.Breathe(ctx)
	}
	return done, err
}
