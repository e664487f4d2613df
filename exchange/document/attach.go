package document

import (
	"context"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Of finds documents that a system brought and that are there, in the order of
// their ids.
func (d *Documents) Of(ctx context.Context, system string, ids [][]byte) ([]*ledgerv1.Document, error) {
	found := make([]*ledgerv1.Document, len(ids))
	seen := map[string]bool{}
	for i, id := range ids {
		field := fmt.Sprintf("documents[%d]", i)
		if err := checkID(field, id); err != nil {
			return nil, err
		}
		if seen[string(id)] {
			return nil, fault.Field(field, "document.twice", "names a document twice")
		}
		seen[string(id)] = true
		r, err := readRow(ctx, d.DB.Reader(), id, "")
		if err != nil {
			return nil, err
		}
		if r == nil || r.system != system || r.stored == 0 {
			return nil, notThere(field)
		}
		body, err := d.open(r)
		if err != nil {
			return nil, err
		}
		found[i] = body.Document
	}
	return found, nil
}

func notThere(field string) error {
	return fault.Field(field, "document.unknown", "is no document that the calling system brought whole; upload it first")
}

// Attach makes documents of a system belong to a publication, in its transaction.
func Attach(ctx context.Context, tx store.Tx, system string, index uint64, ids [][]byte) error {
	for i, id := range ids {
		result, err := tx.ExecContext(ctx, "UPDATE documents SET published = $1 WHERE id = $2 AND system = $3 AND stored > 0 AND published = 0 AND body IS NOT NULL",
			int64(index)+1, id, system)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return whyNot(ctx, tx, system, id, fmt.Sprintf("documents[%d]", i))
		}
	}
	return nil
}

func whyNot(ctx context.Context, tx store.Tx, system string, id []byte, field string) error {
	r, err := readRow(ctx, tx, id, "")
	if err != nil {
		return err
	}
	if r == nil || r.system != system || r.stored == 0 || r.body == nil {
		return notThere(field)
	}
	f := fault.New(fault.Conflict, "document.published", "%s: belongs to a publication already; upload it once more for another", field)
	return f.With(fault.Violation{Field: field, Rule: f.Rule, Message: f.Message})
}

// Erase takes the documents of an erased record's versions, in the journal's
// transaction: what they are, and the keys without which nobody reads their
// chunks. The chunks are swept away after it.
func Erase(ctx context.Context, tx store.Tx, e journal.Erased) error {
	for _, version := range e.Versions {
		of, err := ids(ctx, tx, "SELECT id FROM documents WHERE published = $1 AND published > 0", int64(version)+1)
		if err != nil {
			return err
		}
		for _, id := range of {
			if err := erase(ctx, tx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func erase(ctx context.Context, tx store.Tx, id []byte) error {
	if _, err := tx.ExecContext(ctx, "UPDATE documents SET body = NULL WHERE id = $1", id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE sealed SET body = NULL WHERE idx = (SELECT stored - 1 FROM documents WHERE id = $1)", id); err != nil {
		return err
	}
	return remains(ctx, tx, id)
}
