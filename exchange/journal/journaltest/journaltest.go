// Package journaltest gives tests a ledger of their own, records to publish on
// it, and an auditor that re-derives everything the journal wrote.
package journaltest

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Provider is the fictional system that publishes unless a test says otherwise.
const Provider = "11999900MB00000278/register"

// Patience bounds every wait of a test.
const Patience = 30 * time.Second

// layout is that of the test's contract: 1 is the key, 2 a text.
var layout = verify.Layout{Contract: "huitong.test.v1.Note", Version: 1, Fields: []uint32{1, 2}}

// Ledger is an initialised database with an open journal.
type Ledger struct {
	T        testing.TB
	DB       *store.DB
	Keys     *identity.Keyring
	Verifier *verify.CheckpointVerifier
	Journal  *journal.Journal

	partitions int
	ahead      atomic.Int64
}

// New makes an empty ledger; the test's end closes it.
func New(t testing.TB, partitions int) *Ledger {
	t.Helper()
	return On(t, storetest.Open(t), partitions)
}

// On makes an empty ledger on an empty database.
func On(t testing.TB, db *store.DB, partitions int) *Ledger {
	t.Helper()
	name := identity.Name{Participant: "11999900MB0000019D", System: "console"}
	d, err := identity.Init(t.TempDir(), identity.Options{Operator: name})
	must(t, err)
	return create(t, db, d.Keyring, partitions)
}

// Twin makes an empty ledger with the same keys on another database, as if all
// were restored from a backup of the first day.
func (l *Ledger) Twin() *Ledger {
	l.T.Helper()
	return create(l.T, storetest.Open(l.T), l.Keys, l.partitions)
}

func create(t testing.TB, db *store.DB, keys *identity.Keyring, partitions int) *Ledger {
	t.Helper()
	l := &Ledger{T: t, DB: db, Keys: keys, partitions: partitions}
	var err error
	l.Verifier, err = verify.NewCheckpointVerifier(l.Keys.VerifierKey())
	must(t, err)
	must(t, journal.Create(t.Context(), db, l.Keys.Signer(), partitions))
	l.Journal = l.Open()
	return l
}

// Now tells the ledger's time: the real one, moved by Move.
func (l *Ledger) Now() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }

// Move moves the clock of the ledger's journals.
func (l *Ledger) Move(d time.Duration) { l.ahead.Add(int64(d)) }

// Open opens one more journal on the ledger's database, as another process does;
// the test's end closes it.
func (l *Ledger) Open() *journal.Journal {
	l.T.Helper()
	return l.OpenOn(l.DB)
}

// OpenOn is Open on another connection to the database.
func (l *Ledger) OpenOn(db *store.DB) *journal.Journal {
	l.T.Helper()
	j, err := journal.Open(l.T.Context(), journal.Config{DB: db, Sealer: l.Keys, Signer: l.Keys.Signer(), Clock: l.Now})
	must(l.T, err)
	l.T.Cleanup(func() {
		ending, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := j.Close(ending); err != nil {
			l.T.Error(err)
		}
	})
	return j
}

// Partition gives a topic's partition.
func (l *Ledger) Partition(topic string) uint32 {
	return uint32(journal.Number(topic) % int64(l.partitions))
}

// Option changes a record under test.
type Option func(*ledgerv1.RecordPublished)

// Idempotent gives the record an idempotency key of the test's choice.
func Idempotent(key string) Option {
	return func(p *ledgerv1.RecordPublished) {
		p.IdempotencyKey = append(make([]byte, 0, verify.KeySize), key...)
		p.IdempotencyKey = p.IdempotencyKey[:verify.KeySize]
	}
}

// Source gives the record a version of its source.
func Source(version uint64) Option {
	return func(p *ledgerv1.RecordPublished) { p.SourceVersion = version }
}

// If states the precondition that the present version is at an index, which is
// not 0.
func If(index uint64) Option {
	return func(p *ledgerv1.RecordPublished) { p.IfIndexPlusOne = index + 1 }
}

// IfNone states the precondition that no such record is held.
func IfNone() Option { return func(p *ledgerv1.RecordPublished) { p.IfIndexPlusOne = 1 } }

// Record makes a checked publication of an operation on a record. A PUT has a
// payload of that text.
func (l *Ledger) Record(topic, key string, op ledgerv1.Operation, text string, options ...Option) *journal.Record {
	l.T.Helper()
	secret, id := make([]byte, verify.SecretSize), make([]byte, verify.KeySize)
	_, _ = rand.Read(secret)
	_, _ = rand.Read(id)
	leaf := &ledgerv1.RecordPublished{Topic: topic, Operation: op, IdempotencyKey: id, Partition: l.Partition(topic)}
	opening := &ledgerv1.RecordOpening{Secret: secret, Key: key, Reason: "改正"}
	r := &journal.Record{Leaf: leaf, KeyToken: l.Keys.Token(identity.TokenRecord, topic, key), Tokens: l.Keys.Token(identity.TokenSubject, "111", key)}
	if op == ledgerv1.Operation_OPERATION_PUT {
		opening.Payload = protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), key)
		opening.Payload = protowire.AppendString(protowire.AppendTag(opening.Payload, 2, protowire.BytesType), text)
		commitment, err := layout.Commitment(secret, opening.Payload)
		must(l.T, err)
		leaf.PayloadCommitment, leaf.Contract, leaf.ContractVersion = commitment[:], layout.Contract, layout.Version
		subject := &ledgerv1.Subject{Type: "111", Number: key}
		h := verify.CommitSubject(verify.Subject, 0, secret, subject)
		leaf.SubjectCommitments, opening.Subjects = [][]byte{h[:]}, []*ledgerv1.Subject{subject}
		r.HasPayload = true
	}
	leaf.KeyCommitment = verify.CommitText(verify.Key, 0, secret, key)
	leaf.ReasonCommitment = verify.CommitText(verify.Reason, 0, secret, opening.Reason)
	for _, o := range options {
		o(leaf)
	}
	r.Statement = verify.StatementOf(leaf).LeafHash()
	var err error
	r.Sealed, err = journal.SealRecord(l.Keys, l.Keys.Origin(), topic, r.KeyToken, opening)
	must(l.T, err)
	return r
}

// Put is Record for a PUT.
func (l *Ledger) Put(topic, key, text string, options ...Option) *journal.Record {
	l.T.Helper()
	return l.Record(topic, key, ledgerv1.Operation_OPERATION_PUT, text, options...)
}

// Call makes a call of records by the provider.
func Call(records ...*journal.Record) *journal.Call { return CallOf(Provider, records...) }

// CallOf makes a call of records by a system.
func CallOf(system string, records ...*journal.Record) *journal.Call {
	for i, r := range records {
		r.Position = uint32(i)
	}
	return &journal.Call{From: system, Publish: &journal.Publish{Actor: system, Statements: len(records), Records: records}}
}

// Publish submits a call of records; the whole call must be committed, and its
// proof good.
func (l *Ledger) Publish(records ...*journal.Record) *journal.Commit {
	l.T.Helper()
	commit, err := l.Journal.Submit(l.T.Context(), Call(records...))
	must(l.T, err)
	l.CheckProof(commit)
	return commit
}

// One publishes one record, which must be accepted.
func (l *Ledger) One(r *journal.Record) journal.Outcome {
	l.T.Helper()
	o := l.Publish(r).Records[0]
	must(l.T, o.Err)
	return o
}

// CheckProof checks that a commit's proof proves its leaves.
func (l *Ledger) CheckProof(c *journal.Commit) {
	l.T.Helper()
	if len(c.Leaves) == 0 {
		return
	}
	hashes := make([][verify.HashSize]byte, len(c.Leaves))
	for i, leaf := range c.Leaves {
		hashes[i] = verify.LeafHash(leaf)
	}
	if c.Proof.GetFirst() != c.Index {
		l.T.Fatalf("the proof begins at %d, the call at %d", c.Proof.GetFirst(), c.Index)
	}
	if _, err := verify.CheckRange(c.Proof, hashes, l.Verifier); err != nil {
		l.T.Fatal(err)
	}
}

// Within fails the test unless ok comes true in time.
func Within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(Patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", Patience, what)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
