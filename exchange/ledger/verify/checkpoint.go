package verify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoint says how large a ledger is and what its root hash is.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [HashSize]byte
}

// Text gives the body of the checkpoint's note (C2SP tlog-checkpoint).
func (c *Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// ParseCheckpoint reads the body of a checkpoint's note. Extension lines are
// passed over.
func ParseCheckpoint(text string) (*Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 || lines[0] == "" {
		return nil, errors.New("checkpoint: origin, size and root are needed, a line each")
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return nil, errors.New("checkpoint: the size is not a decimal number")
	}
	root, ok := decode(lines[2])
	if !ok || len(root) != HashSize {
		return nil, errors.New("checkpoint: the root is not 32 bytes in base64")
	}
	return &Checkpoint{Origin: lines[0], Size: size, Root: [HashSize]byte(root)}, nil
}

// SignCheckpoint gives the checkpoint as a signed note.
func SignCheckpoint(c *Checkpoint, signers ...note.Signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: c.Text()}, signers...)
}

// CheckpointVerifier opens checkpoints of one log.
type CheckpointVerifier struct {
	origin   string
	verifier note.Verifier
}

// NewCheckpointVerifier makes a verifier from the log's key, a C2SP vkey; the
// key's name is the log's origin.
func NewCheckpointVerifier(vkey string) (*CheckpointVerifier, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("verifier key: %w", err)
	}
	return &CheckpointVerifier{origin: v.Name(), verifier: v}, nil
}

// Origin names the log.
func (v *CheckpointVerifier) Origin() string { return v.origin }

// Open checks the signature and the origin of a checkpoint.
func (v *CheckpointVerifier) Open(signed []byte) (*Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(v.verifier))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	for _, s := range n.Sigs {
		// One signature has one spelling, so that no changed byte goes unseen.
		if _, ok := decode(s.Base64); !ok {
			return nil, errors.New("checkpoint: the signature is not in the base64 of its bytes")
		}
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return nil, err
	}
	if c.Origin != v.origin {
		return nil, fmt.Errorf("checkpoint: of log %q, not of %q", c.Origin, v.origin)
	}
	return c, nil
}

// decode reads the one spelling of some bytes in base64: the decoder passes over
// line ends.
func decode(text string) ([]byte, bool) {
	raw, err := base64.StdEncoding.DecodeString(text)
	return raw, err == nil && base64.StdEncoding.EncodeToString(raw) == text
}
