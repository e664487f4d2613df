package inspect_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
)

// table is a table of the journal part: its key, its other columns, and those
// that nothing can be held against, for they are no evidence.
type table struct {
	name    string
	key     []string
	columns []string
	free    []string
	// where picks the rows that are changed; all of them if empty.
	where string
	// named says by which tables a change may be named beside its own.
	named []string
}

func tables(at map[string]uint64) []table {
	some := func(kinds ...string) string {
		var list []string
		for _, k := range kinds {
			list = append(list, fmt.Sprint(at[k]))
		}
		return "idx IN (" + strings.Join(list, ",") + ")"
	}
	return []table{
		{name: "head", key: []string{"id"}, columns: []string{"origin", "size", "at", "policy", "group_id", "edge", "sequences", "checkpoint"}},
		{
			name: "ledger", key: []string{"idx"}, columns: []string{"leaf"},
			where: some("published", "signed", "queried", "checked", "changed", "certificate", "erased", "snapshot ended", "snapshot removal", "disputed", "dispute answered", "person", "consent given", "consent revoked", "representation") + " OR idx = (SELECT max(idx) FROM ledger)",
		},
		{
			name: "sealed", key: []string{"idx"}, columns: []string{"topic", "pos", "prev", "key_token", "tokens", "body"}, named: []string{"records"},
			where: some("published", "erased version", "operation", "eraser", "queried", "checked", "released", "received", "refused", "read", "snapshot removal", "disputed", "dispute answered", "case", "consent given", "consent revoked", "representation"),
		},
		{
			name: "records", key: []string{"topic", "key_token"}, named: []string{"sealed"},
			columns: []string{"topic", "key_token", "idx", "payload_idx", "version", "status", "source_version", "valid_from", "valid_until"},
			where:   some("operation"),
		},
		{name: "idempotency", key: []string{"system", "key"}, columns: []string{"system", "key", "idx"}, where: some("published", "signed")},
		{name: "tiles", key: []string{"level", "idx"}, columns: []string{"level", "idx", "root", "hashes"}},
		{name: "positions", key: []string{"system", "source"}, columns: []string{"system", "source", "position", "at"}, free: []string{"source", "position", "at"}},
		{name: "stream_erasures", key: []string{"part", "pos"}, columns: []string{"part", "pos", "idx", "done"}, free: []string{"done"}},
		{name: "participants", key: []string{"code"}, columns: []string{"code", "version", "changed", "body"}},
		{name: "systems", key: []string{"id"}, columns: []string{"id", "participant", "version", "changed", "body"}},
		{name: "certificates", key: []string{"fingerprint"}, columns: []string{"fingerprint", "system", "changed", "body"}},
		{name: "persons", key: []string{"fingerprint"}, columns: []string{"fingerprint", "participant", "reference", "changed", "body", "details"}},
		{name: "contracts", key: []string{"name", "version"}, columns: []string{"name", "version", "changed", "body", "descriptor_set"}, where: "name LIKE '%Person'"},
		{name: "topics", key: []string{"name"}, columns: []string{"name", "provider", "version", "changed", "body"}},
		{
			name: "grants", key: []string{"id", "version"}, named: []string{"grant_use"},
			columns: []string{"id", "version", "provider", "applicant", "pending", "agreed", "changed", "body"},
		},
		{name: "participant_groups", key: []string{"id"}, columns: []string{"id", "version", "changed", "body"}},
		{name: "topic_codes", key: []string{"category", "number"}, columns: []string{"category", "number", "topic"}},
		{name: "grant_use", key: []string{"grant_id"}, columns: []string{"grant_id", "day", "used"}, free: []string{"day", "used"}},
		{
			name: "subscriptions", key: []string{"id"}, free: []string{"began", "snapshot", "received", "changed"},
			columns: []string{"id", "system", "topic", "spec", "version", "state", "reason", "began", "snapshot", "created_at", "received", "changed"},
		},
		{
			name: "lanes", key: []string{"subscription", "lane"}, columns: []string{"subscription", "lane", "seen", "unsettled", "member", "epoch"},
			free: []string{"lane", "seen", "unsettled", "member", "epoch"},
		},
		{
			name: "dead_letters", key: []string{"subscription", "sequence"}, free: []string{"lane", "reason", "attempts", "at", "replaying"},
			columns: []string{"subscription", "sequence", "lane", "idx", "reason", "attempts", "at", "replaying"},
		},
		{name: "check_thresholds", key: []string{"asked", "value"}, columns: []string{"asked", "value", "idx"}},
		{
			name: "disputes", key: []string{"idx"},
			columns: []string{"idx", "topic", "provider", "consumer", "participant", "version", "fields", "key_token", "state", "answer", "corrected", "late", "changed"},
		},
		{
			name: "consents", key: []string{"digest"},
			columns: []string{"digest", "holder", "recipient", "valid_from", "valid_until", "given", "revoked", "representation", "body"},
		},
		{name: "representations", key: []string{"digest"}, columns: []string{"digest", "principal", "participant", "recorded", "ended", "body"}},
		{name: "identity_providers", key: []string{"issuer"}, columns: []string{"issuer", "version", "changed", "body"}},
		{name: "full_loads", key: []string{"topic"}, columns: []string{"topic", "system", "begun", "ended", "removed", "done"}},
		{name: "settings", key: []string{"id"}, columns: []string{"id", "version", "changed", "body"}},
		{name: "calendar_years", key: []string{"year"}, columns: []string{"year", "version", "changed", "body"}},
		{
			name: "deadlines", key: []string{"id"}, where: "passed > 0",
			columns: []string{
				"id", "kind", "object", "owner", "parties", "topic", "started_at", "days", "extension", "stopped_at", "late", "passed", "passed_day", "untold",
			},
		},
		{
			name: "cases", key: []string{"token"},
			columns: []string{"token", "participant", "item", "state", "opened", "closed", "opened_at", "after_fact", "subjects"},
		},
		{name: "guards", key: []string{"kind", "key"}, columns: []string{"kind", "key", "version"}, free: []string{"key", "version"}},
		{name: "acknowledgements", key: []string{"subscription", "n"}, columns: []string{"subscription", "n", "body"}, free: []string{"n"}},
	}
}

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

// sample gives at most four rows, spread over all.
func sample(rows []row) []row {
	const most = 4
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
	changed := row{}
	for _, k := range of.key {
		changed[k] = r[k]
	}
	if slices.Contains(of.key, column) {
		changed[column] = value
	}
	f := w.found(t)
	w.set(t, of, changed, column, r[column])
	switch {
	case slices.Contains(of.free, column):
	case f == nil:
		t.Errorf("%s.%s of row %v changed from %x to %x: not found", of.name, column, keyOf(of, r), r[column], value)
	case of.name == "ledger" && f.Row != fmt.Sprint(r["idx"]), f.Table != of.name && !slices.Contains(of.named, f.Table):
		t.Errorf("%s.%s of row %v: named as %v", of.name, column, keyOf(of, r), f)
	}
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
		if slices.Contains([]string{"positions", "grant_use", "lanes", "dead_letters", "acknowledgements", "guards"}, of.name) {
			continue // nothing else says that there is one
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
