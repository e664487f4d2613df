package journal_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/journal"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// TestLeafTime: the time that is read of a leaf alone is the one it decodes to.
func TestLeafTime(t *testing.T) {
	for _, want := range []int64{0, 1, 1764374400000000, -5} {
		leaf, err := proto.Marshal(&ledgerv1.LedgerEntry{
			Index: 7, AtUs: want, Actor: "部门/system", Body: &ledgerv1.LedgerEntry_Refused{Refused: &ledgerv1.AccessRefused{Rule: "x"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := journal.LeafTime(leaf)
		if err != nil || got != want {
			t.Errorf("%d, %v; want %d", got, err, want)
		}
	}
	for _, broken := range [][]byte{{0x10}, {0x10, 0x80}, {0x0a, 0x05, 'a'}, {0xff}} {
		if at, err := journal.LeafTime(broken); err == nil {
			t.Errorf("%x is read as %d", broken, at)
		}
	}
}
