package verify

import (
	"crypto/sha256"
	"encoding/binary"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Kind says what a commitment is to.
type Kind byte

// The kinds of commitment.
const (
	Field     Kind = 'f'
	Key       Kind = 'k'
	Subject   Kind = 's'
	Reason    Kind = 'r'
	Successor Kind = 'x'
	Person    Kind = 'p'
	Case      Kind = 'c'
	Question  Kind = 'q'
	// Consent is to the SHA-256 of a consent's artefact.
	Consent Kind = 'n'
	// Answer is to the answer of a check.
	Answer Kind = 'a'
	// Details is to the root over the details of what a check looked at.
	Details Kind = 'd'
	// Proof is to the SHA-256 of the proof of a representation.
	Proof Kind = 'o'
	// Document is to one document, or to the root over those of a publication.
	Document Kind = 'm'
)

// SecretSize is the size of the secret from which an entry's salts derive.
const SecretSize = 32

// SaltSize is the size of a salt.
const SaltSize = 16

// HashSize is the size of every hash here.
const HashSize = sha256.Size

const saltDomain = "huitong/salt/v1"

// Salt derives one salt of an entry.
func Salt(kind Kind, n uint32, secret []byte) [SaltSize]byte {
	// 52 bytes: one block of SHA-256.
	var b [len(saltDomain) + 5 + SecretSize]byte
	copy(b[:], saltDomain)
	b[len(saltDomain)] = byte(kind)
	binary.BigEndian.PutUint32(b[len(saltDomain)+1:], n)
	copy(b[len(saltDomain)+5:], secret)
	h := sha256.Sum256(b[:])
	return [SaltSize]byte(h[:SaltSize])
}

// Commit makes a salted commitment.
func Commit(kind Kind, n uint32, secret, value []byte) [HashSize]byte {
	return CommitWith(kind, n, Salt(kind, n, secret), value)
}

// CommitWith makes a commitment from a salt that was disclosed.
func CommitWith(kind Kind, n uint32, salt [SaltSize]byte, value []byte) [HashSize]byte {
	var small [256]byte
	b := append(small[:0], byte(kind))
	b = binary.BigEndian.AppendUint32(b, n)
	b = append(b, salt[:]...)
	if len(value) <= len(small)-len(b) {
		return sha256.Sum256(append(b, value...))
	}
	h := sha256.New()
	h.Write(b)
	h.Write(value)
	return [HashSize]byte(h.Sum(nil))
}

// CommitText is Commit for text; nil where the text is empty, for there is
// nothing to commit to.
func CommitText(kind Kind, n uint32, secret []byte, value string) []byte {
	if value == "" {
		return nil
	}
	c := Commit(kind, n, secret, []byte(value))
	return c[:]
}

// CommitDetails commits to the RFC 6962 root over marshalled details.
func CommitDetails(secret []byte, details [][]byte) []byte {
	root := rootOf(details)
	c := Commit(Details, 0, secret, root[:])
	return c[:]
}

func rootOf(leaves [][]byte) [HashSize]byte {
	hashes := make([][HashSize]byte, len(leaves))
	for i, l := range leaves {
		hashes[i] = LeafHash(l)
	}
	return Root(hashes)
}

// CommitSubject commits to the n-th subject of a record.
func CommitSubject(kind Kind, n uint32, secret []byte, s *ledgerv1.Subject) [HashSize]byte {
	return Commit(kind, n, secret, subjectBytes(s))
}

func subjectBytes(s *ledgerv1.Subject) []byte {
	b := make([]byte, 0, 64)
	b = appendText(b, s.GetType())
	b = appendText(b, s.GetNumber())
	return appendText(b, s.GetRole())
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}
