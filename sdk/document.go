package sdk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Document describes a document that the exchange has: its id, size, SHA-256,
// media type and title.
type Document = ledgerv1.Document

// DocumentID names a document for good.
type DocumentID [verify.DocumentIDSize]byte

// NewDocumentID makes an id, which sorts behind those made before.
func NewDocumentID() DocumentID { return DocumentID(keys.next()) }

// documentChunk is the size of every chunk but the last.
const documentChunk = 1 << 20

// DocumentInfo says what is to be uploaded.
type DocumentInfo struct {
	// ID names the document; the same when its upload is begun again. A new one is
	// made if it is zero.
	ID DocumentID
	// MediaType is needed: "application/pdf".
	MediaType string
	// Title is what people call it; it is never in the ledger.
	Title string
	// Progress, which may be nil, is told how far the document is on the exchange's
	// disk.
	Progress func(durable, size uint64)
}

// StoredDocument is a document that is there, with the receipt that proves it.
type StoredDocument struct {
	*Document
	Receipt *Receipt
}

// UploadDocument brings a document to the exchange and returns once it is there:
// on disk, its SHA-256 found right, and in the ledger. It reads r twice, from
// where it stands: once for size and SHA-256, once to send. When the connection
// breaks it goes on by itself, until ctx ends; begun again with the same ID, also
// by another process, it goes on behind what is stored.
func (c *Client) UploadDocument(ctx context.Context, r io.ReadSeeker, info DocumentInfo) (*StoredDocument, error) {
	if info.ID == (DocumentID{}) {
		info.ID = NewDocumentID()
	}
	start, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	size, err := io.Copy(sum, &cancelled{ctx, r})
	if err != nil {
		return nil, err
	}
	up := &upload{
		client: c, from: r, start: start, progress: info.Progress,
		document: &Document{Id: info.ID[:], Size: uint64(size), Sha256: sum.Sum(nil), MediaType: info.MediaType, Title: info.Title},
	}
	var wait backoff
	for {
		before := up.durable
		done, err := up.try(ctx)
		if err == nil {
			return up.stored(done)
		}
		if ctx.Err() != nil || up.broken != nil || !transient(err) {
			return nil, errors.Join(up.broken, err)
		}
		if up.durable > before {
			wait.reset()
		}
		select {
		case <-ctx.Done():
			return nil, contextFault(ctx)
		case <-time.After(wait.next()):
		}
	}
}

// cancelled ends reading when a context does.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// upload is one document on its way to the exchange.
type upload struct {
	client   *Client
	from     io.ReadSeeker
	start    int64
	document *Document
	durable  uint64
	progress func(durable, size uint64)
	// broken is why the document itself can be read no further.
	broken error
}

type uploadStream = exchangev1.DocumentService_UploadClient

// try opens the upload and sends what is not stored yet.
func (u *upload) try(ctx context.Context) (*exchangev1.UploadDone, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := u.client.documents().Upload(ctx)
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	open := &exchangev1.UploadRequest{Message: &exchangev1.UploadRequest_Open{Open: &exchangev1.UploadOpen{Document: u.document}}}
	// What a send fails of is told by receiving.
	_ = stream.Send(open)
	first, err := stream.Recv()
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	u.heard(first.GetDurable().GetOffset())
	sent := make(chan error, 1)
	go func() { sent <- u.send(stream, first.GetDurable().GetOffset()) }()
	done, err := u.receive(stream)
	cancel() // ends sending, if the exchange refused
	u.broken = <-sent
	return done, err
}

// send sends chunks from an offset on; its error is of reading.
func (u *upload) send(stream uploadStream, offset uint64) error {
	if _, err := u.from.Seek(u.start+int64(offset), io.SeekStart); err != nil {
		return err
	}
	for offset < u.document.Size {
		data := make([]byte, min(documentChunk, u.document.Size-offset))
		if _, err := io.ReadFull(u.from, data); err != nil {
			return fault.Wrap(fault.Invalid, "sdk.document", err, "the document is shorter than it was")
		}
		chunk := &exchangev1.DocumentChunk{Offset: offset, Data: data}
		if stream.Send(&exchangev1.UploadRequest{Message: &exchangev1.UploadRequest_Chunk{Chunk: chunk}}) != nil {
			return nil
		}
		offset += uint64(len(data))
	}
	_ = stream.CloseSend()
	return nil
}

func (u *upload) receive(stream uploadStream) (*exchangev1.UploadDone, error) {
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil, fault.FromStatus(err)
		}
		if done := r.GetDone(); done != nil {
			u.heard(u.document.Size)
			return done, nil
		}
		u.heard(r.GetDurable().GetOffset())
	}
}

func (u *upload) heard(durable uint64) {
	u.durable = durable
	if u.progress != nil {
		u.progress(durable, u.document.Size)
	}
}

// stored checks the receipt: its entry commits to this very document.
func (u *upload) stored(done *exchangev1.UploadDone) (*StoredDocument, error) {
	entry, receipt, err := u.client.log.stored(done)
	if err != nil {
		return nil, err
	}
	commitment := verify.CheckedDocument([verify.SaltSize]byte(done.Salt), u.document)
	if entry.GetActor() != u.client.system || !bytes.Equal(entry.GetDocumentStored().GetDocumentCommitment(), commitment) {
		return nil, unproven("entry %d is not of this document", receipt.Index)
	}
	return &StoredDocument{Document: u.document, Receipt: receipt}, nil
}

func (l *ledgerView) stored(done *exchangev1.UploadDone) (*ledgerv1.LedgerEntry, *Receipt, error) {
	if len(done.GetSalt()) != verify.SaltSize {
		return nil, nil, unproven("the salt of a document has %d bytes", len(done.GetSalt()))
	}
	if !done.GetReceipt().GetRepeat() {
		receipt, entry, err := l.release(done.GetReceipt(), done.GetProof())
		return entry, receipt, err
	}
	// The first time's: without proof, which Client.ProveReceipt fetches.
	receipt, entry := &Receipt{}, &ledgerv1.LedgerEntry{}
	fillReceipt(receipt, done.GetReceipt())
	if err := proto.Unmarshal(receipt.Leaf, entry); err != nil || entry.GetIndex() != receipt.Index {
		return nil, nil, unproven("the leaf of entry %d is of another entry", receipt.Index)
	}
	return entry, receipt, nil
}

// Document describes a document that this system brought.
func (c *Client) Document(ctx context.Context, id DocumentID) (*Document, error) {
	p, err := c.documents().Progress(ctx, &exchangev1.ProgressRequest{Id: id[:]})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	if p.GetState() != exchangev1.DocumentState_DOCUMENT_STATE_STORED {
		return nil, fault.New(fault.Conflict, "sdk.document", "%d of the document's %d bytes are stored; finish its upload first", p.GetDurable(), p.GetDocument().GetSize())
	}
	return p.GetDocument(), nil
}

// DocumentQuery asks for a document.
type DocumentQuery struct {
	// Document is what the record that it belongs to says of it, or what
	// Client.Document says; the id alone is enough, and then what comes is checked
	// against what the exchange says it is.
	Document *Document
	// Acting says for whom and what it is read, where it belongs to a record.
	Acting Acting
	// Progress, which may be nil, is told how much has come.
	Progress func(got, size uint64)
}

// DownloadDocument writes a document to w and returns once its SHA-256 is found
// right; before that nothing that was written may be relied on. When the
// connection breaks it goes on by itself, until ctx ends.
func (c *Client) DownloadDocument(ctx context.Context, q DocumentQuery, w io.Writer) (*Document, error) {
	d := &download{client: c, query: q, to: w, hash: sha256.New()}
	if q.Document.GetSha256() != nil {
		d.document = q.Document
	}
	var wait backoff
	for {
		err := d.try(ctx)
		switch {
		case err == nil:
			return d.whole()
		case ctx.Err() != nil || d.broken != nil || !transient(err):
			return nil, errors.Join(d.broken, err)
		}
		select {
		case <-ctx.Done():
			return nil, contextFault(ctx)
		case <-time.After(wait.next()):
		}
	}
}

// download is one document on its way from the exchange.
type download struct {
	client   *Client
	query    DocumentQuery
	to       io.Writer
	hash     hash.Hash
	got      uint64
	document *Document
	// broken is why nothing more can be written.
	broken error
}

func (d *download) try(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := d.client.documents().Download(ctx, &exchangev1.DownloadRequest{
		Id: d.query.Document.GetId(), Offset: d.got, Acting: d.query.Acting.message(),
	})
	if err != nil {
		return fault.FromStatus(err)
	}
	first, err := stream.Recv()
	if err != nil {
		return fault.FromStatus(err)
	}
	if err := d.opened(first.GetOpened()); err != nil {
		return err
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.FromStatus(err)
		}
		if err := d.take(r.GetChunk()); err != nil {
			return err
		}
	}
}

// opened checks the entry that let the document leave.
func (d *download) opened(o *exchangev1.DownloadOpened) error {
	_, entry, err := d.client.log.release(o.GetRelease(), o.GetProof())
	if err != nil {
		return err
	}
	if entry.GetActor() != d.client.system || !bytes.Equal(o.GetDocument().GetId(), d.query.Document.GetId()) || !lets(entry, o) {
		return unproven("entry %d is not of this document", entry.GetIndex())
	}
	if d.document != nil && !proto.Equal(d.document, o.GetDocument()) {
		return unproven("the document is another than it was said to be")
	}
	d.document = o.GetDocument()
	return nil
}

// lets says whether an entry lets this document leave.
func lets(e *ledgerv1.LedgerEntry, o *exchangev1.DownloadOpened) bool {
	if o.GetPublicationPlusOne() == 0 {
		return e.GetDocumentReturned() != nil
	}
	detail, err := proto.MarshalOptions{Deterministic: true}.Marshal(&ledgerv1.ReleaseDetail{
		Index: o.GetPublicationPlusOne() - 1, PayloadDigest: o.GetDocument().GetSha256(), Document: o.GetDocument().GetId(),
	})
	q := e.GetQueried()
	return err == nil && covers(q.GetRecords(), q.GetDetailsRoot(), [][verify.HashSize]byte{verify.LeafHash(detail)}) == nil
}

func (d *download) take(c *exchangev1.DocumentChunk) error {
	if c.GetOffset() != d.got {
		return unproven("a chunk of the document is not where it belongs")
	}
	if _, d.broken = d.to.Write(c.GetData()); d.broken != nil {
		return d.broken
	}
	d.hash.Write(c.GetData())
	d.got += uint64(len(c.GetData()))
	if d.query.Progress != nil {
		d.query.Progress(d.got, d.document.GetSize())
	}
	return nil
}

func (d *download) whole() (*Document, error) {
	if d.got != d.document.GetSize() || !bytes.Equal(d.hash.Sum(nil), d.document.GetSha256()) {
		return nil, unproven("the document has not the SHA-256 that it was said to have")
	}
	return d.document, nil
}

func (c *Client) documents() exchangev1.DocumentServiceClient {
	return exchangev1.NewDocumentServiceClient(c.Conn())
}
