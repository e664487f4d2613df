package inspect

import (
	"context"
	"fmt"
	"testing"

	"github.com/huitong-bus/huitong/exchange/store"
)

// Snapshot gives every row of the index, for comparison.
func Snapshot(t testing.TB, db *store.DB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for table, columns := range map[string]int{"index_position": 4, "index_bits": 3, "index_tokens": 4, "index_entries": 4, "index_reads": 2, "index_causes": 1} {
		rows, err := db.Index.Read().QueryContext(context.Background(), "SELECT * FROM "+table)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, into := make([]any, columns), make([]any, columns)
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			all[fmt.Sprintf("%s %x", table, values)] = ""
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
	return all
}

// Compare fails unless two snapshots are one.
func Compare(t testing.TB, got, want map[string]string) {
	t.Helper()
	for row := range got {
		if _, ok := want[row]; !ok {
			t.Errorf("should not be there: %s", row)
		}
	}
	for row := range want {
		if _, ok := got[row]; !ok {
			t.Errorf("missing: %s", row)
		}
	}
}

// FilledUp is what makes few statements of lists of many lengths.
var FilledUp = filledUp
