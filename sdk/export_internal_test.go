package sdk

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func sha(b []byte) []byte {
	d := sha256.Sum256(b)
	return d[:]
}

func TestExportIsVerifiedOffline(t *testing.T) {
	l := newTree(t)
	l.pad(100)
	checkpoint := l.checkpoint()
	write := func(leaves [][]byte) *bytes.Buffer {
		var out bytes.Buffer
		for _, leaf := range leaves {
			if err := writeLeaf(&out, leaf); err != nil {
				t.Fatal(err)
			}
		}
		return &out
	}
	seen := 0
	n, err := VerifyExport(write(l.leaves), checkpoint, l.key, func(*ledgerv1.LedgerEntry) error { seen++; return nil })
	if err != nil || n != 100 || seen != 100 {
		t.Fatalf("%d entries, %d seen, %v", n, seen, err)
	}
	changed := slices.Clone(l.leaves)
	changed[40] = slices.Clone(changed[40])
	changed[40][len(changed[40])-1] ^= 1
	swapped := slices.Clone(l.leaves)
	swapped[3], swapped[4] = swapped[4], swapped[3]
	cut := write(l.leaves)
	cut.Truncate(cut.Len() - 3)
	for name, export := range map[string]*bytes.Buffer{
		"a byte changed": write(changed), "two entries swapped": write(swapped), "one entry gone": write(l.leaves[:99]), "cut short": cut, "empty": {},
	} {
		if _, err := VerifyExport(export, checkpoint, l.key, nil); !errors.Is(err, ErrUnproven) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := VerifyExport(write(l.leaves), checkpoint, newTree(t).key, nil); !errors.Is(err, ErrUnproven) {
		t.Errorf("another ledger's key: %v", err)
	}
}

func FuzzVerifyExport(f *testing.F) {
	f.Add([]byte{0, 2, 8, 1}, "ledger.example/1\n1\nAAAA\n\n— x y\n")
	f.Fuzz(func(t *testing.T, export []byte, checkpoint string) {
		if n, err := VerifyExport(bytes.NewReader(export), checkpoint, "ledger.example/1+00000000+AQ==", nil); err == nil {
			t.Errorf("%d entries taken for proven", n)
		}
	})
}
