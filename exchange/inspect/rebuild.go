package inspect

import (
	"context"
	"log/slog"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

// Rebuild makes what is derived from the journal anew. progress, which may be
// nil, is told how many entries are done. The database must not be served
// meanwhile.
func Rebuild(ctx context.Context, db *store.DB, keyring *identity.Keyring, progress func(done, total uint64)) error {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	head, err := journal.ReadHead(ctx, db.Reader())
	if err != nil {
		return err
	}
	return rebuildIndex(ctx, db, keyring, head, progress)
}

func rebuildIndex(ctx context.Context, db *store.DB, keys Keys, head *journal.Head, progress func(done, total uint64)) error {
	f := &follower{source: source{db: db, keys: keys, origin: head.Origin, log: slog.New(slog.DiscardHandler)}}
	seen, err := readPosition(ctx, db.Index.Read(), "")
	if err != nil {
		return err
	}
	if err := f.wipe(ctx, seen); err != nil {
		return err
	}
	if err := f.seek(ctx, 0); err != nil {
		return err
	}
	for f.next < head.Size {
		if err := f.step(ctx, head.Size); err != nil {
			return err
		}
		if err := db.Index.Breathe(ctx); err != nil {
			return err
		}
		progress(f.next, head.Size)
	}
	return nil
}
