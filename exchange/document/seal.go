package document

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/journal"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	domain  = "huitong/document/v1"
	keySize = 32
)

// newKey makes the key that a document's chunks are sealed by.
func newKey() ([]byte, error) {
	key := make([]byte, keySize)
	_, err := rand.Read(key)
	return key, err
}

// sealBody seals what stands in a document's row.
func sealBody(s journal.Sealer, origin string, d *ledgerv1.SealedDocument) ([]byte, error) {
	plain, err := proto.Marshal(d)
	if err != nil {
		return nil, err
	}
	return s.Seal(plain, associated(origin, d.GetDocument().GetId()))
}

// OpenBody opens the sealed body of a document's row.
func OpenBody(s journal.Sealer, origin string, id, body []byte) (*ledgerv1.SealedDocument, error) {
	plain, err := s.Open(body, associated(origin, id))
	if err != nil {
		return nil, err
	}
	d := &ledgerv1.SealedDocument{}
	return d, proto.Unmarshal(plain, d)
}

func associated(origin string, id []byte) []byte {
	b := append([]byte(domain), 0)
	b = append(append(b, origin...), 0)
	return append(b, id...)
}

// Chunks seals and opens the chunks of one document. What is sealed is bound to
// the ledger, the document and its place: it opens nowhere else.
type Chunks struct {
	aead *subtle.AESGCM
	data []byte
}

// NewChunks makes them of a document's opened body.
func NewChunks(origin string, d *ledgerv1.SealedDocument) (*Chunks, error) {
	aead, err := subtle.NewAESGCM(d.GetKey())
	return &Chunks{aead, associated(origin, d.GetDocument().GetId())}, err
}

func (c *Chunks) seal(number int64, plain []byte) ([]byte, error) {
	return c.aead.Encrypt(plain, c.at(number))
}

// Open opens a chunk as it is stored.
func (c *Chunks) Open(number int64, body []byte) ([]byte, error) {
	return c.aead.Decrypt(body, c.at(number))
}

func (c *Chunks) at(number int64) []byte {
	return binary.BigEndian.AppendUint64(c.data[:len(c.data):len(c.data)], uint64(number))
}
