package inspect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/document"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// documents is what the ledger says of documents.
type documents struct {
	// stored gives, by its entry, the system that each belongs to and, unless it was
	// erased, what it is.
	stored map[uint64]*storedDocument
	// published gives the publication that names a document, by the document's id.
	published map[string]uint64
}

func newDocuments() documents {
	return documents{stored: map[uint64]*storedDocument{}, published: map[string]uint64{}}
}

// attach takes the documents that a publication names.
func (d documents) attach(index uint64, named []*ledgerv1.Document) {
	for _, n := range named {
		d.published[string(n.GetId())] = index
	}
}

type storedDocument struct {
	system string
	// document is nil once it is erased.
	document *ledgerv1.Document
}

// erased takes an entry whose opening went with its document.
func (d documents) erased(e *ledgerv1.LedgerEntry) bool {
	if e.GetDocumentStored() == nil {
		return false
	}
	d.stored[e.Index] = &storedDocument{system: e.Actor}
	return true
}

// documentRow is one row of documents.
type documentRow struct {
	id                  []byte
	system, participant string
	size, durable       int64
	touched             int64
	stored, published   uint64
	body                []byte
}

// checkDocuments compares each document's row with its entries, and its chunks
// with what it is.
func (c *checker) checkDocuments(ctx context.Context) error {
	stored, published := 0, 0
	err := c.each(ctx, "documents", "SELECT id, system, participant, size, durable, touched, stored, published, body FROM documents ORDER BY id", func(rows *sql.Rows) error {
		r := &documentRow{}
		if err := rows.Scan(&r.id, &r.system, &r.participant, &r.size, &r.durable, &r.touched, &r.stored, &r.published, &r.body); err != nil {
			return err
		}
		if r.stored != 0 {
			stored++
		}
		if r.published != 0 && r.body != nil {
			published++
		}
		return c.checkDocument(ctx, r)
	})
	if err == nil && stored != len(c.documents.stored) {
		err = wrong("documents", nil, "there are %d rows of documents that are there, the ledger has %d", stored, len(c.documents.stored))
	}
	if err == nil && published != len(c.documents.published) {
		err = wrong("documents", nil, "%d rows belong to publications, which name %d", published, len(c.documents.published))
	}
	if err != nil {
		return err
	}
	err = c.each(ctx, "document_chunks", `SELECT DISTINCT document FROM document_chunks WHERE document NOT IN (SELECT id FROM documents WHERE body IS NOT NULL)
		AND document NOT IN (SELECT document FROM document_remains)`, func(rows *sql.Rows) error {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return err
		}
		return wrong("document_chunks", fmt.Sprintf("%x", id), "there is no such document")
	})
	if err != nil {
		return err
	}
	return c.each(ctx, "document_remains", "SELECT r.document FROM document_remains r JOIN documents d ON d.id = r.document WHERE d.body IS NOT NULL", func(rows *sql.Rows) error {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return err
		}
		return wrong("document_remains", fmt.Sprintf("%x", id), "the document is there")
	})
}

func (c *checker) checkDocument(ctx context.Context, r *documentRow) error {
	name := fmt.Sprintf("%x", r.id)
	switch {
	case r.participant != verify.ParticipantOf(r.system) || !c.objects.has("system", r.system):
		return wrong("documents", name, "the row is of no system, or of another participant")
	case r.touched <= 0 || r.durable < 0 || r.durable > r.size || r.stored != 0 && r.durable != r.size:
		return wrong("documents", name, "the row is not what an upload makes of it")
	case r.stored == 0 && (r.published != 0 || r.body == nil):
		return wrong("documents", name, "a document that is not there belongs to no publication and is not erased")
	}
	if r.stored != 0 {
		known := c.documents.stored[r.stored-1]
		if known == nil || known.system != r.system || (known.document == nil) != (r.body == nil) {
			return wrong("documents", name, "stored is no entry of this document")
		}
		if r.body == nil {
			return c.checkErasedDocument(name, r)
		}
	}
	body, err := document.OpenBody(c.keys, c.origin, r.id, r.body)
	if err != nil {
		return wrong("documents", name, "body does not open")
	}
	switch {
	case body.Document.GetSize() != uint64(r.size):
		return wrong("documents", name, "size is not that of the document")
	case r.stored != 0 && !proto.Equal(body.Document, c.documents.stored[r.stored-1].document):
		return wrong("documents", name, "body is not what the document's entry commits to")
	}
	if at, named := c.documents.published[string(r.id)]; named != (r.published != 0) || named && at != r.published-1 {
		return wrong("documents", name, "published is not the publication that names the document")
	}
	return c.checkChunks(ctx, name, r, body)
}

// checkErasedDocument checks that a document went with its record, or had none.
func (c *checker) checkErasedDocument(name string, r *documentRow) error {
	if r.published == 0 {
		return nil
	}
	if _, erased := c.replay.erasedBy[r.published-1]; !erased {
		return wrong("documents", name, "the document is erased, and the publication that it belongs to is not")
	}
	return nil
}

// checkChunks opens every chunk of a document.
func (c *checker) checkChunks(ctx context.Context, name string, r *documentRow, body *ledgerv1.SealedDocument) error {
	chunks, err := document.NewChunks(c.origin, body)
	if err != nil {
		return wrong("documents", name, "body holds no key")
	}
	sum := sha256.New()
	var length int64
	for length < r.durable {
		n, err := c.checkChunk(ctx, name, r, chunks, length, sum)
		if err != nil {
			return err
		}
		length += n
	}
	var last sql.NullInt64
	if err := c.db.Reader().QueryRowContext(ctx, "SELECT max(number) FROM document_chunks WHERE document = $1", r.id).Scan(&last); err != nil {
		return unreadable(ctx, c.db, err, "document_chunks", nil)
	}
	switch {
	case last.Valid && last.Int64*document.ChunkSize >= r.durable:
		return wrong("document_chunks", chunkName(name, last.Int64), "is behind the document's end")
	case length == r.size && r.stored != 0 && !bytes.Equal(sum.Sum(nil), body.Document.GetSha256()):
		return wrong("documents", name, "the chunks are not the document that its entry commits to")
	}
	return nil
}

func chunkName(document string, number int64) string { return fmt.Sprintf("%s, %d", document, number) }

// checkChunk opens the chunk that begins at a place.
func (c *checker) checkChunk(ctx context.Context, name string, r *documentRow, chunks *document.Chunks, at int64, sum hash.Hash) (int64, error) {
	number := at / document.ChunkSize
	var sealed []byte
	err := c.db.Reader().QueryRowContext(ctx, "SELECT body FROM document_chunks WHERE document = $1 AND number = $2", r.id, number).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, wrong("document_chunks", chunkName(name, number), "the row is missing")
	}
	if err != nil {
		return 0, unreadable(ctx, c.db, err, "document_chunks", nil)
	}
	plain, err := chunks.Open(number, sealed)
	if err != nil || int64(len(plain)) != min(r.durable-at, document.ChunkSize) {
		return 0, wrong("document_chunks", chunkName(name, number), "body does not open")
	}
	sum.Write(plain)
	return int64(len(plain)), nil
}
