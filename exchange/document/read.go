package document

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func timeOf(us int64) time.Time { return time.UnixMicro(us).UTC() }

// Progress says how far a document of the caller is stored.
func (d *Documents) Progress(ctx context.Context, caller *identity.Caller, id []byte) (*exchangev1.ProgressResponse, error) {
	r, body, err := d.own(ctx, caller, id)
	if err != nil {
		return nil, err
	}
	p := &exchangev1.ProgressResponse{Document: body.Document, State: exchangev1.DocumentState_DOCUMENT_STATE_UNFINISHED, Durable: uint64(r.durable)}
	if r.stored != 0 {
		p.State, p.Stored = exchangev1.DocumentState_DOCUMENT_STATE_STORED, r.stored-1
	}
	return p, nil
}

// own gives a document of the calling system.
func (d *Documents) own(ctx context.Context, caller *identity.Caller, id []byte) (*row, *ledgerv1.SealedDocument, error) {
	if err := d.department(ctx, caller); err != nil {
		return nil, nil, err
	}
	if err := checkID("id", id); err != nil {
		return nil, nil, err
	}
	r, err := readRow(ctx, d.DB.Reader(), id, "")
	if err == nil && (r == nil || r.system != caller.System) {
		err = unknown()
	}
	if err != nil {
		return nil, nil, err
	}
	body, err := d.open(r)
	return r, body, err
}

// Download lets a document leave: the entry that says so is committed when it
// returns.
func (d *Documents) Download(ctx context.Context, caller *identity.Caller, q *exchangev1.DownloadRequest) (*exchangev1.DownloadOpened, *Reader, error) {
	if err := checkID("id", q.Id); err != nil {
		return nil, nil, err
	}
	r, err := readRow(ctx, d.DB.Reader(), q.Id, "")
	if err != nil {
		return nil, nil, err
	}
	give := d.giveBack
	if r != nil && r.published != 0 {
		give = d.release
	}
	body, opened, err := give(ctx, caller, q, r)
	if err != nil {
		return nil, nil, err
	}
	opened.Document = body.Document
	reader, err := d.reader(body, q.Offset)
	return opened, reader, err
}

// release lets a document leave that belongs to a publication.
func (d *Documents) release(ctx context.Context, caller *identity.Caller, q *exchangev1.DownloadRequest, r *row) (*ledgerv1.SealedDocument, *exchangev1.DownloadOpened, error) {
	body, err := d.open(r)
	if err != nil {
		return nil, nil, err
	}
	if err := within(q.Offset, body.Document); err != nil {
		return nil, nil, err
	}
	answer, err := d.Releaser.Document(ctx, caller, q.Acting, r.published-1, body.Document)
	if err != nil {
		return nil, nil, err
	}
	return body, &exchangev1.DownloadOpened{Release: answer.Release, Proof: answer.Proof, PublicationPlusOne: r.published}, nil
}

// giveBack lets a document leave to the system that brought it.
func (d *Documents) giveBack(ctx context.Context, caller *identity.Caller, q *exchangev1.DownloadRequest, _ *row) (*ledgerv1.SealedDocument, *exchangev1.DownloadOpened, error) {
	r, body, err := d.own(ctx, caller, q.Id)
	if err == nil && r.stored == 0 {
		err = unknown()
	}
	if err == nil {
		err = within(q.Offset, body.Document)
	}
	if err != nil {
		return nil, nil, err
	}
	secret, err := newSecret()
	if err != nil {
		return nil, nil, err
	}
	// The id alone: what a title says is erased with the document.
	named := &ledgerv1.Document{Id: r.id}
	commit, err := d.Journal.Submit(ctx, &journal.Call{From: caller.System, Entries: []journal.Entry{{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: caller.System, ActorCertificate: caller.Fingerprint[:],
			Body: &ledgerv1.LedgerEntry_DocumentReturned{DocumentReturned: &ledgerv1.DocumentReturned{DocumentCommitment: verify.CommitDocument(secret, named)}},
		},
		Opening: &ledgerv1.ReadOpening{Secret: secret, Document: named},
	}}})
	if err != nil {
		return nil, nil, err
	}
	return body, &exchangev1.DownloadOpened{Release: receipt(commit.Index, commit.At, commit.Leaves[0]), Proof: commit.Proof}, nil
}

func within(offset uint64, d *ledgerv1.Document) error {
	if offset > d.Size {
		return fault.Field("offset", "document.offset", "the document has %d bytes", d.Size)
	}
	return nil
}

// Reader gives out a document chunk by chunk. It is for one goroutine.
type Reader struct {
	of       *Documents
	document *ledgerv1.Document
	chunks   *Chunks
	next     int64
}

func (d *Documents) reader(body *ledgerv1.SealedDocument, offset uint64) (*Reader, error) {
	chunks, err := NewChunks(d.Journal.Head().Origin, body)
	return &Reader{of: d, document: body.Document, chunks: chunks, next: int64(offset)}, err
}

const chunkQuery = "SELECT c.body, d.body IS NULL FROM documents d LEFT JOIN document_chunks c ON c.document = d.id AND c.number = $1 WHERE d.id = $2"

// Next gives the next part and where it begins; nil at the end. Each is checked:
// what does not open is refused as document.damaged, and a document that was
// erased meanwhile gives nothing more.
func (r *Reader) Next(ctx context.Context) (offset uint64, data []byte, err error) {
	if r.next >= int64(r.document.Size) {
		return 0, nil, nil
	}
	number := r.next / ChunkSize
	var body []byte
	var erased bool
	err = r.of.DB.Reader().QueryRowContext(ctx, chunkQuery, number, r.document.Id).Scan(&body, &erased)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, nil, unknown()
	case err != nil:
		return 0, nil, err
	case erased:
		return 0, nil, errErased()
	case body == nil:
		return 0, nil, damaged(r.document.Id, fmt.Errorf("chunk %d is missing", number))
	}
	begin := number * ChunkSize
	plain, err := r.chunks.Open(number, body)
	if err == nil && int64(len(plain)) != min(int64(r.document.Size)-begin, ChunkSize) {
		err = fmt.Errorf("it has %d bytes", len(plain))
	}
	if err != nil {
		return 0, nil, damaged(r.document.Id, fmt.Errorf("chunk %d: %w", number, err))
	}
	offset, data = uint64(r.next), plain[r.next-begin:]
	r.next = begin + int64(len(plain))
	return offset, data, nil
}
