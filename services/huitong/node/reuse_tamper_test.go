package node_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestEveryColumnOfTheOnceOnlyStepIsProven: fsck finds a change of each, and a row
// that is missing.
func TestEveryColumnOfTheOnceOnlyStepIsProven(t *testing.T) {
	c := newCounter(t)
	_, err := c.hall.Prepare(t.Context(), c.acting, c.applicant)
	ok(t, err)
	_, err = c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant, Declined: []string{"residence"}})
	ok(t, err)
	_, err = c.hall.Submit(t.Context(), sdk.Submission{Acting: c.acting, Material: &sdk.Publication{Topic: "papers", Message: paper(c.acting.Case)}})
	ok(t, err)
	_, err = c.hall.ReportPapers(t.Context(), c.acting, c.applicant, "identity")
	ok(t, err)
	fsck(t, c.Exchange)
	for table, columns := range map[string][]string{
		"preparations": {"case_token", "subject_token", "idx"},
		"choices":      {"case_token", "subject_token", "material", "idx", "copies", "first"},
		"submissions":  {"publication", "idx"},
		"papers":       {"case_token", "subject_token", "material", "idx"},
	} {
		for _, column := range columns {
			value := column + " + 1000"
			switch column {
			case "case_token", "subject_token":
				value = column + " || " + column
			case "material":
				value = "'x' || material"
			}
			tamper(t, c.Exchange, table, fmt.Sprintf("UPDATE %s SET %s = %s", table, column, value))
		}
		tamper(t, c.Exchange, table, "DELETE FROM "+table)
	}
}

// tamper runs a statement, sees fsck name the table, and takes it back.
func tamper(t *testing.T, x *nodetest.Exchange, table, statement string) {
	t.Helper()
	run := func(statements ...string) {
		t.Helper()
		ok(t, x.Node.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			for _, s := range statements {
				if _, err := tx.ExecContext(ctx, s); err != nil {
					return fmt.Errorf("%s: %w", s, err)
				}
			}
			return nil
		}))
	}
	run("CREATE TABLE kept AS SELECT * FROM "+table, statement)
	var report *inspect.Report
	for head := uint64(0); head != x.Node.Journal.Head().Size; { // the exchange may write on meanwhile, of itself
		head = x.Node.Journal.Head().Size
		var err error
		report, err = inspect.Check(t.Context(), x.Node.DB, x.Node.Identity.Keyring, inspect.CheckOptions{})
		ok(t, err)
	}
	if report.Wrong == nil || report.Wrong.Table != table {
		t.Errorf("%s: fsck says %v", statement, report.Wrong)
	}
	run("DELETE FROM "+table, "INSERT INTO "+table+" SELECT * FROM kept", "DROP TABLE kept")
}
