package inspect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

type contractID struct {
	name    string
	version uint32
}

// layout is a contract version as the check needs it.
type layout struct {
	contract *contract.Contract
	verify   verify.Layout
}

// layouts are the contract versions met so far.
type layouts struct{ known map[contractID]*layout }

func (l *layouts) find(ctx context.Context, c *checker, id contractID) (*layout, error) {
	if found, ok := l.known[id]; ok {
		return found, nil
	}
	name := fmt.Sprintf("%s version %d", id.name, id.version)
	var raw []byte
	err := c.db.Reader().QueryRowContext(ctx, "SELECT descriptor_set FROM contracts WHERE name = $1 AND version = $2",
		id.name, int64(id.version)).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, wrong("contracts", name, "the contract of a publication is missing")
	}
	if err != nil {
		return nil, unreadable(ctx, c.db, err, "contracts", name)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, wrong("contracts", name, "descriptor_set does not decode")
	}
	k, findings := contract.Compile(set, id.name, id.version)
	if k == nil {
		return nil, wrong("contracts", name, "descriptor_set does not compile: %v", findings)
	}
	found := &layout{contract: k, verify: verify.Layout{Contract: k.Name(), Version: k.Version(), Fields: k.Fields()}}
	l.known[id] = found
	return found, nil
}

// present is a row of records.
type present struct {
	topic                                 int64
	keyToken                              []byte
	idx, payload, version, status, source int64
	validFrom, validUntil                 int64
}

const presentPage = 500

// checkRecords walks the versions of each record back from its row, and then
// derives the row from them. Every publication that is not erased stands in
// exactly one such chain.
func (c *checker) checkRecords(ctx context.Context) error {
	last := present{topic: -1 << 62, keyToken: []byte{}}
	for {
		page, err := c.presentPage(ctx, &last)
		if err != nil {
			return err
		}
		for i := range page {
			if err := c.checkRecord(ctx, &page[i]); err != nil {
				return err
			}
			c.report.Records++
		}
		if len(page) < presentPage {
			break
		}
		last = page[len(page)-1]
	}
	if index, left := c.replay.live.first(); left {
		return wrong("sealed", index, "the publication stands in no record's chain of versions")
	}
	return nil
}

func (c *checker) presentPage(ctx context.Context, after *present) ([]present, error) {
	var page []present
	err := c.each(ctx, "records", `SELECT topic, key_token, idx, payload_idx, version, status, source_version, valid_from, valid_until
		FROM records WHERE topic > $1 OR topic = $1 AND key_token > $2 ORDER BY topic, key_token LIMIT $3`, func(rows *sql.Rows) error {
		var p present
		err := rows.Scan(&p.topic, &p.keyToken, &p.idx, &p.payload, &p.version, &p.status, &p.source, &p.validFrom, &p.validUntil)
		page = append(page, p)
		return err
	}, after.topic, after.keyToken, int64(presentPage))
	return page, err
}

// version is one link of a record's chain.
type version struct {
	index     int64
	at        int64
	prev      int64
	topic     int64
	keyToken  []byte
	tokens    []byte
	body      []byte
	published *ledgerv1.RecordPublished
}

func (c *checker) version(ctx context.Context, index int64) (*version, error) {
	v := &version{index: index}
	var leaf []byte
	err := c.db.Reader().QueryRowContext(ctx, `SELECT s.prev, s.topic, s.key_token, s.tokens, s.body, l.leaf FROM sealed s
		JOIN ledger l ON l.idx = s.idx WHERE s.idx = $1`, index).Scan(&v.prev, &v.topic, &v.keyToken, &v.tokens, &v.body, &leaf)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(ctx, c.db, err, "sealed", index)
	}
	entry, err := decode(leaf)
	v.published, v.at = entry.GetPublished(), entry.GetAtUs()
	return v, err
}

// checkRecord derives a row of records from its versions.
func (c *checker) checkRecord(ctx context.Context, p *present) error {
	name := fmt.Sprintf("of the record at entry %d", p.idx)
	var chain []*version
	astray := wrong("records", name, "idx is no version of that record")
	for at := p.idx; ; {
		v, err := c.version(ctx, at)
		if err != nil {
			return err
		}
		if v == nil || v.topic != p.topic || string(v.keyToken) != string(p.keyToken) || !c.replay.live.take(uint64(at)) {
			return astray
		}
		chain = append(chain, v)
		if v.prev == 0 {
			break
		}
		astray = wrong("sealed", at, "prev leads to entry %d, which is no version of its record", v.prev-1)
		at = v.prev - 1
	}
	return c.deriveRecord(ctx, p, name, chain)
}

// standing replays a chain of versions, the newest first. Only the payload at an
// entry is opened for its validity; with -1 each is.
func (c *checker) standing(ctx context.Context, chain []*version, payload int64) (*journal.Standing, error) {
	s := &journal.Standing{}
	for i := len(chain) - 1; i >= 0; i-- {
		v := chain[i]
		var from, until int64
		if v.published.Operation == ledgerv1.Operation_OPERATION_PUT && (v.index == payload || payload < 0) {
			var err error
			if from, until, err = c.validity(ctx, v); err != nil {
				return nil, err
			}
		}
		if err := s.Apply(v.published, uint64(v.index), from, until); err != nil {
			return nil, wrong("sealed", v.index, "the version cannot follow the one that prev names: %v", err)
		}
	}
	return s, nil
}

func (c *checker) deriveRecord(ctx context.Context, p *present, name string, chain []*version) error {
	s, err := c.standing(ctx, chain, p.payload)
	if err != nil {
		return err
	}
	switch {
	case s.PayloadIndex != uint64(p.payload):
		return wrong("records", name, "payload_idx is %d, the last payload is at %d", p.payload, s.PayloadIndex)
	case s.Version != uint64(p.version):
		return wrong("records", name, "version is %d, there are %d", p.version, s.Version)
	case int64(s.Status) != p.status:
		return wrong("records", name, "status is not what the operations make it")
	case s.SourceVersion != uint64(p.source):
		return wrong("records", name, "source_version is not the largest that was given")
	case s.ValidFrom != p.validFrom || s.ValidUntil != p.validUntil:
		return wrong("records", name, "valid_from or valid_until is not what the payload says")
	}
	return nil
}

// validity reads a version's days of validity out of its payload.
func (c *checker) validity(ctx context.Context, v *version) (from, until int64, err error) {
	opening, err := journal.OpenRecord(c.keys, c.origin, v.published.Topic, v.keyToken, v.body)
	if err != nil {
		return 0, 0, wrong("sealed", v.index, "body and key_token do not open")
	}
	l, err := c.layouts.find(ctx, c, contractID{v.published.Contract, v.published.ContractVersion})
	if err != nil {
		return 0, 0, err
	}
	record, err := l.contract.Read(opening.Payload)
	if err != nil {
		return 0, 0, wrong("sealed", v.index, "the payload does not satisfy its contract")
	}
	from, until = intake.ValidDays(record)
	return from, until, nil
}

// checkErasures walks the versions of each erased record back from its erasure.
func (c *checker) checkErasures(ctx context.Context) error {
	for _, e := range c.replay.erasures {
		var n uint32
		astray := wrong("ledger", e.index, "what it says was erased by entry %d was not", e.requestedBy)
		for at := int64(e.requestedBy); ; {
			v, err := c.version(ctx, at)
			if err != nil {
				return err
			}
			if v == nil || !c.replay.gone.take(uint64(at)) {
				return astray
			}
			c.replay.erasedBy[uint64(at)] = e
			if n++; v.prev == 0 {
				break
			}
			astray = wrong("sealed", at, "prev leads to entry %d, which is no version of its erased record", v.prev-1)
			at = v.prev - 1
		}
		if n != e.versions {
			return wrong("sealed", e.requestedBy, "entry %d says that %d versions were erased, prev leads to %d", e.index, e.versions, n)
		}
	}
	if index, left := c.replay.gone.first(); left {
		return wrong("sealed", index, "the publication's opening is gone, but no entry says that it was erased")
	}
	return nil
}
