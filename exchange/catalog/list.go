package catalog

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Page asks for objects after a key, in the order of their keys.
type Page struct {
	After string
	Limit int
}

const (
	defaultPage = 100
	maxPage     = 1000
)

// Size gives the number of objects to read; more than it were asked for is
// refused.
func (p Page) Size() (int, error) {
	switch {
	case p.Limit == 0:
		return defaultPage, nil
	case p.Limit < 0 || p.Limit > maxPage:
		return 0, fault.Field("page_size", "page_size", "is 1 to %d", maxPage)
	}
	return p.Limit, nil
}

// mayRead refuses who may not read the catalogue; a witness has no use for it.
func mayRead(by *identity.Caller) error {
	if by.Roles.Has(identity.Department, identity.Operator, identity.Auditor) {
		return nil
	}
	return fault.New(fault.Denied, "role.catalogue", "the catalogue is for departments, operators and auditors")
}

// seesAll says whether a caller sees what concerns others.
func seesAll(by *identity.Caller) bool { return by.Roles.Has(identity.Operator, identity.Auditor) }

// Participants lists participants: all to operators and auditors, to a
// department its own and those that provide topics.
func (c *Catalogue) Participants(ctx context.Context, by *identity.Caller, page Page) ([]*cataloguev1.Participant, error) {
	n, err := page.Size()
	if err != nil {
		return nil, err
	}
	if err := mayRead(by); err != nil {
		return nil, err
	}
	if seesAll(by) {
		return bodies[cataloguev1.Participant](ctx, c.tx, "SELECT body FROM participants WHERE code > $1 ORDER BY code LIMIT $2", page.After, n)
	}
	return bodies[cataloguev1.Participant](ctx, c.tx, `SELECT body FROM participants p WHERE code > $1
		AND (code = $2 OR EXISTS (SELECT 1 FROM topics t WHERE t.provider = p.code)) ORDER BY code LIMIT $3`, page.After, by.Participant, n)
}

// Systems lists systems: those of a department to itself, all to operators and
// auditors. participant narrows, if it is not empty.
func (c *Catalogue) Systems(ctx context.Context, by *identity.Caller, participant string, page Page) ([]*cataloguev1.System, error) {
	n, err := page.Size()
	if err != nil {
		return nil, err
	}
	if err := mayRead(by); err != nil {
		return nil, err
	}
	if !seesAll(by) {
		if participant == "" {
			participant = by.Participant
		}
		if participant != by.Participant {
			return nil, fault.New(fault.Denied, "participant.other", "a department lists its own systems only")
		}
	}
	if participant == "" {
		return bodies[cataloguev1.System](ctx, c.tx, "SELECT body FROM systems WHERE id > $1 ORDER BY id LIMIT $2", page.After, n)
	}
	return bodies[cataloguev1.System](ctx, c.tx,
		"SELECT body FROM systems WHERE participant = $1 AND id > $2 ORDER BY id LIMIT $3", participant, page.After, n)
}

// Certificates lists the certificates of a system; the caller's own if empty.
func (c *Catalogue) Certificates(ctx context.Context, by *identity.Caller, system string) ([]*cataloguev1.Certificate, error) {
	if system == "" {
		system = by.System
	}
	name, err := identity.ParseName(system)
	if err != nil {
		return nil, err
	}
	if system != by.System {
		if err := mayRead(by); err != nil {
			return nil, err
		}
		if !seesAll(by) && name.Participant != by.Participant {
			return nil, fault.New(fault.Denied, "participant.other", "a department lists its own certificates only")
		}
	}
	return bodies[cataloguev1.Certificate](ctx, c.tx, "SELECT body FROM certificates WHERE system = $1 ORDER BY fingerprint", system)
}

// Certificate finds a certificate by its SHA-256; nil if none is enrolled.
func (c *Catalogue) Certificate(ctx context.Context, fingerprint []byte) (*cataloguev1.Certificate, error) {
	return row[cataloguev1.Certificate](ctx, c.tx, "SELECT body FROM certificates WHERE fingerprint = $1", fingerprint)
}

// Contract reads a contract version with its descriptor set; the newest if
// version is 0.
func (c *Catalogue) Contract(ctx context.Context, name string, version uint32) (*cataloguev1.Contract, error) {
	c.mu.RLock()
	v := c.contracts[name]
	c.mu.RUnlock()
	if v == nil {
		return nil, fault.New(fault.NotFound, "contract.unknown", "the catalogue has no such contract")
	}
	list := *v.list.Load()
	if version == 0 {
		version = uint32(len(list))
	}
	if int(version) > len(list) {
		return nil, fault.New(fault.NotFound, "contract.version", "the contract has versions 1 to %d", len(list))
	}
	set, err := descriptorSet(ctx, c.tx, name, version)
	if err != nil {
		return nil, err
	}
	m := proto.CloneOf(list[version-1].message)
	m.DescriptorSet = set
	return m, nil
}

// Contracts lists the newest version of each contract.
func (c *Catalogue) Contracts(ctx context.Context, by *identity.Caller, page Page) ([]*cataloguev1.Contract, error) {
	n, err := page.Size()
	if err != nil {
		return nil, err
	}
	if err := mayRead(by); err != nil {
		return nil, err
	}
	return bodies[cataloguev1.Contract](ctx, c.tx, `SELECT body FROM contracts k WHERE name > $1
		AND version = (SELECT max(version) FROM contracts n WHERE n.name = k.name) ORDER BY name LIMIT $2`, page.After, n)
}

// MayRead refuses who may not read the catalogue.
func (c *Catalogue) MayRead(by *identity.Caller) error { return mayRead(by) }
