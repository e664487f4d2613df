package agreement

import (
	"context"
	"database/sql"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// version reads one version; nil if there is none.
func version(ctx context.Context, tx store.Tx, id string, number uint64) (*accessv1.Grant, error) {
	list, err := grants(ctx, tx, "SELECT body FROM grants WHERE id = $1 AND version = $2", id, int64(number))
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

func grants(ctx context.Context, tx store.Tx, query string, args ...any) ([]*accessv1.Grant, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*accessv1.Grant
	for rows.Next() {
		var raw []byte
		if err := rows.Scan(&raw); err != nil {
			return nil, err
		}
		g := &accessv1.Grant{}
		if err := proto.Unmarshal(raw, g); err != nil {
			return nil, err
		}
		list = append(list, g)
	}
	return list, rows.Err()
}

// Get gives all versions of an agreement to those whom it concerns, and which is
// in force.
func (a *Agreements) Get(ctx context.Context, by *identity.Caller, id string) ([]*accessv1.Agreement, uint64, error) {
	if err := a.Policy.Catalogue.MayRead(by); err != nil {
		return nil, 0, err
	}
	list, err := grants(ctx, a.DB.Reader(), "SELECT body FROM grants WHERE id = $1 ORDER BY version", id)
	if err != nil {
		return nil, 0, err
	}
	if len(list) == 0 || !a.Policy.Concerns(by, list[0]) {
		return nil, 0, errUnknown()
	}
	var force uint64
	for _, g := range list {
		if access.Agreed(g.State) {
			force = g.Version
		}
	}
	all := make([]*accessv1.Agreement, len(list))
	for i, g := range list {
		if all[i], err = a.shown(ctx, by, g, force); err != nil {
			return nil, 0, err
		}
	}
	return all, force, nil
}

// shown adds what is to be done about a version, and by when.
func (a *Agreements) shown(ctx context.Context, by *identity.Caller, g *accessv1.Grant, force uint64) (*accessv1.Agreement, error) {
	g.State = a.state(g)
	if access.Agreed(g.State) && g.Version < force || g.State == expired && g.Version < force {
		g.State = superseded
	}
	s := &accessv1.Agreement{Grant: g}
	if n, ok := next[g.State]; ok && !g.RecordedOutside {
		s.Turn, s.Next = string(n.turn), n.what
	}
	switch {
	case g.State == requested && g.ExtensionAsked:
		s.Turn, s.Next = string(access.Operator), "allow or deny more time to answer"
	case g.State == active && !g.Supplied && !g.RecordedOutside:
		s.Turn, s.Next = string(access.Provider), "supply the data"
	}
	if s.Turn == "" {
		return s, nil
	}
	running, err := a.Deadlines.Find(ctx, by, deadline.Filter{Object: g.Id, Open: true, Limit: 10})
	if err != nil {
		return nil, err
	}
	for _, d := range running {
		if (d.Kind == string(deadline.GrantSupply)) == (g.State == active) {
			s.Deadline = d
		}
	}
	return s, nil
}

// List gives the newest version of each agreement that concerns a caller, in the
// order of their ids. mine keeps those that wait for the caller's side.
func (a *Agreements) List(ctx context.Context, by *identity.Caller, r *accessv1.ListAgreementsRequest, page catalog.Page) ([]*accessv1.Agreement, error) {
	size, err := page.Size()
	if err != nil {
		return nil, err
	}
	if err := a.Policy.Catalogue.MayRead(by); err != nil {
		return nil, err
	}
	var all []*accessv1.Agreement
	for after := page.After; len(all) < size; {
		const atOnce = 500
		list, err := grants(ctx, a.DB.Reader(), `SELECT body FROM grants g WHERE id > $1
			AND version = (SELECT max(version) FROM grants n WHERE n.id = g.id) ORDER BY id LIMIT $2`, after, atOnce)
		if err != nil {
			return nil, err
		}
		for _, g := range list {
			after = g.Id
			if len(all) == size || !a.Policy.Concerns(by, g) || r.Topic != "" && r.Topic != g.Topic || r.Consumer != "" && r.Consumer != g.Consumer {
				continue
			}
			one, err := a.shown(ctx, by, g, 0)
			if err != nil {
				return nil, err
			}
			if !r.Mine || a.turnOf(by, one) {
				all = append(all, one)
			}
		}
		if len(list) < atOnce {
			break
		}
	}
	return all, nil
}

// turnOf says whether an agreement waits for the caller's side.
func (a *Agreements) turnOf(by *identity.Caller, s *accessv1.Agreement) bool {
	switch access.Side(s.Turn) {
	case access.Provider:
		return by.Roles.Has(identity.Department) && by.Participant == s.Grant.Provider
	case access.Operator:
		return by.Roles.Has(identity.Operator)
	case access.Consumer:
		return by.Roles.Has(identity.Department) && by.Participant != s.Grant.Provider
	}
	return false
}
