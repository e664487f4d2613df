package cli

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
)

// sourcePosition is how far a file is published, as the exchange keeps it with
// the records themselves. Every line up to it is answered, and its refusal, if
// that was the answer, is in the file of rejects.
type sourcePosition struct {
	// Run is new for each file that is published from its beginning.
	Run    []byte `json:"run"`
	Line   int64  `json:"line"`
	Offset int64  `json:"offset"`
	// Digest is the SHA-256 of the file up to Offset: another file under the
	// same name is not taken for this one.
	Digest []byte `json:"digest"`
}

func newPosition() *sourcePosition {
	run := make([]byte, 16)
	_, _ = rand.Read(run) // never fails, by its documentation
	none := sha256.Sum256(nil)
	return &sourcePosition{Run: run, Digest: none[:]}
}

func (p *sourcePosition) encode() []byte {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // numbers and bytes always encode
	}
	return text
}

// at gives the position of the same run at a place in the file.
func (p *sourcePosition) at(m *mark) *sourcePosition {
	return &sourcePosition{Run: p.Run, Line: m.line, Offset: m.offset, Digest: m.digest}
}

func parsePosition(text []byte) (*sourcePosition, error) {
	p := &sourcePosition{}
	if err := json.Unmarshal(text, p); err != nil || len(p.Run) != 16 || len(p.Digest) != sha256.Size || p.Line < 0 || p.Offset < p.Line {
		return nil, advise(fault.New(fault.Conflict, "source.position", "the source's position was not stored by this command"),
			"name another source with --source, or begin anew with --restart")
	}
	return p, nil
}

// key names the publication of a line for good: where it is not known whether a
// line was published, it is published again under the same key, and that changes
// nothing.
func (p *sourcePosition) key(number int64) sdk.IdempotencyKey {
	b := append([]byte("huitong/publish/"), p.Run...)
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(number)))
	return sdk.IdempotencyKey(sum[:16])
}

// sourceName names a file as a source of a topic.
func sourceName(topic, file string) string {
	name := topic + ":" + file
	if len(name) <= 128 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "file:" + hex.EncodeToString(sum[:])
}

// lastPosition gives where a source stands; nil if it never was published.
func lastPosition(ctx context.Context, c *sdk.Client, source string) (*sourcePosition, error) {
	text, found, err := c.LastPosition(ctx, source)
	if err != nil || !found {
		return nil, err
	}
	return parsePosition(text)
}
