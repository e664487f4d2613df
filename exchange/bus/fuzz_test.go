package bus

import (
	"bytes"
	"testing"

	"github.com/huitong-bus/huitong/exchange/journal"
)

// FuzzUnpack: what comes from the stream is either what pack made or refused.
func FuzzUnpack(f *testing.F) {
	f.Add(pack(&journal.Row{KeyToken: []byte("token"), Leaf: []byte("leaf"), Body: []byte("body")}))
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0, 1, 7, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var row journal.Row
		if !unpack(data, &row) {
			return
		}
		if len(row.Body) == 0 || !bytes.Equal(pack(&row), data) {
			t.Fatalf("%x was read as %+v", data, row)
		}
	})
}
