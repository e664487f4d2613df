package bench

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/bus"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// partFor is how long one part is repeated.
const partFor = 300 * time.Millisecond

// timePart measures what f costs for each of its records.
func timePart(name string, records int, f func() error) (Part, error) {
	if err := f(); err != nil { // pools and caches fill
		return Part{}, fmt.Errorf("%s: %w", name, err)
	}
	began, objects, n := time.Now(), allocated(), 0
	for time.Since(began) < partFor {
		if err := f(); err != nil {
			return Part{}, fmt.Errorf("%s: %w", name, err)
		}
		n += records
	}
	return Part{
		Name: name, Nanoseconds: float64(time.Since(began).Nanoseconds()) / float64(n),
		Allocations: float64(allocated()-objects) / float64(n),
	}, nil
}

// parts measures the steps of publishing one after the other.
type parts struct {
	found   []Part
	content []byte
	secret  []byte
	keyring *identity.Keyring
}

func (p *parts) add(name string, records int, f func() error) error {
	part, err := timePart(name, records, f)
	p.found = append(p.found, part)
	return err
}

// measureParts measures what each step costs by itself, on an exchange that is
// otherwise idle.
func measureParts(ctx context.Context, in *installation) ([]Part, error) {
	content, err := proto.Marshal(certificate(0))
	if err != nil {
		return nil, err
	}
	p := &parts{content: content, secret: make([]byte, verify.SecretSize), keyring: in.node.Identity.Keyring}
	for _, step := range []func() error{p.commitments, p.signatures, p.validation, p.sealing} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p.found, p.journal(ctx, in)
}

// standard is the contract of the bench's certificates.
func standard() *contract.Contract {
	for _, c := range contract.Standard() {
		if c.Name() == string(model.ProtoReflect().Descriptor().FullName()) {
			return c
		}
	}
	return nil
}

func (p *parts) commitments() error {
	c := standard()
	layout := verify.Layout{Contract: c.Name(), Version: c.Version(), Fields: c.Fields()}
	return p.add("field commitments (once by the publisher, once by the exchange)", 1, func() error {
		_, err := layout.Commitment(p.secret, p.content)
		return err
	})
}

// signatures measures signing and checking, a call of one record and of many.
func (p *parts) signatures() error {
	key, err := identity.NewKey()
	if err != nil {
		return err
	}
	for _, n := range []int{1, 1000} {
		statements := make([][verify.HashSize]byte, n)
		err := p.add(fmt.Sprintf("signature, made and checked, a call of %d", n), n, func() error { return signAndCheck(key, statements) })
		if err != nil {
			return err
		}
	}
	return nil
}

func signAndCheck(key crypto.Signer, statements [][verify.HashSize]byte) error {
	statement := verify.CallStatement("system", statements)
	signature, err := verify.Sign(key, statement)
	if err != nil {
		return err
	}
	return verify.CheckSignature(key.Public(), statement, signature)
}

func (p *parts) validation() error {
	c := standard()
	return p.add("validation: decode, rules, check digits, key and subjects", 1, func() error {
		_, err := c.Read(p.content)
		return err
	})
}

func (p *parts) sealing() error {
	opening := &ledgerv1.RecordOpening{Secret: p.secret, Key: identifier(0), Payload: p.content}
	return p.add("sealing, and tokens of key and subject", 1, func() error {
		p.keyring.Token(identity.TokenSubject, "111", holder(0))
		token := p.keyring.Token(identity.TokenRecord, topic, opening.Key)
		_, err := journal.SealRecord(p.keyring, p.keyring.Origin(), topic, token, opening)
		return err
	})
}

// partCalls is how many calls of 1,000 records the journal and the relay are
// measured with.
const partCalls = 20

// journal measures intake, journal and relay, each alone, on a database without
// the rest of an exchange.
func (p *parts) journal(ctx context.Context, in *installation) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(in.dir), "parts-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := store.Open(ctx, "sqlite:"+dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := journal.Create(ctx, db, p.keyring.Signer(), 1); err != nil {
		return err
	}
	j, err := journal.Open(ctx, journal.Config{DB: db, Sealer: p.keyring, Signer: p.keyring.Signer()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close(ctx)) }()
	if err := p.committed(ctx, in, j); err != nil {
		return err
	}
	return p.relayed(ctx, j, db, filepath.Join(dir, "jetstream"))
}

// committed measures intake and journal, in calls of 1,000.
func (p *parts) committed(ctx context.Context, in *installation, j *journal.Journal) error {
	caller, err := in.callerOf(in.source)
	if err != nil {
		return err
	}
	take := &intake.Intake{
		Journal: j, Topics: in.node.Catalogue, Access: in.node.Policy, Keys: p.keyring,
		MaxRecords: intake.DefaultMaxRecords, MaxRecordBytes: intake.DefaultMaxRecordBytes, MaxCallBytes: intake.DefaultMaxCallBytes,
	}
	calls, err := p.calls(in, caller.System)
	if err != nil {
		return err
	}
	calls[0].ValidateOnly = true
	err = p.add("intake in all: validation, commitments, sealing, tokens, signature", 1000, func() error {
		_, err := take.Publish(ctx, caller, calls[0])
		return err
	})
	if err != nil {
		return err
	}
	checked := p.found[len(p.found)-1]
	calls[0].ValidateOnly = false
	m := newMeter()
	var leaves [][]byte
	for _, call := range calls {
		answer, err := take.Publish(ctx, caller, call)
		if err != nil {
			return err
		}
		for _, r := range answer.Results {
			leaves = append(leaves, r.GetReceipt().GetLeaf())
		}
		m.add(len(call.Records))
	}
	all := m.row("")
	tree, err := timePart("ledger: leaf and tree", len(leaves), func() error { return grow(leaves) })
	if err != nil {
		return err
	}
	p.found = append(p.found, tree, Part{
		Name:        "SQL and fsync, groups of 1,000",
		Nanoseconds: 1e9/all.Rate - checked.Nanoseconds - tree.Nanoseconds,
		Allocations: all.Allocations - checked.Allocations - tree.Allocations,
	})
	return nil
}

// calls makes signed calls of new records.
func (p *parts) calls(in *installation, system string) ([]*exchangev1.PublishRequest, error) {
	key, ok := in.source.Certificate.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("the system's key cannot sign")
	}
	c := standard()
	layout := &verify.Layout{Contract: c.Name(), Version: c.Version(), Fields: c.Fields()}
	calls := make([]*exchangev1.PublishRequest, partCalls)
	for i := range calls {
		calls[i] = &exchangev1.PublishRequest{}
		statements := make([][verify.HashSize]byte, 1000)
		for n := range statements {
			publication, statement, err := p.publication(layout, i*len(statements)+n)
			if err != nil {
				return nil, err
			}
			calls[i].Records, statements[n] = append(calls[i].Records, publication), statement
		}
		var err error
		if calls[i].Signature, err = verify.Sign(key, verify.CallStatement(system, statements)); err != nil {
			return nil, err
		}
	}
	return calls, nil
}

// publication makes one signed publication and the hash of what it states.
func (p *parts) publication(layout *verify.Layout, n int) (*exchangev1.Publication, [verify.HashSize]byte, error) {
	content, err := proto.Marshal(certificate(n))
	if err != nil {
		return nil, [verify.HashSize]byte{}, err
	}
	commitment, err := layout.Commitment(p.secret, content)
	if err != nil {
		return nil, commitment, err
	}
	key := sdk.NewIdempotencyKey()
	statement := verify.Statement{IdempotencyKey: key[:], Topic: topic, Operation: sdk.Put, PayloadCommitment: commitment[:]}
	hash := statement.LeafHash()
	return &exchangev1.Publication{
		IdempotencyKey: key[:], Topic: topic, Operation: sdk.Put, Secret: p.secret, Statement: hash[:],
		ContractVersion: layout.Version, Content: &exchangev1.Publication_Protobuf{Protobuf: content},
	}, hash, nil
}

// grow marshals leaves and appends them to a tree, as the journal does.
func grow(leaves [][]byte) error {
	growth, err := ledger.Grow(0, nil)
	if err != nil {
		return err
	}
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(leaves[0], &entry); err != nil {
		return err
	}
	for range leaves {
		leaf, err := proto.MarshalOptions{Deterministic: true}.Marshal(&entry)
		if err != nil {
			return err
		}
		if err := growth.Append(verify.LeafHash(leaf)); err != nil {
			return err
		}
	}
	return nil
}

// relayed measures how fast the journal is copied into a new stream.
func (p *parts) relayed(ctx context.Context, j *journal.Journal, db *store.DB, dir string) error {
	b := bus.Open(bus.Config{Dir: dir, Journal: j, DB: db})
	defer b.Close()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	m := newMeter()
	for b.Relayed(0) < j.Head().Size {
		if b.Relayed(0) == 0 {
			m = newMeter() // the server is still starting
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.add(int(j.Head().Size))
	row := m.row("")
	p.found = append(p.found, Part{Name: "relay to JetStream (beside the writer)", Nanoseconds: 1e9 / row.Rate, Allocations: row.Allocations})
	return nil
}
