package inspect_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
)

// flipped changes one bit of a value; nil becomes something.
func flipped(v any) any {
	switch v := v.(type) {
	case int64:
		return v ^ 1
	case string:
		if v == "" {
			return "x"
		}
		b := []byte(v)
		b[len(b)/2] ^= 1
		return string(b)
	case []byte:
		if len(v) == 0 {
			return []byte("x")
		}
		b := slices.Clone(v)
		b[len(b)/2] ^= 1
		return b
	}
	return []byte("x")
}

// row is one row of a table by its columns.
type row map[string]any

func (w *world) read(t testing.TB, of table) []row {
	t.Helper()
	names := slices.Clone(of.key)
	for _, c := range of.columns {
		if !slices.Contains(names, c) {
			names = append(names, c)
		}
	}
	query := "SELECT " + strings.Join(names, ",") + " FROM " + of.name
	if of.where != "" {
		query += " WHERE " + of.where
	}
	rows, err := w.DB.Reader().QueryContext(t.Context(), query+" ORDER BY "+strings.Join(of.key, ","))
	must(t, err)
	defer rows.Close()
	var all []row
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		must(t, rows.Scan(into...))
		r := row{}
		for i, name := range names {
			if b, ok := values[i].([]byte); ok {
				values[i] = append([]byte{}, b...)
			}
			r[name] = values[i]
		}
		all = append(all, r)
	}
	must(t, rows.Err())
	if len(all) == 0 {
		t.Fatalf("%s has no rows to change", of.name)
	}
	return all
}

// set changes one column of a row that has other keys by now, perhaps.
func (w *world) set(t testing.TB, of table, at row, column string, value any) {
	t.Helper()
	must(t, w.trySet(t, of, at, column, value))
}

func (w *world) trySet(t testing.TB, of table, at row, column string, value any) error {
	var where []string
	args := []any{value}
	for i, k := range of.key {
		where = append(where, fmt.Sprintf("%s = $%d", k, i+2))
		args = append(args, at[k])
	}
	return w.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		result, err := tx.ExecContext(ctx, "UPDATE "+of.name+" SET "+column+" = $1 WHERE "+strings.Join(where, " AND "), args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n != 1 || err != nil {
			return fmt.Errorf("%d rows of %s: %w", n, of.name, err)
		}
		return nil
	})
}

func (w *world) found(t testing.TB) *inspect.Finding {
	t.Helper()
	report, err := inspect.Check(t.Context(), w.DB, w.Identity.Keyring, inspect.CheckOptions{})
	must(t, err)
	return report.Wrong
}

// A changed bit in any column of any table is named.
func TestCheckFindsAChangedBitAnywhere(t *testing.T) {
	w := newWorld(t)
	at := w.everything(t)
	if f := w.check(t); f != nil {
		t.Fatalf("before anything is changed: %v", f)
	}
	w.index.Close()
	for _, of := range tables(at) {
		t.Run(of.name, func(t *testing.T) {
			for _, r := range sample(w.read(t, of)) {
				for _, column := range of.columns {
					w.tamper(t, of, r, column)
				}
			}
		})
	}
	if f := w.found(t); f != nil {
		t.Fatalf("after everything was changed back: %v", f)
	}
}

// sample gives at most two rows, spread over all.
func sample(rows []row) []row {
	const most = 2
	if len(rows) <= most {
		return rows
	}
	var some []row
	for i := range most {
		some = append(some, rows[i*len(rows)/most])
	}
	return some
}

func (w *world) tamper(t *testing.T, of table, r row, column string) {
	t.Helper()
	value := flipped(r[column])
	if err := w.trySet(t, of, r, column, value); err != nil {
		// Another row has that key: change a higher bit.
		value = r[column].(int64) ^ 1<<20
		w.set(t, of, r, column, value)
	}
	changed := maps.Clone(r)
	changed[column] = value
	f := w.found(t)
	w.set(t, of, changed, column, r[column])
	switch {
	case !of.proven(column):
	case f == nil:
		t.Errorf("%s.%s of row %v changed from %x to %x: not found", of.name, column, keyOf(of, r), r[column], value)
	case !of.names(f, r, changed):
		t.Errorf("%s.%s of row %v: named as %v", of.name, column, keyOf(of, r), f)
	}
}

// names says whether a finding names a table and a row of it, by what names it
// before it was changed or after; one of a table beside it need name any row.
func (of table) names(f *inspect.Finding, before, after row) bool {
	if f.Table != of.name {
		return slices.Contains(of.named, f.Table) && f.Row != ""
	}
	for _, column := range of.naming() {
		was, is := text(before[column]), text(before[column])
		if v, changed := after[column]; changed {
			is = text(v)
		}
		if !strings.Contains(f.Row, was) && !strings.Contains(f.Row, is) {
			return false
		}
	}
	return true
}

// text is a value as findings write it.
func text(v any) string {
	if b, ok := v.([]byte); ok {
		return hex.EncodeToString(b)
	}
	return fmt.Sprint(v)
}

func keyOf(of table, r row) []any {
	var key []any
	for _, k := range of.key {
		key = append(key, r[k])
	}
	return key
}

// A row that is missing is named.
func TestCheckFindsAMissingRow(t *testing.T) {
	w := newWorld(t)
	at := w.everything(t)
	w.index.Close()
	for _, of := range tables(at) {
		if !of.proven("") {
			continue
		}
		t.Run(of.name, func(t *testing.T) {
			r := w.read(t, of)[0]
			w.without(t, of, r)
		})
	}
}

// without deletes a row, checks, and puts it back.
func (w *world) without(t *testing.T, of table, r row) {
	t.Helper()
	whole := w.read(t, table{name: of.name, key: of.key, columns: of.columns, where: of.where})[0]
	var where, names, marks []string
	var keys, values []any
	for i, k := range of.key {
		where, keys = append(where, fmt.Sprintf("%s = $%d", k, i+1)), append(keys, r[k])
	}
	for name, v := range whole {
		names, values = append(names, name), append(values, v)
		marks = append(marks, fmt.Sprintf("$%d", len(values)))
	}
	execOn(t, w.DB.Journal, "DELETE FROM "+of.name+" WHERE "+strings.Join(where, " AND "), keys...)
	f := w.found(t)
	execOn(t, w.DB.Journal, "INSERT INTO "+of.name+" ("+strings.Join(names, ",")+") VALUES ("+strings.Join(marks, ",")+")", values...)
	if f == nil {
		t.Errorf("a row of %s is missing: not found", of.name)
	}
}

// Two entries that changed places are named, and an entry put in.
func TestCheckFindsExchangedEntries(t *testing.T) {
	w := newWorld(t)
	at := w.everything(t)
	w.index.Close()
	of := table{name: "ledger", key: []string{"idx"}, columns: []string{"leaf"}, where: fmt.Sprintf("idx IN (%d, %d)", at["published"], at["published"]+1)}
	pair := w.read(t, of)
	w.set(t, of, pair[0], "leaf", pair[1]["leaf"])
	w.set(t, of, pair[1], "leaf", pair[0]["leaf"])
	if f := w.found(t); f == nil || f.Table != "ledger" || f.Row != fmt.Sprint(at["published"]) {
		t.Errorf("found %v", f)
	}
}
