package journal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// What a check of the database needs to know of how the journal writes.

const groupSize = 16

// newGroup makes the id of a group: random, so that a lost COMMIT is told from
// another's, and bound to the checkpoint, so that a changed byte is found.
func newGroup(checkpoint []byte) ([]byte, error) {
	group := make([]byte, groupSize/2, groupSize)
	if _, err := rand.Read(group); err != nil {
		return nil, err
	}
	return append(group, groupSum(group, checkpoint)...), nil
}

func groupSum(random, checkpoint []byte) []byte {
	sum := sha256.Sum256(append(append([]byte("huitong/group/v1"), random...), checkpoint...))
	return sum[:groupSize/2]
}

// GroupFits says whether a head's group id belongs to its checkpoint.
func (h *Head) GroupFits() bool {
	return len(h.Group) == groupSize && bytes.Equal(h.Group[groupSize/2:], groupSum(h.Group[:groupSize/2], h.Checkpoint))
}

// sealEraser binds the row of an erase operation to its record's token. There is
// nothing left to seal, so what is sealed is empty; it stands where a
// publication's subject tokens are.
func sealEraser(s Sealer, origin, topic string, keyToken []byte) ([]byte, error) {
	return s.Seal(nil, recordData(origin, topic, keyToken))
}

// OpenEraser checks what sealEraser made.
func OpenEraser(s Sealer, origin, topic string, keyToken, sealed []byte) error {
	_, err := s.Open(sealed, recordData(origin, topic, keyToken))
	return err
}

// Standing is a record's present version, derived from its publications.
type Standing struct {
	PayloadIndex  uint64
	Version       uint64
	Status        exchangev1.Status
	SourceVersion uint64
	ValidFrom     int64
	ValidUntil    int64
	state         state
}

// Apply moves the standing by the next publication of the record, which stands
// at an index, by the rules that the journal itself follows. The days of
// validity are those of its payload.
func (s *Standing) Apply(p *ledgerv1.RecordPublished, index uint64, validFrom, validUntil int64) error {
	if err := s.state.apply(&Record{Leaf: p, ValidFrom: validFrom, ValidUntil: validUntil}, int64(index)); err != nil {
		return err
	}
	s.PayloadIndex, s.Version, s.Status = uint64(s.state.payloadIdx), uint64(s.state.version), s.state.status
	s.SourceVersion, s.ValidFrom, s.ValidUntil = uint64(s.state.sourceVersion), s.state.validFrom, s.state.validUntil
	return nil
}
