package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
	"golang.org/x/mod/sumdb/note"
)

// What a token stands for; tokens of different kinds never meet.
const (
	// TokenRecord is of topic and record key.
	TokenRecord byte = 'k'
	// TokenSubject is of type and number.
	TokenSubject byte = 's'
	// TokenCase is of participant and case number.
	TokenCase byte = 'c'
	// TokenPerson is of participant and staff reference.
	TokenPerson byte = 'p'
	// TokenConsent is of a subject's type and number and of a recipient.
	TokenConsent byte = 'n'
	// TokenPage protects page tokens.
	TokenPage byte = 'g'
	// TokenAsked is of participant, case number, subject, topic and check.
	TokenAsked byte = 'a'
)

// TokenSize is the size of a token: one byte for its key, 16 of the HMAC.
const TokenSize = 17

// Keyring holds the exchange's own keys. It is safe for concurrent use.
//
// Sealing is AES-256-GCM with random nonces: rotate the key before it has
// sealed 2^32 openings (NIST SP 800-38D, section 8.3).
type Keyring struct {
	file     keyringFile
	signer   note.Signer
	verifier string
	sealing  *keyset.Handle
	aead     tink.AEAD
	tokenID  byte
	macs     sync.Pool
}

// keyringFile is the keyring as it stands in its file.
type keyringFile struct {
	// Checkpoint is the C2SP signing key.
	Checkpoint string `json:"checkpoint"`
	// Sealing is a Tink AEAD keyset; new seals are by its primary key.
	Sealing json.RawMessage `json:"sealing"`
	// Tokens are HMAC-SHA-256 keys; new tokens are by the last.
	Tokens []tokenKey `json:"tokens"`
}

type tokenKey struct {
	ID  byte   `json:"id"`
	Key []byte `json:"key"`
}

// newKeyring makes the keys of a new ledger.
func newKeyring(origin string) (*Keyring, error) {
	f := keyringFile{Tokens: []tokenKey{{ID: 1, Key: make([]byte, 32)}}}
	if _, err := rand.Read(f.Tokens[0].Key); err != nil {
		return nil, err
	}
	var err error
	if f.Checkpoint, _, err = note.GenerateKey(rand.Reader, origin); err != nil {
		return nil, err
	}
	sealing, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	if f.Sealing, err = encodeKeyset(sealing); err != nil {
		return nil, err
	}
	return openKeyring(f)
}

func parseKeyring(raw []byte) (*Keyring, error) {
	var f keyringFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, errors.New("the keyring is not readable JSON")
	}
	return openKeyring(f)
}

func openKeyring(f keyringFile) (*Keyring, error) {
	k := &Keyring{file: f}
	var err error
	if k.signer, err = note.NewSigner(f.Checkpoint); err != nil {
		return nil, errors.New("the keyring's checkpoint key is not a C2SP signing key")
	}
	if k.verifier, err = verifierKey(f.Checkpoint); err != nil {
		return nil, err
	}
	if k.sealing, err = insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(f.Sealing))); err != nil {
		return nil, errors.New("the keyring's sealing keys are not a Tink keyset")
	}
	if k.aead, err = aead.New(k.sealing); err != nil {
		return nil, fmt.Errorf("the keyring's sealing keys: %w", err)
	}
	if len(f.Tokens) == 0 {
		return nil, errors.New("the keyring has no token key")
	}
	last := f.Tokens[len(f.Tokens)-1]
	if len(last.Key) < 32 {
		return nil, errors.New("the keyring's token key is shorter than 32 bytes")
	}
	k.tokenID = last.ID
	k.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, last.Key)} }
	return k, nil
}

// verifierKey derives the public C2SP key of a signing key; what golang.org/x/mod
// gives only on generation.
func verifierKey(signing string) (string, error) {
	parts := strings.SplitN(signing, "+", 5)
	if len(parts) != 5 {
		return "", errors.New("the keyring's checkpoint key has not five parts")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", errors.New("the keyring's checkpoint key is not an Ed25519 key")
	}
	public := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	return note.NewEd25519VerifierKey(parts[2], public)
}

func encodeKeyset(h *keyset.Handle) ([]byte, error) {
	var b bytes.Buffer
	err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&b))
	return b.Bytes(), err
}

func (k *Keyring) encode() ([]byte, error) {
	return json.MarshalIndent(k.file, "", "  ")
}

// rotateSealing gives a keyring whose new seals are by a new key; what was
// sealed before still opens.
func (k *Keyring) rotateSealing() (*Keyring, error) {
	m := keyset.NewManagerFromHandle(k.sealing)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, err
	}
	h, err := m.Handle()
	if err != nil {
		return nil, err
	}
	f := k.file
	if f.Sealing, err = encodeKeyset(h); err != nil {
		return nil, err
	}
	return openKeyring(f)
}

// Signer signs checkpoints; its name is the ledger's origin.
func (k *Keyring) Signer() note.Signer { return k.signer }

// VerifierKey is the key that checkpoints verify by, a C2SP vkey.
func (k *Keyring) VerifierKey() string { return k.verifier }

// Origin is the ledger's origin.
func (k *Keyring) Origin() string { return k.signer.Name() }

// Seal encrypts; the result opens only with the same associated data.
func (k *Keyring) Seal(plaintext, associated []byte) ([]byte, error) {
	return k.aead.Encrypt(plaintext, associated)
}

// Open decrypts what Seal made, by whichever of the keys made it.
func (k *Keyring) Open(sealed, associated []byte) ([]byte, error) {
	return k.aead.Decrypt(sealed, associated)
}

// mac is a keyed hash with room for its input, reused between tokens.
type mac struct {
	hash hash.Hash
	in   []byte
	sum  [sha256.Size]byte
}

// Token gives the name by which the database knows a value that it must not
// hold: the key's id, then 16 bytes of HMAC-SHA-256 over kind and parts, each
// part with its length before it.
func (k *Keyring) Token(kind byte, parts ...string) []byte {
	m := k.macs.Get().(*mac)
	m.in = append(m.in[:0], kind)
	for _, p := range parts {
		m.in = binary.BigEndian.AppendUint32(m.in, uint32(len(p)))
		m.in = append(m.in, p...)
	}
	m.hash.Reset()
	m.hash.Write(m.in)
	token := make([]byte, TokenSize)
	token[0] = k.tokenID
	copy(token[1:], m.hash.Sum(m.sum[:0]))
	clear(m.in)
	k.macs.Put(m)
	return token
}
