package access

import (
	"context"
	"database/sql"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/journal"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// commit makes a change and waits until this process knows of it.
func (p *Policy) commit(ctx context.Context, ch catalog.Change, build func(ctx context.Context, w *catalog.Write) error) (*journal.Commit, error) {
	commit, err := p.Catalogue.Commit(ctx, ch, build)
	if err != nil || commit == nil || ch.ValidateOnly {
		return commit, err
	}
	// The change is committed whatever becomes of this: Follow comes to it too.
	if err := p.grants.Refresh(ctx, commit.Policy); err != nil {
		p.Log.Warn("a grant is committed but not read back yet", "error", err)
	}
	return commit, nil
}

// read reads a grant in a transaction; nil if there is none.
func read(ctx context.Context, w *catalog.Write, id string) (*accessv1.Grant, error) {
	var raw []byte
	err := w.Tx.QueryRowContext(ctx, "SELECT body FROM grants WHERE id = $1", id).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	g := &accessv1.Grant{}
	return g, proto.Unmarshal(raw, g)
}

// put writes a grant with its ledger entry.
func put(ctx context.Context, w *catalog.Write, g *accessv1.Grant, change, reason string) error {
	body, err := catalog.Encode(g)
	if err != nil {
		return err
	}
	_, err = w.Tx.ExecContext(ctx, `INSERT INTO grants (id, version, changed, body) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET version = excluded.version, changed = excluded.changed, body = excluded.body`,
		g.Id, int64(g.Version), int64(w.Slot.Policy), body)
	if err != nil {
		return err
	}
	w.Changed(&ledgerv1.ObjectChanged{
		Object: "grant", Id: g.Id, Change: change, Version: g.Version,
		Parties: []string{g.Provider, participantOf(g.Consumer)}, Reason: reason,
	}, body)
	return nil
}
