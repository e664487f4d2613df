package verify_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
)

// TestInterleavedFields: the order of different fields does not change what is
// committed to, and a payload as large as is allowed that changes its field with
// every value is put together in one go, not by copying what came before each
// time.
func TestInterleavedFields(t *testing.T) {
	const values = 64 << 10
	var mixed, first, second []byte
	for range values {
		mixed = append(mixed, 0x08, 1, 0x10, 2) // field 1 is 1, field 2 is 2
		first, second = append(first, 0x08, 1), append(second, 0x10, 2)
	}
	l := verify.Layout{Contract: "c", Version: 1, Fields: []uint32{1, 2, 3}}
	secret := make([]byte, verify.SecretSize)
	want, err := l.Commitment(secret, append(first, second...))
	if err != nil {
		t.Fatal(err)
	}
	var got [verify.HashSize]byte
	allocations := testing.AllocsPerRun(1, func() { got, err = l.Commitment(secret, mixed) })
	if err != nil || got != want {
		t.Fatalf("%x, %v; want %x", got, err, want)
	}
	if allocations > 200 {
		t.Fatalf("%.0f allocations for %d values", allocations, values)
	}
}
