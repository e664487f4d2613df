package hearing

import (
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/store"
)

// TestExpiredRecordsAreFoundByTheirIndex: a day on which nothing expires costs
// one look, however many records there are.
func TestExpiredRecordsAreFoundByTheirIndex(t *testing.T) {
	db, err := store.Open(t.Context(), "sqlite:"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	rows, err := db.Reader().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+selectExpired, 20_000, 20_001, 0, []byte{})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(detail, "SEARCH records USING INDEX records_until (valid_until>") {
			t.Error(detail)
		}
	}
}
