package predicate_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/predicate"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// FuzzPredicate looks for an expression that panics, that runs on, that says two
// things of the same records, or that can tell records apart by a field that the
// check does not name.
func FuzzPredicate(f *testing.F) {
	for _, seed := range []string{
		`sum(records.map(r, r.net_fen)) < threshold`,
		`records.exists(r, r.source == IncomeSource.INCOME_SOURCE_WAGE && r.net_fen > threshold)`,
		`max(records.map(r, r.period_until)) >= today && threshold > 0`,
		`records.all(r, age(r.period_until, today) < threshold)`,
		`[records[0]][0].id_number == "1" && threshold == 0`,
		`records.all(a, records.all(b, a.net_fen <= b.net_fen)) || threshold == days(today, today)`,
		`dyn(records).all(r, r.name == "x")`,
		`{"a": records}["a"].size() == threshold`,
	} {
		f.Add(seed, int64(1), "a payer")
	}
	k := standard(f, &recordsv1.Income{})
	f.Fuzz(func(t *testing.T, expression string, threshold int64, other string) {
		c, err := predicate.Compile(&accessv1.GrantCheck{
			Name: "x", Predicate: expression, Fields: []string{"source", "net_fen", "period_until"},
			Thresholds: []*accessv1.Threshold{{Name: "t", Value: threshold}},
		}, k)
		if err != nil {
			var known *fault.Error
			if !errors.As(err, &known) || len(known.Violations) == 0 {
				t.Fatalf("%v", err)
			}
			return
		}
		a := income(1, threshold, recordsv1.IncomeSource_INCOME_SOURCE_WAGE)
		b := proto.CloneOf(a)
		b.Name, b.IdNumber, b.PayerName, b.GrossFen = "other", "1", "other "+k.Name(), 7
		if len(other) > 0 {
			b.RecordNumber = "r"
		}
		began := time.Now()
		x, errX := c.Answer(context.Background(), payloads(t, a, a), threshold, today)
		y, errY := c.Answer(context.Background(), payloads(t, b, b), threshold, today)
		if x != y || fault.RuleOf(errX) != fault.RuleOf(errY) {
			t.Errorf("%v, %v and %v, %v: it reads what it may not", x, errX, y, errY)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
