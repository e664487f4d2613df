// Package release prepares what leaves the exchange: records cut to the fields
// that the reader may see, and the entry that says so, which is committed before
// anything is sent.
package release

import (
	"crypto/sha256"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Version is one version of a record, as the journal and the stream hold it.
type Version struct {
	Index    uint64
	Sequence uint64
	KeyToken []byte
	Leaf     []byte
	// Sealed is the sealed opening; nil if the record was erased.
	Sealed []byte
}

// Presence is the present version of a record; the zero value says that no such
// record is held any more.
type Presence struct {
	Held         bool
	Index        uint64
	PayloadIndex uint64
	Version      uint64
	Status       exchangev1.Status
	ValidUntil   int64
}

// View is how a reader may see a version.
type View struct {
	// Fields are the granted field numbers, ascending; nil grants all.
	Fields []uint32
	// JSON adds the payload as protobuf-JSON.
	JSON bool
	// Attempt and Sequence go into the release's detail.
	Attempt uint32
	// Current asks for the record's present status, rather than that which this
	// version gave it.
	Current bool
	// AboutOthers makes a notice of a version: the reader is told that it is no
	// longer about whom the reader is told of, and nothing of what it says.
	AboutOthers bool
}

// Contracts finds a topic's contract.
type Contracts interface {
	Contract(version uint32) (*contract.Contract, error)
}

// Cutter cuts versions of one ledger's records.
type Cutter struct {
	Sealer journal.Sealer
	Origin string
	Clock  func() time.Time
	// Marks knows which records are disputed; none if nil.
	Marks Marks
}

// Marks says whether a record of a topic is disputed, and which of its fields;
// none is the record as a whole.
type Marks interface {
	Disputed(topic string, keyToken []byte) (disputed bool, fields []uint32)
}

// Batch is a release being put together.
type Batch struct {
	Records []*exchangev1.ReleasedRecord
	Details [][]byte
	hashes  [][verify.HashSize]byte
}

// Root is the root over the batch's details.
func (b *Batch) Root() []byte {
	root := verify.Root(b.hashes)
	return root[:]
}

// DetailHash gives the leaf hash of the i-th detail; what a receiver
// acknowledges.
func (b *Batch) DetailHash(i int) [verify.HashSize]byte { return b.hashes[i] }

// Add cuts a version and adds it to the batch.
func (c *Cutter) Add(b *Batch, contracts Contracts, v *Version, present Presence, view View) error {
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(v.Leaf, &entry); err != nil {
		return fmt.Errorf("entry %d: %w", v.Index, err)
	}
	published := entry.GetPublished()
	if published == nil {
		return fmt.Errorf("entry %d is no publication", v.Index)
	}
	r := c.envelope(v, &entry, published, present, view)
	detail := &ledgerv1.ReleaseDetail{Index: v.Index, Sequence: v.Sequence, Attempt: view.Attempt}
	if err := c.fill(r, detail, contracts, v, published, present, view); err != nil {
		return err
	}
	if err := b.add(detail); err != nil {
		return err
	}
	b.Records = append(b.Records, r)
	return nil
}

// AddDocument adds a document of a publication, rather than the record.
func (b *Batch) AddDocument(index uint64, d *ledgerv1.Document) error {
	return b.add(&ledgerv1.ReleaseDetail{Index: index, PayloadDigest: d.GetSha256(), Document: d.GetId()})
}

func (b *Batch) add(detail *ledgerv1.ReleaseDetail) error {
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(detail)
	if err != nil {
		return err
	}
	b.Details = append(b.Details, bytes)
	b.hashes = append(b.hashes, verify.LeafHash(bytes))
	return nil
}

// envelope fills in what needs no opening.
func (c *Cutter) envelope(v *Version, entry *ledgerv1.LedgerEntry, p *ledgerv1.RecordPublished, present Presence, view View) *exchangev1.ReleasedRecord {
	effective := p.EffectiveAtUs
	if effective == 0 {
		effective = entry.AtUs
	}
	r := &exchangev1.ReleasedRecord{
		Index: v.Index, Topic: p.Topic, Operation: p.Operation, Status: StatusAfter(p.Operation),
		Contract: p.Contract, ContractVersion: p.ContractVersion, Leaf: v.Leaf, Record: v.KeyToken,
		At: timestamppb.New(time.UnixMicro(entry.AtUs)), EffectiveAt: timestamppb.New(time.UnixMicro(effective)),
	}
	if present.Held && (view.Current || present.Index == v.Index) {
		r.Status, r.Version = present.Status, present.Version
	}
	if c.Marks != nil && present.Held {
		r.Disputed, r.DisputedFields = c.Marks.Disputed(p.Topic, v.KeyToken)
	}
	return r
}

// fill opens the version and adds what the view allows. Only the present payload
// leaves; a version that a later one replaced comes as a notice.
func (c *Cutter) fill(r *exchangev1.ReleasedRecord, detail *ledgerv1.ReleaseDetail, contracts Contracts, v *Version, p *ledgerv1.RecordPublished, present Presence, view View) error {
	if v.Sealed == nil {
		r.Erased = true
		if p.Operation != ledgerv1.Operation_OPERATION_ERASE {
			r.Status = exchangev1.Status_STATUS_ERASED
		}
		return nil
	}
	if !present.Held {
		// Erased after this version went into the stream.
		r.Erased, r.Status = true, exchangev1.Status_STATUS_ERASED
		return nil
	}
	r.SupersededByLaterVersion = present.Index != v.Index && !(present.PayloadIndex == v.Index)
	opening, err := journal.OpenRecord(c.Sealer, c.Origin, p.Topic, v.KeyToken, v.Sealed)
	if err != nil {
		return fmt.Errorf("entry %d: %w", v.Index, err)
	}
	if r.AboutOthers = view.AboutOthers; !r.AboutOthers {
		r.Reason = opening.Reason
	}
	k, err := contracts.Contract(p.ContractVersion)
	if err != nil {
		return err
	}
	if p.Operation != ledgerv1.Operation_OPERATION_PUT || r.SupersededByLaterVersion || r.AboutOthers {
		if grants(view.Fields, k.KeyField()) {
			// The successor is a record's key too.
			r.Key, r.Successor = opening.Key, opening.Successor
		}
		return nil
	}
	return c.payload(r, detail, k, opening, present, view)
}

func (c *Cutter) payload(r *exchangev1.ReleasedRecord, detail *ledgerv1.ReleaseDetail, k *contract.Contract, opening *ledgerv1.RecordOpening, present Presence, view View) error {
	fields := view.Fields
	if fields == nil {
		fields = k.Fields()
	}
	layout := verify.Layout{Contract: k.Name(), Version: k.Version(), Fields: k.Fields()}
	cut, proof, err := layout.Cut(opening.Secret, opening.Payload, fields)
	if err != nil {
		return fmt.Errorf("entry %d: %w", r.Index, err)
	}
	r.Payload, r.Cut = cut, proof
	for i, part := range proof.SaltsOrHashes {
		if len(part) == verify.HashSize {
			r.Withheld = append(r.Withheld, proof.Fields[i])
		}
	}
	if grants(view.Fields, k.KeyField()) {
		r.Key = opening.Key
	}
	if len(opening.Documents) > 0 {
		salt := verify.Salt(verify.Document, 0, opening.Secret)
		r.Documents, r.DocumentsSalt = opening.Documents, salt[:]
	}
	r.Expired = present.ValidUntil < Today(c.Clock())
	if view.JSON {
		text, err := k.ToJSON(cut)
		if err != nil {
			return fmt.Errorf("entry %d: %w", r.Index, err)
		}
		r.Json = string(text)
	}
	digest := sha256.Sum256(cut)
	detail.PayloadDigest, detail.Withheld = digest[:], r.Withheld
	return nil
}

func grants(fields []uint32, field uint32) bool {
	if fields == nil {
		return true
	}
	for _, f := range fields {
		if f == field {
			return true
		}
	}
	return false
}

// shanghai is the zone of calendar dates: UTC+8 without daylight saving.
var shanghai = time.FixedZone("Asia/Shanghai", 8*3600)

// Today gives the calendar day in Asia/Shanghai, as days since 1970-01-01.
func Today(now time.Time) int64 {
	y, m, d := now.In(shanghai).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// StatusAfter gives the status that an operation gives a record.
func StatusAfter(op ledgerv1.Operation) exchangev1.Status {
	switch op {
	case ledgerv1.Operation_OPERATION_PUT, ledgerv1.Operation_OPERATION_RESUME:
		return exchangev1.Status_STATUS_ACTIVE
	case ledgerv1.Operation_OPERATION_REMOVE:
		return exchangev1.Status_STATUS_REMOVED
	case ledgerv1.Operation_OPERATION_SUSPEND:
		return exchangev1.Status_STATUS_SUSPENDED
	case ledgerv1.Operation_OPERATION_REVOKE:
		return exchangev1.Status_STATUS_REVOKED
	case ledgerv1.Operation_OPERATION_CANCEL:
		return exchangev1.Status_STATUS_CANCELLED
	case ledgerv1.Operation_OPERATION_SUPERSEDE:
		return exchangev1.Status_STATUS_SUPERSEDED
	case ledgerv1.Operation_OPERATION_ERASE:
		return exchangev1.Status_STATUS_ERASED
	}
	return exchangev1.Status_STATUS_UNSPECIFIED
}
