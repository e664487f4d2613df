package verify

import (
	"bytes"
	"encoding/binary"
	"errors"

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

// CommitDocuments commits to the documents of a publication; nil where there are
// none.
func CommitDocuments(secret []byte, documents []*ledgerv1.Document) []byte {
	if len(documents) == 0 {
		return nil
	}
	return commitDocuments(Salt(Document, 0, secret), documents)
}

func commitDocuments(salt [SaltSize]byte, documents []*ledgerv1.Document) []byte {
	hashes := make([][HashSize]byte, len(documents))
	for i, d := range documents {
		hashes[i] = LeafHash(DocumentBytes(d))
	}
	root := Root(hashes)
	c := CommitWith(Document, 0, salt, root[:])
	return c[:]
}

// CheckDocuments checks documents, with the salt that was disclosed, against what
// a publication commits to.
func CheckDocuments(salt []byte, documents []*ledgerv1.Document, commitment []byte) error {
	if len(documents) == 0 && len(commitment) == 0 {
		return nil
	}
	if len(salt) != SaltSize || len(documents) == 0 || !bytes.Equal(commitment, commitDocuments([SaltSize]byte(salt), documents)) {
		return errors.New("verify: the documents are not those that the publication commits to")
	}
	return nil
}
