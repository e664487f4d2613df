package consent

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4/json"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	maxIssuer = 512
	maxKeys   = 32
	maxJWKS   = 64 << 10
)

// Put registers an identity provider or replaces what is said of it; an operator
// may.
func (c *Consents) Put(ctx context.Context, ch catalog.Change, p *accessv1.IdentityProvider) (*accessv1.IdentityProvider, *journal.Commit, error) {
	if err := checkProvider(p); err != nil {
		return nil, nil, err
	}
	return c.putProvider(ctx, ch, p.GetIssuer(), func(old *accessv1.IdentityProvider) (*accessv1.IdentityProvider, string, error) {
		n := &accessv1.IdentityProvider{
			Issuer: p.Issuer, Title: p.Title, Jwks: p.Jwks, SubjectType: p.SubjectType, NumberClaim: p.NumberClaim, TypeClaim: p.TypeClaim,
			State: cataloguev1.State_STATE_ACTIVE,
		}
		if old == nil {
			return n, "register", nil
		}
		n.State, n.Reason = old.State, old.Reason
		return n, "change", nil
	})
}

// Suspend has the tokens of an identity provider refused; an operator may.
func (c *Consents) Suspend(ctx context.Context, ch catalog.Change, issuer, reason string) (*accessv1.IdentityProvider, *journal.Commit, error) {
	if err := catalog.Reason(reason); err != nil {
		return nil, nil, err
	}
	return c.moveProvider(ctx, ch, issuer, cataloguev1.State_STATE_SUSPENDED, reason, "suspend")
}

// Resume ends a suspension; an operator may.
func (c *Consents) Resume(ctx context.Context, ch catalog.Change, issuer string) (*accessv1.IdentityProvider, *journal.Commit, error) {
	return c.moveProvider(ctx, ch, issuer, cataloguev1.State_STATE_ACTIVE, "", "resume")
}

func (c *Consents) moveProvider(ctx context.Context, ch catalog.Change, issuer string, to cataloguev1.State, reason, change string) (*accessv1.IdentityProvider, *journal.Commit, error) {
	return c.putProvider(ctx, ch, issuer, func(old *accessv1.IdentityProvider) (*accessv1.IdentityProvider, string, error) {
		if old == nil {
			return nil, "", fault.New(fault.NotFound, "identity_provider.unknown", "there is no such identity provider")
		}
		n := proto.CloneOf(old)
		if n.State != to {
			n.State, n.Reason = to, reason
		}
		return n, change, nil
	})
}

// putProvider writes what next makes of a provider, if that is anything new.
func (c *Consents) putProvider(ctx context.Context, ch catalog.Change, issuer string,
	next func(old *accessv1.IdentityProvider) (*accessv1.IdentityProvider, string, error),
) (*accessv1.IdentityProvider, *journal.Commit, error) {
	var result *accessv1.IdentityProvider
	commit, err := c.Catalogue.Commit(ctx, ch, func(ctx context.Context, w *catalog.Write) error {
		if err := w.RequireOperator(); err != nil {
			return err
		}
		old, err := readProvider(ctx, w.Tx, issuer)
		if err != nil {
			return err
		}
		n, change, err := next(old)
		if err != nil {
			return err
		}
		if result = n; old != nil {
			n.Version, n.ChangedAt = old.Version, old.ChangedAt
			if proto.Equal(old, n) {
				return w.Unchanged()
			}
		}
		n.Version, n.ChangedAt = n.Version+1, w.At()
		body, err := catalog.Encode(n)
		if err != nil {
			return err
		}
		if _, err := w.Tx.ExecContext(ctx, `INSERT INTO identity_providers (issuer, version, changed, body) VALUES ($1, $2, $3, $4)
			ON CONFLICT (issuer) DO UPDATE SET version = excluded.version, changed = excluded.changed, body = excluded.body`,
			n.Issuer, int64(n.Version), int64(w.Slot.Policy), body); err != nil {
			return err
		}
		w.Changed(&ledgerv1.ObjectChanged{
			Object: "identity-provider", Id: n.Issuer, Change: change, Version: n.Version, Reason: n.Reason,
		}, body)
		return nil
	})
	return result, commit, err
}

// Providers lists the identity providers, in the order of their issuers.
func (c *Consents) Providers(ctx context.Context, by *identity.Caller, page catalog.Page) ([]*accessv1.IdentityProvider, error) {
	n, err := page.Size()
	if err != nil {
		return nil, err
	}
	if err := c.Catalogue.MayRead(by); err != nil {
		return nil, err
	}
	rows, err := c.DB.Reader().QueryContext(ctx, "SELECT body FROM identity_providers WHERE issuer > $1 ORDER BY issuer LIMIT $2", page.After, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*accessv1.IdentityProvider
	for rows.Next() {
		p := &accessv1.IdentityProvider{}
		var raw []byte
		if err := errors.Join(rows.Scan(&raw), proto.Unmarshal(raw, p)); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

func readProvider(ctx context.Context, tx store.Tx, issuer string) (*accessv1.IdentityProvider, error) {
	var raw []byte
	err := tx.QueryRowContext(ctx, "SELECT body FROM identity_providers WHERE issuer = $1", issuer).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &accessv1.IdentityProvider{}
	return p, proto.Unmarshal(raw, p)
}

// provider finds the provider of a token, which has to be in force.
func (c *Consents) provider(ctx context.Context, issuer string) (*provider, error) {
	if len(issuer) > maxIssuer || !printable(issuer) {
		return nil, refused("token.issuer", "the token's issuer is no registered identity provider")
	}
	m, err := readProvider(ctx, c.DB.Reader(), issuer)
	if err != nil {
		return nil, err
	}
	if m == nil || m.State != cataloguev1.State_STATE_ACTIVE {
		return nil, refused("token.issuer", "the token's issuer is no registered identity provider, or suspended")
	}
	p := &provider{message: m}
	if err := json.Unmarshal([]byte(m.Jwks), &p.keys); err != nil {
		return nil, fmt.Errorf("the keys of identity provider %s: %w", issuer, err)
	}
	return p, nil
}

// printable says whether a text can be a database's text.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd })
}

func checkProvider(p *accessv1.IdentityProvider) error {
	switch {
	case p.GetIssuer() == "" || len(p.GetIssuer()) > maxIssuer || !printable(p.GetIssuer()):
		return fault.Field("provider.issuer", "identity_provider.issuer", "is 1 to %d bytes of printable text", maxIssuer)
	case !contains(contract.SubjectTypes(), p.SubjectType):
		return fault.Field("provider.subject_type", "subject.type", "is one of %s", strings.Join(contract.SubjectTypes(), ", "))
	}
	if err := catalog.First(
		catalog.Text("provider.issuer", p.Issuer, true), catalog.Text("provider.title", p.Title, true),
		text("provider.number_claim", p.NumberClaim, false), text("provider.type_claim", p.TypeClaim, false),
	); err != nil {
		return err
	}
	return checkKeys(p.Jwks)
}

func contains(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}

// checkKeys checks a JWK set: public keys only, each fit to verify and known by
// an id of its own.
func checkKeys(raw string) error {
	p := &provider{}
	if len(raw) > maxJWKS || json.Unmarshal([]byte(raw), &p.keys) != nil {
		return fault.Field("provider.jwks", "identity_provider.jwks", "is no JWK set (RFC 7517) of at most %d bytes, or has a key of an unknown type", maxJWKS)
	}
	if n := len(p.keys.Keys); n == 0 || n > maxKeys {
		return fault.Field("provider.jwks", "identity_provider.keys", "has 1 to %d keys", maxKeys)
	}
	seen := map[string]bool{}
	for i := range p.keys.Keys {
		k := &p.keys.Keys[i]
		if err := checkKey(k); err != nil {
			return fault.Field("provider.jwks", "identity_provider.key", "key %d %v", i, err)
		}
		if seen[k.KeyID] || k.KeyID == "" && len(p.keys.Keys) > 1 {
			return fault.Field("provider.jwks", "identity_provider.key_id", "key %d has no id of its own", i)
		}
		seen[k.KeyID] = true
	}
	return nil
}
