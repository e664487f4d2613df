package journal

import (
	"google.golang.org/protobuf/proto"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// SealRecord seals a record's opening. What is sealed is bound to the ledger,
// the topic and the record: it opens nowhere else.
func SealRecord(s Sealer, origin, topic string, keyToken []byte, opening *ledgerv1.RecordOpening) ([]byte, error) {
	plain, err := proto.Marshal(opening)
	if err != nil {
		return nil, err
	}
	return s.Seal(plain, recordData(origin, topic, keyToken))
}

// OpenRecord opens what SealRecord sealed.
func OpenRecord(s Sealer, origin, topic string, keyToken, sealed []byte) (*ledgerv1.RecordOpening, error) {
	plain, err := s.Open(sealed, recordData(origin, topic, keyToken))
	if err != nil {
		return nil, err
	}
	opening := &ledgerv1.RecordOpening{}
	return opening, proto.Unmarshal(plain, opening)
}

// SealEntry seals the opening of an entry that publishes no record.
func SealEntry(s Sealer, origin string, opening *ledgerv1.ReadOpening) ([]byte, error) {
	plain, err := proto.Marshal(opening)
	if err != nil {
		return nil, err
	}
	return s.Seal(plain, recordData(origin, "", nil))
}

// OpenEntry opens what SealEntry sealed.
func OpenEntry(s Sealer, origin string, sealed []byte) (*ledgerv1.ReadOpening, error) {
	plain, err := s.Open(sealed, recordData(origin, "", nil))
	if err != nil {
		return nil, err
	}
	opening := &ledgerv1.ReadOpening{}
	return opening, proto.Unmarshal(plain, opening)
}

func recordData(origin, topic string, keyToken []byte) []byte {
	b := make([]byte, 0, len(origin)+len(topic)+len(keyToken)+2)
	b = append(append(b, origin...), 0)
	b = append(append(b, topic...), 0)
	return append(b, keyToken...)
}
