package sdk

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Operation is what a publication does to a record.
type Operation = ledgerv1.Operation

// The operations.
const (
	// Put: the record is as the content says.
	Put = ledgerv1.Operation_OPERATION_PUT
	// Remove: the source no longer holds the record.
	Remove = ledgerv1.Operation_OPERATION_REMOVE
	// Suspend and Resume: the record is out of force for a while.
	Suspend = ledgerv1.Operation_OPERATION_SUSPEND
	Resume  = ledgerv1.Operation_OPERATION_RESUME
	// Revoke: the record was wrong or is withdrawn; needs a reason.
	Revoke = ledgerv1.Operation_OPERATION_REVOKE
	// Cancel: the record ended in the regular way; needs a reason.
	Cancel = ledgerv1.Operation_OPERATION_CANCEL
	// Supersede: another record took its place.
	Supersede = ledgerv1.Operation_OPERATION_SUPERSEDE
	// Erase: payloads and openings of all versions go for good; needs a reason.
	Erase = ledgerv1.Operation_OPERATION_ERASE
)

// Publication is one change of one record. A Put has content in exactly one of
// Message, Payload and JSON; every other operation has a Key.
type Publication struct {
	Topic     string
	Operation Operation // Put if 0

	Message proto.Message // of the topic's contract
	Payload []byte        // its bytes, as protobuf; kept as they are
	JSON    []byte        // protobuf-JSON, converted here by the contract's descriptor

	Key string
	// Reason is why. A Put that says why corrects the version before it: whoever
	// relied on the record hears.
	Reason    string
	Successor string // key of the record that takes this one's place

	// EffectiveAt is from when the change holds; from its entry if zero. It is
	// kept to the microsecond.
	EffectiveAt time.Time
	// SourceVersion is the source's own growing version, 0 if it has none; a
	// lower or equal one than the record's is refused as Stale.
	SourceVersion uint64
	// IfIndexPlusOne is a precondition; WithIfIndex and WithIfNew set it.
	IfIndexPlusOne uint64
	// IdempotencyKey is the same on every retry of this publication; made here
	// if zero.
	IdempotencyKey IdempotencyKey
	// ContractVersion is the contract version the content is written by; chosen
	// from the catalogue if 0.
	ContractVersion uint32
	// Source and Position say where this publication stands in its source; see
	// WithSourcePosition.
	Source   string
	Position []byte

	// Documents belong to this version of the record, in order; see
	// Client.UploadDocument and Client.Document.
	Documents []*Document

	// load is the full load that it is part of; nil if none.
	load *FullLoad
}

// PublishOption sets a field of a Publication.
type PublishOption func(*Publication)

// WithReason says why. A Put that says why corrects the version before it: whoever
// relied on the record hears.
func WithReason(reason string) PublishOption {
	return func(p *Publication) { p.Reason = reason }
}

// WithEffectiveAt says from when the change holds.
func WithEffectiveAt(t time.Time) PublishOption {
	return func(p *Publication) { p.EffectiveAt = t }
}

// WithSourceVersion gives the source's own growing version of the record. The
// exchange refuses a version that is not larger than the record's as Stale.
func WithSourceVersion(v uint64) PublishOption {
	return func(p *Publication) { p.SourceVersion = v }
}

// WithIfIndex lets the publication stand only if the record's present version
// has this ledger index; else it is refused as Conflict. No record has index 0:
// that is the ledger's own first entry.
func WithIfIndex(index uint64) PublishOption {
	return func(p *Publication) { p.IfIndexPlusOne = index + 1 }
}

// WithIfNew lets the publication stand only if there is no such record.
func WithIfNew() PublishOption {
	return func(p *Publication) { p.IfIndexPlusOne = 1 }
}

// WithIdempotencyKey gives the publication a key that outlives this process:
// publishing it again under the same key, even years later, changes nothing and
// returns the first receipt.
func WithIdempotencyKey(k IdempotencyKey) PublishOption {
	return func(p *Publication) { p.IdempotencyKey = k }
}

// WithContractVersion names the contract version the content is written by.
func WithContractVersion(v uint32) PublishOption {
	return func(p *Publication) { p.ContractVersion = v }
}

// WithSourcePosition stores where the publisher stands in its own source (a
// change-log offset, a file name and line) in the same transaction as the
// record. After a restart, Publisher.LastPosition gives it back: everything up
// to it was answered, nothing after it was. So the publisher sends such a call
// only when all calls before it are answered.
func WithSourcePosition(source string, position []byte) PublishOption {
	return func(p *Publication) { p.Source, p.Position = source, position }
}

// IdempotencyKey names one publication for good, within its system.
type IdempotencyKey [verify.KeySize]byte

// String gives the key in hexadecimal.
func (k IdempotencyKey) String() string { return hex.EncodeToString(k[:]) }

// NewIdempotencyKey makes a key: UUID version 7 (RFC 9562, section 5.7), so keys
// made one after the other sort so and the exchange's index grows at its end.
func NewIdempotencyKey() IdempotencyKey { return keys.next() }

var (
	keys    keySource
	secrets randomSource
)

// keySource makes keys that grow within the process: 48 bits of milliseconds,
// 12 bits that count within one, 62 random bits.
type keySource struct {
	mu     sync.Mutex
	last   uint64 // milliseconds<<12 | count
	random randomSource
}

func (s *keySource) next() (k IdempotencyKey) {
	s.mu.Lock()
	s.last = max(s.last+1, uint64(time.Now().UnixMilli())<<12)
	count := s.last
	s.mu.Unlock()
	binary.BigEndian.PutUint64(k[:8], count>>12<<16|0x7000|count&0xfff)
	copy(k[8:], s.random.take(8))
	k[8] = k[8]&0x3f | 0x80
	return k
}

// randomSource gives out random bytes, each once: one read of the system's
// source serves many.
type randomSource struct {
	mu   sync.Mutex
	room []byte
}

func (s *randomSource) take(n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.room) < n {
		s.room = make([]byte, 1024)
		_, _ = rand.Read(s.room) // never fails, by its documentation
	}
	b := s.room[:n:n]
	s.room = s.room[n:]
	return b
}
