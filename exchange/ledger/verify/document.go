package verify

import (
	"encoding/binary"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// DocumentIDSize is the size of a document's id.
const DocumentIDSize = 16

// DocumentBytes gives the bytes that stand for a document where it is committed
// to: its id, its size, its SHA-256, and what it is.
func DocumentBytes(d *ledgerv1.Document) []byte {
	b := make([]byte, 0, 128)
	b = appendFixed(b, d.GetId(), DocumentIDSize)
	b = binary.BigEndian.AppendUint64(b, d.GetSize())
	b = appendFixed(b, d.GetSha256(), HashSize)
	b = appendText(b, d.GetMediaType())
	return appendText(b, d.GetTitle())
}

// CommitDocument commits to one document.
func CommitDocument(secret []byte, d *ledgerv1.Document) []byte {
	return CheckedDocument(Salt(Document, 0, secret), d)
}

// CheckedDocument makes the commitment to one document from a salt that was
// disclosed.
func CheckedDocument(salt [SaltSize]byte, d *ledgerv1.Document) []byte {
	c := CommitWith(Document, 0, salt, DocumentBytes(d))
	return c[:]
}
