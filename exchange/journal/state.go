package journal

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Number gives the number by which the hot tables know a topic or a system:
// eight bytes of its name's SHA-256, so that no allocation has to be agreed on.
func Number(name string) int64 {
	h := sha256.Sum256([]byte(name))
	return int64(binary.BigEndian.Uint64(h[:8]) >> 1)
}

// state is the present version of a record, a row of records.
type state struct {
	exists        bool
	idx           int64
	payloadIdx    int64
	version       int64
	status        exchangev1.Status
	sourceVersion int64
	validFrom     int64
	validUntil    int64
	erased        bool
	touched       bool
}

type move struct {
	// from lists the statuses that allow the operation.
	from []exchangev1.Status
	to   exchangev1.Status
}

// moves is what each operation but PUT does to a record's status.
var moves = map[ledgerv1.Operation]move{
	ledgerv1.Operation_OPERATION_REMOVE:    {not(exchangev1.Status_STATUS_REMOVED), exchangev1.Status_STATUS_REMOVED},
	ledgerv1.Operation_OPERATION_SUSPEND:   {only(exchangev1.Status_STATUS_ACTIVE), exchangev1.Status_STATUS_SUSPENDED},
	ledgerv1.Operation_OPERATION_RESUME:    {only(exchangev1.Status_STATUS_SUSPENDED), exchangev1.Status_STATUS_ACTIVE},
	ledgerv1.Operation_OPERATION_REVOKE:    {only(exchangev1.Status_STATUS_ACTIVE, exchangev1.Status_STATUS_SUSPENDED), exchangev1.Status_STATUS_REVOKED},
	ledgerv1.Operation_OPERATION_CANCEL:    {only(exchangev1.Status_STATUS_ACTIVE, exchangev1.Status_STATUS_SUSPENDED), exchangev1.Status_STATUS_CANCELLED},
	ledgerv1.Operation_OPERATION_SUPERSEDE: {only(exchangev1.Status_STATUS_ACTIVE, exchangev1.Status_STATUS_SUSPENDED), exchangev1.Status_STATUS_SUPERSEDED},
	ledgerv1.Operation_OPERATION_ERASE:     {not(), exchangev1.Status_STATUS_ERASED},
}

func only(s ...exchangev1.Status) []exchangev1.Status { return s }

func not(excluded ...exchangev1.Status) []exchangev1.Status {
	var kept []exchangev1.Status
	for n := range exchangev1.Status_name {
		s := exchangev1.Status(n)
		if s != exchangev1.Status_STATUS_UNSPECIFIED && (len(excluded) == 0 || s != excluded[0]) {
			kept = append(kept, s)
		}
	}
	return kept
}

// ended holds the statuses after which a record takes no new content: what
// replaces it is another record.
var ended = map[exchangev1.Status]bool{
	exchangev1.Status_STATUS_REVOKED:    true,
	exchangev1.Status_STATUS_CANCELLED:  true,
	exchangev1.Status_STATUS_SUPERSEDED: true,
}

// apply moves the state by one publication that will stand at idx, or refuses.
func (s *state) apply(r *Record, idx int64) error {
	if err := s.precondition(r.Leaf); err != nil {
		return err
	}
	if r.Leaf.Operation == ledgerv1.Operation_OPERATION_PUT {
		if s.exists && ended[s.status] {
			return fault.New(fault.Conflict, "record.ended",
				"the record is %s and takes no new content; publish its replacement under a key of its own", statusWord(s.status))
		}
		s.status, s.payloadIdx = exchangev1.Status_STATUS_ACTIVE, idx
		s.validFrom, s.validUntil = r.ValidFrom, r.ValidUntil
	} else if err := s.operate(r.Leaf.Operation); err != nil {
		return err
	}
	s.exists, s.touched = true, true
	s.idx = idx
	s.version++
	s.sourceVersion = max(s.sourceVersion, int64(r.Leaf.SourceVersion))
	return nil
}

func (s *state) operate(op ledgerv1.Operation) error {
	m, ok := moves[op]
	if !ok {
		return fault.Field("operation", "operation.unknown", "is none that the exchange knows")
	}
	if !s.exists {
		return fault.New(fault.NotFound, "record.unknown", "no record of that key is held on the topic")
	}
	for _, from := range m.from {
		if s.status == from {
			s.status = m.to
			s.erased = op == ledgerv1.Operation_OPERATION_ERASE
			return nil
		}
	}
	if s.status == m.to {
		return fault.New(fault.Conflict, "record.status", "the record is %s already; nothing is changed", statusWord(s.status))
	}
	return fault.New(fault.Conflict, "record.status", "a record that is %s cannot become %s", statusWord(s.status), statusWord(m.to))
}

func (s *state) precondition(p *ledgerv1.RecordPublished) error {
	if want := p.IfIndexPlusOne; want != 0 {
		switch {
		case want == 1 && s.exists:
			return fault.New(fault.Conflict, "if_index", "a record of that key exists, at index %d", s.idx)
		case want > 1 && (!s.exists || s.idx != int64(want-1)):
			return fault.New(fault.Conflict, "if_index", "the record's present version is not at index %d", want-1)
		}
	}
	if p.SourceVersion != 0 && s.exists && int64(p.SourceVersion) <= s.sourceVersion {
		return fault.New(fault.Stale, "source_version", "source version %d is not larger than the record's %d", p.SourceVersion, s.sourceVersion)
	}
	return nil
}

func statusWord(s exchangev1.Status) string {
	switch s {
	case exchangev1.Status_STATUS_ACTIVE:
		return "active"
	case exchangev1.Status_STATUS_SUSPENDED:
		return "suspended"
	case exchangev1.Status_STATUS_REVOKED:
		return "revoked"
	case exchangev1.Status_STATUS_CANCELLED:
		return "cancelled"
	case exchangev1.Status_STATUS_SUPERSEDED:
		return "superseded"
	case exchangev1.Status_STATUS_REMOVED:
		return "removed"
	case exchangev1.Status_STATUS_ERASED:
		return "erased"
	}
	return "unknown"
}
