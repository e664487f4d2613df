package document

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// row is a document as its row has it.
type row struct {
	id                  []byte
	system, participant string
	size, durable       int64
	touched             int64
	// stored and published are entries plus one; 0 if there is none.
	stored, published uint64
	body              []byte
}

const rowColumns = "SELECT id, system, participant, size, durable, touched, stored, published, body FROM documents "

// readRow reads one document; nil if there is none of that id.
func readRow(ctx context.Context, tx store.Tx, id []byte, lock string) (*row, error) {
	r := &row{}
	err := tx.QueryRowContext(ctx, rowColumns+"WHERE id = $1"+lock, id).
		Scan(&r.id, &r.system, &r.participant, &r.size, &r.durable, &r.touched, &r.stored, &r.published, &r.body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

// open opens the row's body; an erased document's has none.
func (d *Documents) open(r *row) (*ledgerv1.SealedDocument, error) {
	if r.body == nil {
		return nil, errErased()
	}
	body, err := OpenBody(d.Sealer, d.Journal.Head().Origin, r.id, r.body)
	if err != nil {
		return nil, damaged(r.id, fmt.Errorf("its row does not open: %w", err))
	}
	return body, nil
}

func errErased() error {
	return fault.New(fault.NotFound, "document.erased", "the document was erased, with its record or because none named it in time; bring it again under a new id")
}

// damaged says that what is stored of a document is not what was stored.
func damaged(id []byte, cause error) error {
	return fault.Wrap(fault.Internal, "document.damaged", fmt.Errorf("document %x: %w", id, cause),
		"what is stored of the document is not what was stored once; tell the operator, who finds the place with huitong ledger fsck")
}
