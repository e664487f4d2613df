package predicate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/predicate"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

const today = "2026-06-30"

// standard gives the standard contract of a message.
func standard(t testing.TB, m proto.Message) *contract.Contract {
	t.Helper()
	all := contract.Standard()
	i := slices.IndexFunc(all, func(k *contract.Contract) bool {
		return k.Name() == string(m.ProtoReflect().Descriptor().FullName())
	})
	if i < 0 {
		t.Fatal("not in the standard pack")
	}
	return all[i]
}

func payloads(t testing.TB, records ...proto.Message) (all [][]byte) {
	t.Helper()
	for _, m := range records {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

func income(month, fen int64, source recordsv1.IncomeSource) *recordsv1.Income {
	return &recordsv1.Income{
		RecordNumber: fmt.Sprintf("SR-%02d", month), IdType: "111", IdNumber: "999999199001010016", Name: "王小明", Source: source,
		PeriodFrom: fmt.Sprintf("2026-%02d-01", month), PeriodUntil: fmt.Sprintf("2026-%02d-28", month), GrossFen: fen + 100, NetFen: fen,
	}
}

// underHalfYear is a sum over several records of one subject.
func underHalfYear() *accessv1.GrantCheck {
	return &accessv1.GrantCheck{
		Name: "income-under", Title: "近六个月净收入低于标准",
		Predicate: `sum(records.filter(r, r.period_from >= "2026-01-01" && r.period_until <= today).map(r, r.net_fen)) < threshold`,
		Fields:    []string{"period_from", "period_until", "net_fen"},
		Thresholds: []*accessv1.Threshold{
			{Name: "minimum", Title: "最低生活保障", Value: 500_000}, {Name: "twice", Value: 1_000_000},
		},
	}
}

func ask(t *testing.T, check *accessv1.GrantCheck, threshold string, records ...proto.Message) (bool, error) {
	t.Helper()
	c, err := predicate.Compile(check, standard(t, records[0]))
	if err != nil {
		t.Fatal(err)
	}
	value, err := c.Threshold(threshold)
	if err != nil {
		t.Fatal(err)
	}
	return c.Answer(context.Background(), payloads(t, records...), value, today)
}

func TestSumOverRecordsOfASubject(t *testing.T) {
	wage := recordsv1.IncomeSource_INCOME_SOURCE_WAGE
	records := []proto.Message{income(1, 300_000, wage), income(2, 300_000, wage), income(11, 900_000, wage)}
	for threshold, want := range map[string]bool{"minimum": false, "twice": true} {
		if got, err := ask(t, underHalfYear(), threshold, records...); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", threshold, got, err, want)
		}
	}
}

func TestExpressions(t *testing.T) {
	wage, property := recordsv1.IncomeSource_INCOME_SOURCE_WAGE, recordsv1.IncomeSource_INCOME_SOURCE_PROPERTY
	records := []proto.Message{income(1, 300_000, wage), income(2, 400_000, property)}
	for expression, want := range map[string]bool{
		`records.exists(r, r.source == IncomeSource.INCOME_SOURCE_PROPERTY)`:                      true,
		`records.exists(r, r.source == huitong.records.v1.IncomeSource.INCOME_SOURCE_BUSINESS)`:   false,
		`size(records.filter(r, r.net_fen > 300000)) == 1`:                                        true,
		`max(records.map(r, r.net_fen)) == 400000 && min(records.map(r, r.net_fen)) == 300000`:    true,
		`max(records.map(r, r.period_until)) == "2026-02-28"`:                                     true,
		`records.all(r, r.period_until < today)`:                                                  true,
		`records.exists_one(r, days(r.period_from, r.period_until) == 27 && r.net_fen == 300000)`: true,
		`age("2008-06-30", today) == 18 && age("2008-07-01", today) == 17`:                        true,
		`age("2004-02-29", "2005-02-28") == 0 && age("2004-02-29", "2005-03-01") == 1`:            true,
		`sum(records.map(r, double(r.net_fen))) / double(size(records)) == 350000.0`:              true,
		`records.all(a, records.all(b, a.net_fen <= b.net_fen + 100000))`:                         true,
		`records[0].net_fen + records[1].net_fen == 700000`:                                       true,
		`has(records[0].period_from) && records[0].net_fen in [300000, 1]`:                        true,
		`sum(records.filter(r, r.net_fen > 9000000).map(r, r.net_fen)) == 0`:                      true,
		`timestamp(records[0].period_from + "T00:00:00Z") < timestamp(today + "T00:00:00Z")`:      true,
		`sum([1u, 2u]) == 3u && sum([1.5]) == 1.5 && "b" == max(["a", "b"])`:                      true,
	} {
		check := &accessv1.GrantCheck{
			Name: "x", Predicate: expression, Fields: []string{"source", "net_fen", "period_from", "period_until"},
		}
		if got, err := ask(t, check, "", records...); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", expression, got, err, want)
		}
	}
}

func TestNestedFields(t *testing.T) {
	check := &accessv1.GrantCheck{
		Name: "adults", Fields: []string{"members"},
		Predicate: `records.exists(h, h.members.filter(m, m.role == "head" || m.role == "spouse").size() == 2)`,
	}
	got, err := ask(t, check, "", &recordsv1.Household{HouseholdNumber: "9", Members: []*recordsv1.HouseholdMember{{Role: "head"}, {Role: "spouse"}}})
	if err != nil || !got {
		t.Errorf("%v, %v", got, err)
	}
}

// What is not named is not there, even for an expression that could ask for it.
func TestRecordsAreCut(t *testing.T) {
	check := &accessv1.GrantCheck{Name: "x", Predicate: `records.all(r, size(r.payer_name) == 0 && r.net_fen == 5)`, Fields: []string{"net_fen", "payer_name"}}
	full := income(1, 5, recordsv1.IncomeSource_INCOME_SOURCE_WAGE)
	if got, err := ask(t, check, "", full); err != nil || !got {
		t.Errorf("%v, %v", got, err)
	}
	full.PayerName = "示范贸易有限公司"
	if got, err := ask(t, check, "", full); err != nil || got {
		t.Errorf("%v, %v", got, err)
	}
}

func TestRefusedAtAgreement(t *testing.T) {
	long := strings.Repeat("true && ", 250) + "true"
	nested := `records.all(a, records.all(b, records.all(c, records.all(d, a.net_fen == d.net_fen))))`
	cubic := `records.all(a, records.all(b, records.all(c, a.net_fen == b.net_fen + c.net_fen)))`
	threshold := []*accessv1.Threshold{{Name: "t", Value: 1}}
	for _, c := range []struct {
		name  string
		check *accessv1.GrantCheck
		field string
		rule  string
	}{
		{"no predicate", &accessv1.GrantCheck{Name: "x", Fields: []string{"net_fen"}}, "predicate", "check.predicate"},
		{"no bool", one(`sum(records.map(r, r.net_fen))`), "predicate", "check.predicate"},
		{"syntax", one(`records.`), "predicate", "check.predicate"},
		{"unknown variable", one(`this.net_fen == 1`), "predicate", "check.predicate"},
		{"too long", one(long), "predicate", "check.cost"},
		{"too deep", one(nested), "predicate", "check.cost"},
		{"too dear", one(cubic), "predicate", "check.cost"},
		{"another field", one(`records.all(r, r.gross_fen == 1)`), "predicate", "check.fields"},
		{"another field's presence", one(`records.all(r, has(r.name))`), "predicate", "check.fields"},
		{"another field by index", one(`records[0].id_number == "1"`), "predicate", "check.fields"},
		{"another field of a choice", one(`(true ? records[0] : records[1]).id_number == "1"`), "predicate", "check.fields"},
		{"another field of a list", one(`[records[0]][0].id_number == "1"`), "predicate", "check.fields"},
		{"another field of a map", one(`{"a": records[0]}.a.id_number == "1"`), "predicate", "check.fields"},
		{"hidden type", one(`dyn(records[0]).id_number == "1"`), "predicate", "check.predicate"},
		{"mixed list", one(`[records[0], 1][0].id_number == "1"`), "predicate", "check.fields"},
		{"whole records", one(`records.all(r, r == records[0])`), "predicate", "check.cost"},
		{"whole records in", one(`records.all(r, r in records)`), "predicate", "check.cost"},
		{"whole lists", one(`records == records`), "predicate", "check.cost"},
		{"pattern", one(`records.all(r, r.period_from.matches("(a+)+$"))`), "predicate", "check.predicate"},
		{"clock", one(`timestamp(today).getHours("Asia/Shanghai") == 1`), "predicate", "check.predicate"},
		{"makes a message", one(`Income{net_fen: 1}.net_fen == 1`), "predicate", "check.predicate"},
		{"threshold without any", one(`records.all(r, r.net_fen < threshold)`), "predicate", "check.predicate"},
		{"threshold unused", &accessv1.GrantCheck{Name: "x", Predicate: "true", Fields: []string{"net_fen"}, Thresholds: threshold}, "predicate", "check.threshold"},
		{"threshold's name", &accessv1.GrantCheck{Name: "x", Predicate: "threshold > 0", Fields: []string{"net_fen"}, Thresholds: []*accessv1.Threshold{{Name: "低保"}}}, "thresholds[0].name", "check.threshold"},
		{"threshold twice", &accessv1.GrantCheck{Name: "x", Predicate: "threshold > 0", Fields: []string{"net_fen"}, Thresholds: append(threshold, threshold...)}, "thresholds[1].name", "check.threshold"},
		{"too many thresholds", &accessv1.GrantCheck{Name: "x", Predicate: "threshold > 0", Fields: []string{"net_fen"}, Thresholds: make([]*accessv1.Threshold, 33)}, "thresholds", "check.threshold"},
		{"name", &accessv1.GrantCheck{Name: "Income Under", Predicate: "true", Fields: []string{"net_fen"}}, "name", "check.name"},
		{"a person's name", &accessv1.GrantCheck{Name: "999999199001010016", Predicate: "true", Fields: []string{"net_fen"}}, "name", "check.name"},
		{"title", &accessv1.GrantCheck{Name: "x", Title: "a\nb", Predicate: "true", Fields: []string{"net_fen"}}, "title", "check.title"},
		{"no fields", &accessv1.GrantCheck{Name: "x", Predicate: "true"}, "fields", "check.fields"},
		{"unknown field", &accessv1.GrantCheck{Name: "x", Predicate: "true", Fields: []string{"balance"}}, "fields[0]", "check.fields"},
		{"field twice", &accessv1.GrantCheck{Name: "x", Predicate: "true", Fields: []string{"net_fen", "net_fen"}}, "fields[1]", "check.fields"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := predicate.Compile(c.check, standard(t, &recordsv1.Income{}))
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Invalid {
				t.Fatalf("%v", err)
			}
			if !slices.ContainsFunc(f.Violations, func(v fault.Violation) bool { return v.Field == c.field && v.Rule == c.rule }) {
				t.Errorf("%+v; want %s %s", f.Violations, c.field, c.rule)
			}
			if strings.Contains(err.Error(), "huitong_registered") {
				t.Errorf("%v names what people do not know", err)
			}
		})
	}
}

func one(expression string) *accessv1.GrantCheck {
	return &accessv1.GrantCheck{Name: "x", Predicate: expression, Fields: []string{"net_fen", "period_from"}}
}

type versions []*contract.Contract

func (v versions) Versions() int { return len(v) }

func (v versions) Mask(names []string) []uint32 {
	mask, _ := v[0].Mask(names)
	return mask
}

func (v versions) Contract(n uint32) (*contract.Contract, error) { return v[n-1], nil }

func TestValidateNamesTheCheck(t *testing.T) {
	of := versions{standard(t, &recordsv1.Income{})}
	if err := predicate.Validate("grant.checks", []*accessv1.GrantCheck{underHalfYear()}, of); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		checks      []*accessv1.GrantCheck
		field, rule string
	}{
		{[]*accessv1.GrantCheck{underHalfYear(), one("1")}, "grant.checks[1].predicate", "check.predicate"},
		{[]*accessv1.GrantCheck{underHalfYear(), underHalfYear()}, "grant.checks[1].name", "check.name"},
		{make([]*accessv1.GrantCheck, 33), "grant.checks", "check.count"},
		{[]*accessv1.GrantCheck{nil}, "grant.checks[0].name", "check.name"},
	} {
		err := predicate.Validate("grant.checks", c.checks, of)
		var f *fault.Error
		if !errors.As(err, &f) || f.Violations[0].Field != c.field || f.Violations[0].Rule != c.rule {
			t.Errorf("%v; want %s %s", err, c.field, c.rule)
		}
	}
}

func TestFailuresHoldNoValue(t *testing.T) {
	records := []proto.Message{income(1, 424242, recordsv1.IncomeSource_INCOME_SOURCE_WAGE)}
	for expression, rule := range map[string]string{
		`records.all(r, r.net_fen / 0 == 1)`:                               "check.failed",
		`records.all(r, age(r.period_from + "x", today) == 1)`:             "check.failed",
		`min(records.filter(r, r.net_fen < 0).map(r, r.net_fen)) == 1`:     "check.failed",
		`records[7].net_fen == 1`:                                          "check.failed",
		`records.all(r, r.net_fen + 9223372036854775807 > 0)`:              "check.failed",
		`records.all(r, {424242: 1}[r.net_fen + 1] == 1)`:                  "check.failed",
		`sum(records.map(r, r.net_fen * 9223372036854775)) > 0`:            "check.failed",
		`sum([9223372036854775807, 9223372036854775807]) > 0`:              "check.failed",
		`records.all(r, timestamp(r.period_from) < timestamp("2026"))`:     "check.failed",
		`records.all(r, r.period_from.contains("2026") && 1 / 0 == 1)`:     "check.failed",
		`records.all(r, int(r.period_from) == 1)`:                          "check.failed",
		`records.exists(r, {"a": 1}[r.period_from] == 1 && r.net_fen > 0)`: "check.failed",
	} {
		check := &accessv1.GrantCheck{Name: "x", Predicate: expression, Fields: []string{"net_fen", "period_from"}}
		_, err := ask(t, check, "", records...)
		if fault.KindOf(err) != fault.Denied || fault.RuleOf(err) != rule {
			t.Errorf("%s: %v", expression, err)
		}
		if err != nil && (strings.Contains(err.Error(), "424242") || strings.Contains(err.Error(), "2026")) {
			t.Errorf("%s: %v holds a value of the record", expression, err)
		}
	}
}

// A predicate costs what it was said to at most; over longer lists than the
// contract allows it is stopped.
func TestStoppedWhileItRuns(t *testing.T) {
	check := &accessv1.GrantCheck{
		Name: "x", Fields: []string{"members"},
		Predicate: `records.all(h, h.members.all(a, a.name.size() + h.members.size() > -1))`,
	}
	c, err := predicate.Compile(check, standard(t, &recordsv1.Household{}))
	if err != nil {
		t.Fatal(err)
	}
	large := &recordsv1.Household{}
	for range 60_000 {
		large.Members = append(large.Members, &recordsv1.HouseholdMember{Name: "x"})
	}
	all := payloads(t, large)
	for range 5 {
		all = append(all, all[0])
	}
	if _, err := c.Answer(context.Background(), all, 0, today); fault.RuleOf(err) != "check.cost" {
		t.Errorf("%v", err)
	}
	if _, err := c.Answer(context.Background(), make([][]byte, predicate.MaxRecords+1), 0, today); fault.RuleOf(err) != "check.records" {
		t.Errorf("%v", err)
	}
	if _, err := c.Answer(context.Background(), [][]byte{{0xff}}, 0, today); fault.RuleOf(err) != "check.failed" {
		t.Errorf("%v", err)
	}
	gone, stop := context.WithCancel(context.Background())
	stop()
	if _, err := c.Answer(gone, all, 0, today); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestThresholds(t *testing.T) {
	c, err := predicate.Compile(underHalfYear(), standard(t, &recordsv1.Income{}))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Threshold("twice"); err != nil || v != 1_000_000 {
		t.Errorf("%d, %v", v, err)
	}
	for _, name := range []string{"", "thrice"} {
		if _, err := c.Threshold(name); fault.RuleOf(err) != "check.threshold.unknown" {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	c, err := predicate.Compile(underHalfYear(), standard(b, &recordsv1.Income{}))
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int64{1, 12} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var records []proto.Message
			for i := range n {
				records = append(records, income(i+1, 300_000, recordsv1.IncomeSource_INCOME_SOURCE_WAGE))
			}
			all := payloads(b, records...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Answer(context.Background(), all, 1, today); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	k := standard(b, &recordsv1.Income{})
	for b.Loop() {
		if _, err := predicate.Compile(underHalfYear(), k); err != nil {
			b.Fatal(err)
		}
	}
}
