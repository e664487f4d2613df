package inspect_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// elsewhere are tables that have no rows here, and where they are tried.
var elsewhere = map[string]string{
	"preparations":    "services/huitong/node",
	"choices":         "services/huitong/node",
	"submissions":     "services/huitong/node",
	"papers":          "services/huitong/node",
	"fan_outs":        "services/huitong/node",
	"fan_out_sources": "services/huitong/node",
}

// The tables that are changed column by column, and those that nothing can be
// held against, are all tables with all their columns.
func TestEveryColumnIsChangedOrUnproven(t *testing.T) {
	w := newWorld(t)
	listed := map[string][]string{}
	for _, of := range tables(nil) {
		listed[of.name] = append(slices.Clone(of.key), of.columns...)
	}
	for _, name := range tableNames(t) {
		if !(table{name: name}).proven("*") || elsewhere[name] != "" {
			continue
		}
		rows, err := w.DB.Reader().QueryContext(t.Context(), "SELECT * FROM "+name+" WHERE 1 = 0")
		must(t, err)
		columns, err := rows.Columns()
		must(t, err)
		must(t, rows.Close())
		for _, column := range columns {
			if !slices.Contains(listed[name], column) {
				t.Errorf("%s.%s is neither changed nor listed as unproven", name, column)
			}
		}
	}
}

// tableNames reads the names of the journal part's tables out of its migrations.
func tableNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../store/migrations/*.sql")
	must(t, err)
	made := regexp.MustCompile(`(?m)^(CREATE|DROP) TABLE (\w+)|^ALTER TABLE (\w+) RENAME TO (\w+)`)
	var names []string
	for _, path := range files {
		sql, err := os.ReadFile(path)
		must(t, err)
		for _, m := range made.FindAllStringSubmatch(string(sql), -1) {
			switch {
			case m[1] == "CREATE":
				names = append(names, m[2])
			case m[1] == "DROP":
				names = slices.DeleteFunc(names, func(n string) bool { return n == m[2] })
			default:
				names[slices.Index(names, m[3])] = m[4]
			}
		}
	}
	if len(names) == 0 {
		t.Fatal("there are no migrations")
	}
	return names
}
