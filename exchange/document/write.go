package document

import (
	"context"
	"errors"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
)

// atOnce is how many chunks one commit carries at most: it holds up the journal's
// commits for as long as it takes.
const atOnce = 4

// ahead is how many chunks of one upload may wait for their commit, in memory:
// where the disk is slow, one commit carries them.
const ahead = 3

// write is one chunk on its way to disk.
type write struct {
	id       []byte
	number   int64
	from, to int64
	body     []byte
	done     chan struct{}
	err      error
}

// begin hands a chunk to the writer.
func (d *Documents) begin(ctx context.Context, w *write) (*write, error) {
	w.done = make(chan struct{})
	select {
	case d.writes <- w:
		return w, nil
	case <-ctx.Done():
		return nil, fault.Wrap(fault.KindOfContext(ctx.Err()), "", ctx.Err(), "gave up waiting for the chunk before")
	case <-d.ended.Done():
		return nil, stopping()
	}
}

func stopping() error {
	return fault.New(fault.Unavailable, "exchange.stopping", "the exchange is stopping; connect again, the upload goes on where it was")
}

func (d *Documents) wait(ctx context.Context, w *write) error {
	select {
	case <-w.done:
		return w.err
	case <-d.ended.Done():
		return stopping()
	case <-ctx.Done():
		return fault.Wrap(fault.KindOfContext(ctx.Err()), "", ctx.Err(), "gave up waiting for the chunk to be stored")
	}
}

// write commits what uploads bring, several chunks at once where several wait.
func (d *Documents) write() {
	for {
		var group []*write
		select {
		case w := <-d.writes:
			group = append(group, w)
		case <-d.ended.Done():
			return
		}
		for more := true; more && len(group) < atOnce; {
			select {
			case w := <-d.writes:
				group = append(group, w)
			default:
				more = false
			}
		}
		d.commit(group)
	}
}

func (d *Documents) commit(group []*write) {
	err := d.DB.Journal.Update(d.ended, func(ctx context.Context, tx store.Tx) error {
		for _, w := range group {
			w.err = nil // of a try before
			if err := d.put(ctx, tx, w); err != nil {
				return err
			}
		}
		// A crash here leaves nothing of the chunks, and nobody was told of them.
		crashpoint.Here("document.before-commit")
		return nil
	})
	// A crash here leaves chunks that nobody was told of: whoever opens the upload
	// again is told that they are there.
	crashpoint.Here("document.after-commit")
	if errors.Is(err, store.ErrBroken) && d.Broken != nil {
		go d.Broken(err)
	}
	for _, w := range group {
		if err != nil {
			w.err = fault.Wrap(fault.Unavailable, "document.commit", err, "the exchange could not store the chunk; open the upload again")
		}
		close(w.done)
	}
	if err := d.DB.Journal.Breathe(d.ended); err != nil && d.ended.Err() == nil {
		d.Log.Error("the write-ahead log could not be reset", "error", err)
	}
}

// put stores a chunk, if it is the next one: of two that bring the same document
// at once, one is refused.
func (d *Documents) put(ctx context.Context, tx store.Tx, w *write) error {
	result, err := tx.ExecContext(ctx, "UPDATE documents SET durable = $1, touched = $2 WHERE id = $3 AND durable = $4 AND stored = 0",
		w.to, d.Clock().UnixMicro(), w.id, w.from)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		w.err = fault.New(fault.Conflict, "document.under_way", "the upload goes on elsewhere, or was forgotten; open it again")
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO document_chunks (document, number, body) VALUES ($1, $2, $3)", w.id, w.number, w.body)
	return err
}
