package sdk

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Status is the status of a record by one of its versions.
type Status = exchangev1.Status

// The statuses.
const (
	Active     = exchangev1.Status_STATUS_ACTIVE
	Suspended  = exchangev1.Status_STATUS_SUSPENDED
	Revoked    = exchangev1.Status_STATUS_REVOKED
	Cancelled  = exchangev1.Status_STATUS_CANCELLED
	Superseded = exchangev1.Status_STATUS_SUPERSEDED
	Removed    = exchangev1.Status_STATUS_REMOVED
	Erased     = exchangev1.Status_STATUS_ERASED
)

// Record is one version of a record as it was released to this system: cut to
// the granted fields, and checked against what its publisher committed to.
type Record struct {
	// Index is the ledger index of the publication.
	Index     uint64
	Topic     string
	Operation Operation
	Status    Status
	// Version counts the record's versions from 1; 0 where it is no longer known
	// which this was (a notice, an erased record).
	Version         uint64
	Contract        string
	ContractVersion uint32
	// Payload is the granted fields as protobuf bytes; Unmarshal decodes it.
	Payload []byte
	// JSON is the same as protobuf-JSON, where it was asked for.
	JSON string
	// Withheld are the numbers of the fields that the grant does not cover,
	// ascending: withheld is not the same as empty.
	Withheld []uint32
	// Leaf is the publication's ledger entry, as stored.
	Leaf []byte
	// At is when the publication was committed, EffectiveAt from when it holds.
	At, EffectiveAt time.Time
	Reason          string
	// Notice says that a later version exists and comes too: this one has no
	// payload.
	Notice bool
	// Erased says that the payload was erased.
	Erased bool
	// Expired says that the record is past its last day of validity.
	Expired bool
	// Disputed says that some department disputes the record and its provider has
	// not answered yet; DisputedFields are the numbers of the fields in question,
	// none is the record as a whole. It may be used nonetheless.
	Disputed       bool
	DisputedFields []uint32
	// Key is the record key, where the grant covers it or there is no payload.
	Key       string
	Successor string
	// Token names the record opaquely within its topic; it is equal for all its
	// versions.
	Token []byte

	// Documents belong to this version; Client.DownloadDocument fetches them.
	Documents []*Document

	documentsSalt []byte
	// cut is there where a payload came.
	cut *ledgerv1.CutProof
}

// HasPayload says whether content came with this version: not with a
// revocation, a notice or an erased record.
func (r *Record) HasPayload() bool { return r.cut != nil }

// Unmarshal decodes the payload. Withheld fields stay unset: ask IsWithheld
// before reading an empty field as "has none".
func (r *Record) Unmarshal(m proto.Message) error {
	if r.cut == nil {
		return fault.New(fault.NotFound, "sdk.no_payload", "this version of the record has no payload")
	}
	if name := string(m.ProtoReflect().Descriptor().FullName()); name != r.Contract {
		return fault.New(fault.Invalid, "sdk.contract", "the record is of contract %s, not of %s", r.Contract, name)
	}
	if err := proto.Unmarshal(r.Payload, m); err != nil {
		return fault.Wrap(fault.Invalid, "sdk.payload", err, "the payload does not decode as %s", r.Contract)
	}
	return nil
}

// IsWithheld says whether the grant withholds the field with this number.
func (r *Record) IsWithheld(field uint32) bool {
	_, ok := slices.BinarySearch(r.Withheld, field)
	return ok
}

// As decodes the payload as a message of type M.
func As[M proto.Message](r *Record) (M, error) {
	var none M
	m := none.ProtoReflect().New().Interface().(M)
	if err := r.Unmarshal(m); err != nil {
		return none, err
	}
	return m, nil
}
