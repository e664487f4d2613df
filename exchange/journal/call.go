package journal

import (
	"context"
	"errors"
	"slices"

	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// ErrPolicyMoved refuses a call whose decision was made under an older policy:
// decide anew and submit again.
var ErrPolicyMoved = errors.New("the policy changed since the decision")

// Call is what one caller brings. All its entries commit in one group and stand
// side by side in the ledger. Exactly one of Publish, Entries and Build says
// what they are.
type Call struct {
	// From is the calling system; callers take turns.
	From string
	// Publish brings records.
	Publish *Publish
	// Entries brings entries that need nothing of the transaction.
	Entries []Entry
	// DecidedAt is the policy count that the call was decided at; 0 if no
	// decision stands behind it. Under any other count it is refused with
	// ErrPolicyMoved.
	DecidedAt uint64
	// Guards are what else the decision rests on, with the versions that it saw.
	Guards []Guard
	// Seen are the records that the call gives out. Where one of them stands otherwise
	// by now it is refused with ErrPolicyMoved: so who relies on a record does it
	// before the entry that ends or corrects it, and hears of that.
	Seen []Seen
	// Build runs inside the transaction, under a savepoint, and may read and
	// write there. Its error refuses this call alone. It may run more than once.
	Build func(ctx context.Context, tx store.Tx, slot Slot) ([]Entry, error)
	// ChangesPolicy counts this call as a change of policy.
	ChangesPolicy bool
	// ValidateOnly undoes what Build did, and writes nothing.
	ValidateOnly bool
}

// Seen is a record and how it stood when it was read.
type Seen struct {
	Topic   int64 // the topic's Number
	Token   []byte
	Status  exchangev1.Status
	Payload uint64 // entry of the version that held its payload
}

// SeenOf is how a record of a topic stands.
func SeenOf(topic int64, p *Present) Seen {
	return Seen{Topic: topic, Token: p.KeyToken, Status: p.Status, Payload: p.PayloadIndex}
}

// Slot is where Build's first entry will stand.
type Slot struct {
	Index uint64
	// At is the time of the first entry, µs UTC.
	At int64
	// Policy is the count in force once this call is committed.
	Policy uint64

	bumped *[]guardID
}

// Bump changes the version of a guard, if the call is committed.
func (s Slot) Bump(kind GuardKind, key []byte) {
	*s.bumped = append(*s.bumped, guardID{kind, string(key)})
}

// Entry is one line for the ledger with its opening.
type Entry struct {
	// Leaf without index and time; the journal fills them in.
	Leaf *ledgerv1.LedgerEntry
	// Opening is sealed beside the leaf; nil if nothing is to be opened.
	Opening *ledgerv1.ReadOpening
}

// Publish is a call that publishes records.
type Publish struct {
	Actor string
	// Provider is the topic's, where the exchange itself publishes; the actor's
	// participant if empty.
	Provider string
	// For is who asked for what the exchange itself erases; its erasures name it.
	For         string
	Certificate []byte
	// Statements is how many records the caller sent; Signature covers all.
	Statements int
	Signature  []byte
	Records    []*Record
	// Omitted are the statements that were refused before the journal.
	Omitted []*ledgerv1.OmittedStatement
	// Position is where the caller stands in its source; nil if it says nothing.
	Position *exchangev1.SourcePosition
	// ValidateOnly decides each record as it would be decided now, and writes
	// nothing.
	ValidateOnly bool
}

// Record is one checked publication.
type Record struct {
	// Place of the record in its call.
	Position uint32
	// Leaf without sequence and call; the journal fills them in.
	Leaf *ledgerv1.RecordPublished
	// Statement is the leaf hash of what the caller stated.
	Statement [32]byte

	KeyToken   []byte
	Tokens     []byte   // subject tokens, joined
	Sealed     []byte   // the sealed RecordOpening
	Documents  [][]byte // ids of the documents that belong to it
	HasPayload bool
	ValidFrom  int64
	ValidUntil int64
	// With writes, in the transaction of the record's entry, what goes with it; nil
	// if nothing does. It is not called for a repeat, and its error refuses the
	// record.
	With        With
	topicNumber int64
}

// With writes what goes with an entry of an index and a time, µs UTC.
type With func(ctx context.Context, tx store.Tx, index uint64, at int64) error

// Commit is what became of a call.
type Commit struct {
	// Index of the call's first entry.
	Index uint64
	At    int64
	// Leaves are the entries as stored.
	Leaves [][]byte
	// Proof proves them.
	Proof *exchangev1.RangeProof
	// Policy is the count in force.
	Policy uint64
	// Records answers each record of Publish.
	Records []Outcome
}

// Outcome is what became of one record.
type Outcome struct {
	// Err refuses the record.
	Err   error
	Index uint64
	At    int64
	Leaf  []byte
	// Repeat: the idempotency key was known; this is the first receipt.
	Repeat bool
}

// movesPolicy says whether what was decided before the call is to be decided
// anew: an erasure counts, so that nothing of the record leaves behind it.
func (c *Call) movesPolicy() bool {
	if c.Publish == nil {
		return c.ChangesPolicy
	}
	return slices.ContainsFunc(c.Publish.Records, func(r *Record) bool {
		return r.Leaf.GetOperation() == ledgerv1.Operation_OPERATION_ERASE
	})
}

func (c *Call) entries() int {
	switch {
	case c.Publish != nil:
		return len(c.Publish.Records)
	case c.Build != nil:
		return 2
	}
	return len(c.Entries)
}

func (c *Call) bytes() int {
	n := 512
	if c.Publish != nil {
		for _, r := range c.Publish.Records {
			n += len(r.Sealed) + 512
		}
	}
	return n + 512*len(c.Entries)
}
