package access

import (
	"context"
	"database/sql"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Commit makes a change and waits until this process knows of it.
func (p *Policy) Commit(ctx context.Context, ch catalog.Change, build func(ctx context.Context, w *catalog.Write) error) (*journal.Commit, error) {
	commit, err := p.Catalogue.Commit(ctx, ch, build)
	if err != nil || commit == nil || ch.ValidateOnly || ch.Quiet {
		return commit, err
	}
	// The change is committed whatever becomes of this: Follow comes to it too.
	if err := p.grants.Refresh(ctx, commit.Policy); err != nil {
		p.Log.Warn("a grant is committed but not read back yet", "error", err)
	}
	return commit, nil
}

// InForce reads the version of a grant that is in force, whatever its state; nil
// if none was agreed.
func InForce(ctx context.Context, tx store.Tx, id string) (*accessv1.Grant, error) {
	return one(ctx, tx, "SELECT body FROM grants WHERE id = $1 AND agreed = 1 ORDER BY version DESC LIMIT 1", id)
}

// Newest reads the newest version of a grant; nil if there is none.
func Newest(ctx context.Context, tx store.Tx, id string) (*accessv1.Grant, error) {
	return one(ctx, tx, "SELECT body FROM grants WHERE id = $1 ORDER BY version DESC LIMIT 1", id)
}

func one(ctx context.Context, tx store.Tx, query, id string) (*accessv1.Grant, error) {
	var raw []byte
	err := tx.QueryRowContext(ctx, query, id).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	g := &accessv1.Grant{}
	return g, proto.Unmarshal(raw, g)
}

// Pending says of a version's state that it was requested and is not answered.
func Pending(s accessv1.GrantState) bool {
	switch s {
	case accessv1.GrantState_GRANT_STATE_PREPARED, accessv1.GrantState_GRANT_STATE_REQUESTED,
		accessv1.GrantState_GRANT_STATE_ACCEPTING, accessv1.GrantState_GRANT_STATE_REFUSING:
		return true
	}
	return false
}

// Agreed says of a version's state that both sides agreed once.
func Agreed(s accessv1.GrantState) bool {
	switch s {
	case accessv1.GrantState_GRANT_STATE_ACTIVE, accessv1.GrantState_GRANT_STATE_SUSPENDED,
		accessv1.GrantState_GRANT_STATE_TERMINATED, accessv1.GrantState_GRANT_STATE_DISPOSED:
		return true
	}
	return false
}

// Put writes a version of a grant and gives the bytes that its digest is over.
// applicant is the participant that signs for the consumer.
func Put(ctx context.Context, w *catalog.Write, g *accessv1.Grant, applicant string) ([]byte, error) {
	body, err := catalog.Encode(g)
	if err != nil {
		return nil, err
	}
	_, err = w.Tx.ExecContext(ctx, `INSERT INTO grants (id, version, provider, applicant, pending, agreed, changed, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id, version) DO UPDATE SET
		pending = excluded.pending, agreed = excluded.agreed, changed = excluded.changed, body = excluded.body`,
		g.Id, int64(g.Version), g.Provider, applicant, bit(Pending(g.State)), bit(Agreed(g.State)), int64(w.Slot.Policy), body)
	return body, err
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// putOutside writes a grant that was recorded from outside, with its entry.
func putOutside(ctx context.Context, w *catalog.Write, g *accessv1.Grant, change, reason string) error {
	applicant, err := Applicant(ctx, w, g.Consumer)
	if err != nil {
		return err
	}
	body, err := Put(ctx, w, g, applicant)
	if err != nil {
		return err
	}
	parties := []string{g.Provider, applicant}
	if id, ok := catalog.GroupOf(g.Consumer); ok {
		group, err := w.Group(ctx, id)
		if err != nil {
			return err
		}
		parties = append([]string{g.Provider}, group.GetMembers()...)
	}
	w.Changed(&ledgerv1.ObjectChanged{
		Object: "grant", Id: g.Id, Change: change, Version: g.Version, Parties: parties, Reason: reason,
	}, body)
	return nil
}
