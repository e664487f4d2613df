package document

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Upload is one document on its way in. It is for one goroutine. In memory it has
// the chunk that is being taken in and a few that wait for their commit.
type Upload struct {
	of       *Documents
	caller   *identity.Caller
	document *ledgerv1.Document
	chunks   *Chunks
	stored   bool
	durable  int64
	pending  []*write
}

// Begin opens an upload, or opens it again where it broke off.
func (d *Documents) Begin(ctx context.Context, caller *identity.Caller, document *ledgerv1.Document) (*Upload, error) {
	if err := d.department(ctx, caller); err != nil {
		return nil, err
	}
	if err := check(document); err != nil {
		return nil, err
	}
	r, err := d.begun(ctx, caller, document)
	if err != nil {
		return nil, err
	}
	if r.system != caller.System {
		return nil, fault.New(fault.AlreadyExists, "document.id.taken", "a document of another system has that id; make a new one")
	}
	body, err := d.open(r)
	if err != nil {
		return nil, err
	}
	if !proto.Equal(body.Document, document) {
		return nil, fault.New(fault.Conflict, "document.differs", "the id stands for a document with another size, SHA-256, media type or title; make a new id")
	}
	u := &Upload{of: d, caller: caller, document: document, durable: r.durable, stored: r.stored != 0}
	u.chunks, err = NewChunks(d.Journal.Head().Origin, body)
	return u, err
}

// begun gives a document's row, which it makes if there is none.
func (d *Documents) begun(ctx context.Context, caller *identity.Caller, document *ledgerv1.Document) (*row, error) {
	r, err := readRow(ctx, d.DB.Reader(), document.Id, "")
	if err != nil || r != nil {
		return r, err
	}
	if err := d.clear(ctx, document.Id); err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	body, err := sealBody(d.Sealer, d.Journal.Head().Origin, &ledgerv1.SealedDocument{Document: document, Key: key})
	if err != nil {
		return nil, err
	}
	err = d.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := d.room(ctx, tx, caller.Participant, int64(document.Size)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO documents (id, system, participant, size, durable, touched, stored, published, body)
			VALUES ($1, $2, $3, $4, 0, $5, 0, 0, $6) ON CONFLICT (id) DO NOTHING`,
			document.Id, caller.System, caller.Participant, int64(document.Size), d.Clock().UnixMicro(), body)
		return err
	})
	if err != nil {
		return nil, err
	}
	if r, err = readRow(ctx, d.DB.Reader(), document.Id, ""); err == nil && r == nil {
		err = unknown()
	}
	return r, err
}

// room refuses what is more than a participant may have under way.
func (d *Documents) room(ctx context.Context, tx store.Tx, participant string, size int64) error {
	var taken int64
	err := tx.QueryRowContext(ctx, "SELECT coalesce(sum(CASE WHEN size < $2 THEN $2 ELSE size END), 0) FROM documents WHERE participant = $1 AND stored = 0",
		participant, int64(leastUnfinished)).Scan(&taken)
	if err == nil && taken+max(size, leastUnfinished) > d.Unfinished {
		err = fault.New(fault.TooLarge, "document.unfinished",
			"unfinished uploads of the participant have %d bytes, each counted as %d at least, with this one more than %d; finish some first",
			taken, leastUnfinished, d.Unfinished)
	}
	return err
}

// Stored says that the document is there already.
func (u *Upload) Stored() bool { return u.stored }

// Durable is how far the document is on disk.
func (u *Upload) Durable() uint64 { return uint64(u.durable) }

// taken is how far the document is taken in, though it may not be on disk.
func (u *Upload) taken() int64 {
	if n := len(u.pending); n > 0 {
		return u.pending[n-1].to
	}
	return u.durable
}

// Add takes the next chunk in. It waits while too many wait to be on disk.
func (u *Upload) Add(ctx context.Context, offset uint64, data []byte) error {
	from, left := u.taken(), int64(u.document.Size)-u.taken()
	switch {
	case offset != uint64(from):
		return fault.Field("chunk.offset", "document.offset", "the next chunk begins at byte %d, not at %d", from, offset)
	case int64(len(data)) > left:
		return u.refused(ctx, fault.Field("chunk.data", "document.larger", "the document was said to have %d bytes; here are more; bring it under a new id with its true size", u.document.Size))
	case int64(len(data)) != min(left, ChunkSize) || len(data) == 0:
		return fault.Field("chunk.data", "document.chunk", "a chunk has %d bytes, the last one what is left; not %d", ChunkSize, len(data))
	}
	number := from / ChunkSize
	body, err := u.chunks.seal(number, data)
	if err != nil {
		return err
	}
	w, err := u.of.begin(ctx, &write{id: u.document.Id, number: number, from: from, to: from + int64(len(data)), body: body})
	if err != nil {
		return err
	}
	u.pending = append(u.pending, w)
	return u.settle(ctx, ahead)
}

func (u *Upload) refused(ctx context.Context, refusal error) error {
	return u.of.refused(ctx, u.caller, refusal)
}

// settle waits until no more than so many chunks wait to be on disk.
func (u *Upload) settle(ctx context.Context, waiting int) error {
	for len(u.pending) > waiting {
		w := u.pending[0]
		u.pending = u.pending[1:]
		if err := u.of.wait(ctx, w); err != nil {
			return err
		}
		u.durable = w.to
	}
	return nil
}
