package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/huitong-bus/huitong/exchange/ledger"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const origin = "huitong/test/00"

// log is a signed tree over short leaves.
type log struct {
	vkey   string
	leaves [][verify.HashSize]byte
	proof  *exchangev1.RangeProof
}

// newLog proves leaves [from, until) of a tree of size.
func newLog(t testing.TB, size, from, until int) *log {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	l := &log{vkey: vkey}
	growth, err := ledger.Grow(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	var left [][]byte
	for i := range size {
		if i == from {
			left = growth.Left()
		}
		l.leaves = append(l.leaves, verify.LeafHash([]byte{byte(i), byte(i >> 8)}))
		if err := growth.Append(l.leaves[i]); err != nil {
			t.Fatal(err)
		}
	}
	right, err := growth.Right(uint64(until))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := verify.SignCheckpoint(&verify.Checkpoint{Origin: origin, Size: uint64(size), Root: verify.Root(l.leaves)}, signer)
	if err != nil {
		t.Fatal(err)
	}
	l.proof = &exchangev1.RangeProof{First: uint64(from), Left: left, Right: right, Checkpoint: string(signed)}
	return l
}

func (l *log) verifier(t testing.TB) *verify.CheckpointVerifier {
	t.Helper()
	v, err := verify.NewCheckpointVerifier(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestRootIsThatOfOtherTools compares the root with golang.org/x/mod/sumdb/tlog,
// which knows nothing of this code.
func TestRootIsThatOfOtherTools(t *testing.T) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, n := range indexes {
			hashes[i] = stored[n]
		}
		return hashes, nil
	})
	var leaves [][verify.HashSize]byte
	for n := range int64(300) {
		root, err := tlog.TreeHash(n, reader)
		if n > 0 && (err != nil || root != tlog.Hash(verify.Root(leaves))) {
			t.Fatalf("root of %d leaves: %v", n, err)
		}
		data := []byte{byte(n), byte(n >> 8)}
		more, err := tlog.StoredHashes(n, data, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		leaves = append(leaves, verify.LeafHash(data))
	}
}

func TestRangeProofs(t *testing.T) {
	for _, size := range []int{1, 2, 3, 7, 8, 9, 64, 100} {
		for from := 0; from < size; from++ {
			for until := from; until <= size; until++ {
				l := newLog(t, size, from, until)
				if _, err := verify.CheckRange(l.proof, l.leaves[from:until], l.verifier(t)); err != nil {
					t.Fatalf("[%d, %d) of %d: %v", from, until, size, err)
				}
				until += max(size/16, 0)
			}
			from += max(size/16, 0)
		}
	}
}

func TestWrongRangeProofsAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(l *log){
		"another leaf":         func(l *log) { l.leaves[11][0]++ },
		"another place":        func(l *log) { l.proof.First++ },
		"far place":            func(l *log) { l.proof.First = 1 << 63 },
		"place that overflows": func(l *log) { l.proof.First = 1<<64 - 2 },
		"hash on the left":     func(l *log) { l.proof.Left[0][3]++ },
		"hash on the right":    func(l *log) { l.proof.Right[0][3]++ },
		"short hash":           func(l *log) { l.proof.Left[0] = l.proof.Left[0][:31] },
		"empty hash":           func(l *log) { l.proof.Right[0] = nil },
		"hash too many":        func(l *log) { l.proof.Left = append(l.proof.Left, l.proof.Left[0]) },
		"hash missing":         func(l *log) { l.proof.Right = l.proof.Right[1:] },
		"size":                 func(l *log) { l.proof.Checkpoint = strings.Replace(l.proof.Checkpoint, "\n50\n", "\n51\n", 1) },
		"origin":               func(l *log) { l.proof.Checkpoint = strings.Replace(l.proof.Checkpoint, origin, "other", 1) },
		"no checkpoint":        func(l *log) { l.proof.Checkpoint = "" },
		"key of another log":   func(l *log) { l.vkey = newLog(t, 1, 0, 1).vkey },
	} {
		l := newLog(t, 50, 10, 20)
		spoil(l)
		if _, err := verify.CheckRange(l.proof, l.leaves[10:20], l.verifier(t)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// record is a payload with a repeated field in two runs, an unset and an empty
// field.
func record() (verify.Layout, []byte) {
	p := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "李雷")
	p = protowire.AppendVarint(protowire.AppendTag(p, 4, protowire.VarintType), 7)
	p = protowire.AppendString(protowire.AppendTag(p, 1, protowire.BytesType), "韩梅梅")
	p = protowire.AppendString(protowire.AppendTag(p, 6, protowire.BytesType), "")
	return verify.Layout{Contract: "example.v1.Record", Version: 3, Fields: []uint32{1, 2, 4, 6, 200}}, p
}

// TestACutRecordProvesItself cuts to every subset of the fields.
func TestACutRecordProvesItself(t *testing.T) {
	layout, payload := record()
	commitment, err := layout.Commitment(secret, payload)
	if err != nil {
		t.Fatal(err)
	}
	for subset := range 1 << len(layout.Fields) {
		var granted, withheld []uint32
		for i, n := range layout.Fields {
			if subset&(1<<i) != 0 {
				granted = append(granted, n)
			} else {
				withheld = append(withheld, n)
			}
		}
		cut, proof, err := layout.Cut(secret, payload, granted)
		if err != nil {
			t.Fatal(err)
		}
		told, err := verify.CheckCut(layout.Contract, layout.Version, cut, proof, commitment[:])
		if err != nil || !slices.Equal(told, withheld) {
			t.Fatalf("granted %v: withheld %v, %v", granted, told, err)
		}
		if bytes.Contains(cut, []byte("李雷")) != slices.Contains(granted, 1) {
			t.Fatalf("granted %v: %q left", granted, cut)
		}
		if len(cut) > 0 {
			cut[len(cut)-1] ^= 1
			if _, err := verify.CheckCut(layout.Contract, layout.Version, cut, proof, commitment[:]); err == nil {
				t.Fatalf("granted %v: a changed byte was accepted", granted)
			}
		}
	}
}

func TestWrongCutsAreRefused(t *testing.T) {
	layout, payload := record()
	commitment, err := layout.Commitment(secret, payload)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(cut *[]byte, p *ledgerv1.CutProof){
		"a field taken away":      func(cut *[]byte, _ *ledgerv1.CutProof) { *cut = nil },
		"a withheld field shown":  func(cut *[]byte, _ *ledgerv1.CutProof) { *cut = payload },
		"an unknown field":        func(cut *[]byte, _ *ledgerv1.CutProof) { *cut = append(*cut, 0x18, 0x01) },
		"a truncated field":       func(cut *[]byte, _ *ledgerv1.CutProof) { *cut = (*cut)[:len(*cut)-1] },
		"another salt":            func(_ *[]byte, p *ledgerv1.CutProof) { p.SaltsOrHashes[0][0] ^= 1 },
		"another hash":            func(_ *[]byte, p *ledgerv1.CutProof) { p.SaltsOrHashes[2][0] ^= 1 },
		"a salt of another size":  func(_ *[]byte, p *ledgerv1.CutProof) { p.SaltsOrHashes[0] = p.SaltsOrHashes[0][:8] },
		"fewer fields":            func(_ *[]byte, p *ledgerv1.CutProof) { p.Fields = p.Fields[:3] },
		"fields in another order": func(_ *[]byte, p *ledgerv1.CutProof) { p.Fields = []uint32{2, 1, 4, 6, 200} },
	} {
		cut, proof, err := layout.Cut(secret, payload, []uint32{1})
		if err != nil {
			t.Fatal(err)
		}
		proof.Fields = slices.Clone(proof.Fields)
		spoil(&cut, proof)
		if _, err := verify.CheckCut(layout.Contract, layout.Version, cut, proof, commitment[:]); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestSignatures(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{edwards, p256, p384} {
		signature, err := verify.Sign(key, []byte("statement"))
		if err != nil {
			t.Fatal(err)
		}
		if err := verify.CheckSignature(key.Public(), []byte("statement"), signature); err != nil {
			t.Errorf("%T: %v", key, err)
		}
		if verify.CheckSignature(key.Public(), []byte("statemenu"), signature) == nil {
			t.Errorf("%T: a signature over another statement was accepted", key)
		}
		signature[len(signature)-1] ^= 1
		if verify.CheckSignature(key.Public(), []byte("statement"), signature) == nil {
			t.Errorf("%T: a changed signature was accepted", key)
		}
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Sign(other, nil); err == nil {
		t.Error("an RSA key signed")
	}
	if verify.CheckSignature(other.Public(), nil, nil) == nil {
		t.Error("an RSA key's signature was accepted")
	}
}

func FuzzCheckRange(f *testing.F) {
	l := newLog(f, 50, 10, 20)
	f.Add(uint64(10), bytes.Join(l.proof.Left, nil), bytes.Join(l.proof.Right, nil), 32, l.proof.Checkpoint)
	f.Fuzz(func(t *testing.T, first uint64, left, right []byte, size int, checkpoint string) {
		if size < 1 || size > 64 {
			return
		}
		p := &exchangev1.RangeProof{
			First: first, Left: slices.Collect(slices.Chunk(left, size)), Right: slices.Collect(slices.Chunk(right, size)), Checkpoint: checkpoint,
		}
		// Only the true proof may pass: nothing else is signed.
		if _, err := verify.CheckRange(p, l.leaves[10:20], l.verifier(t)); err == nil && first != 10 {
			t.Fatal("leaves were proven to be elsewhere")
		}
	})
}

func FuzzCheckCut(f *testing.F) {
	layout, payload := record()
	commitment, err := layout.Commitment(secret, payload)
	if err != nil {
		f.Fatal(err)
	}
	cut, proof, err := layout.Cut(secret, payload, []uint32{1, 4})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(cut)
	f.Fuzz(func(t *testing.T, other []byte) {
		if _, err := verify.CheckCut(layout.Contract, layout.Version, other, proof, commitment[:]); err != nil {
			return
		}
		// The unit of commitment is the field: only the order of fields may
		// differ.
		again, _, err := layout.Cut(secret, other, []uint32{1, 4})
		if err != nil || !bytes.Equal(again, cut) {
			t.Fatalf("%x passes for %x", other, cut)
		}
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	text := (&verify.Checkpoint{Origin: origin, Size: 3}).Text()
	f.Add(text)
	f.Add(strings.Replace(text, "AAAA", "AA\rAA", 1))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := verify.ParseCheckpoint(text)
		if err == nil && !strings.HasPrefix(text, c.Text()) {
			t.Fatalf("%q is read as %q", text, c.Text())
		}
	})
}
