package sdk

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func TestReceiptsAreKeptAsText(t *testing.T) {
	for size := 1; size <= 40; size++ {
		l := newTree(t)
		l.pad(size)
		for first := range size {
			for _, n := range []int{1, 2, 5} {
				if first+n > size {
					continue
				}
				p := &rangeProof{message: l.prove(uint64(first), n)}
				for _, leaf := range l.leaves[first : first+n] {
					p.leaves = append(p.leaves, verify.LeafHash(leaf))
				}
				place := n / 2
				r := &Receipt{Index: uint64(first + place), Leaf: l.leaves[first+place], proof: p, place: place}
				text, err := r.TlogProof()
				if err != nil {
					t.Fatal(err)
				}
				kept, err := ReadReceipt(bytes.Clone(r.Leaf), text)
				if err != nil {
					t.Fatal(err)
				}
				if err := kept.Verify(l.key); err != nil {
					t.Fatalf("entry %d of %d, from a range of %d: %v", r.Index, size, n, err)
				}
				if again, err := kept.TlogProof(); err != nil || again != text {
					t.Fatalf("the text changes: %v", err)
				}
			}
		}
	}
}

func TestForgedTextIsFound(t *testing.T) {
	l := newTree(t)
	l.pad(9)
	p := &rangeProof{message: l.prove(4, 1), leaves: [][verify.HashSize]byte{verify.LeafHash(l.leaves[4])}}
	text, err := (&Receipt{Index: 4, Leaf: l.leaves[4], proof: p}).TlogProof()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(text, "\n")
	without := strings.Join(append(append([]string{}, lines[:2]...), lines[3:]...), "")
	if r, err := ReadReceipt(l.leaves[4], without); err != nil || !errors.Is(r.Verify(l.key), ErrUnproven) {
		t.Errorf("a hash less: %v", err)
	}
	other := l.append(&ledgerv1.LedgerEntry{Actor: "forger"})
	if _, err := ReadReceipt(other, text); err == nil {
		t.Error("a leaf of another entry is taken")
	}
	if _, err := ReadReceipt(l.leaves[4], "c2sp.org/tlog-proof@v1\nextra AAAA\n"+strings.SplitN(text, "\n", 2)[1]); err != nil {
		t.Errorf("extra data: %v", err)
	}
}

func FuzzReadReceipt(f *testing.F) {
	l := newTree(f)
	l.pad(5)
	p := &rangeProof{message: l.prove(2, 1), leaves: [][verify.HashSize]byte{verify.LeafHash(l.leaves[2])}}
	text, err := (&Receipt{Index: 2, Leaf: l.leaves[2], proof: p}).TlogProof()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(l.leaves[2], text)
	f.Add([]byte{8, 1}, "c2sp.org/tlog-proof@v1\nindex 1\n\nledger.example/1\n2\nAAAA\n\n— x y\n")
	f.Fuzz(func(t *testing.T, leaf []byte, text string) {
		r, err := ReadReceipt(leaf, text)
		if err == nil && r.Verify(l.key) == nil && !bytes.Equal(leaf, l.leaves[r.Index]) {
			t.Error("a leaf that is not in the ledger is taken for proven")
		}
	})
}
