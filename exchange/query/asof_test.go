package query_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

func atIndex(r *exchangev1.QueryRequest, index uint64) *exchangev1.QueryRequest {
	r.AsOf = &exchangev1.QueryRequest_AsOfIndex{AsOfIndex: index}
	return r
}

func atTime(r *exchangev1.QueryRequest, at *timestamppb.Timestamp) *exchangev1.QueryRequest {
	r.AsOf = &exchangev1.QueryRequest_AsOfTime{AsOfTime: at}
	return r
}

// TestAPastBetweenEntries asks for each entry by its index, for its time, and for
// the moment before.
func TestAPastBetweenEntries(t *testing.T) {
	w := newWorld(t)
	first := w.publish(t, paper("M-1"))[0]
	second := w.publish(t, paper("M-2"))[0]
	committed := func(index uint64) time.Time {
		a := w.answered(t, atIndex(bySubject(applicant), index))
		for _, r := range a.Records {
			if r.Index == index {
				return r.At.AsTime()
			}
		}
		t.Fatalf("entry %d is not known as of itself", index)
		return time.Time{}
	}
	for what, past := range map[string]struct {
		r    *exchangev1.QueryRequest
		want []string
	}{
		"the first entry of all": {atIndex(bySubject(applicant), 0), nil},
		"before the first":       {atIndex(bySubject(applicant), first-1), nil},
		"the first":              {atIndex(bySubject(applicant), first), []string{"M-1"}},
		"before the second":      {atIndex(bySubject(applicant), second-1), []string{"M-1"}},
		"the second":             {atIndex(bySubject(applicant), second), []string{"M-1", "M-2"}},
		"just before its time":   {atTime(bySubject(applicant), timestamppb.New(committed(second).Add(-time.Microsecond))), []string{"M-1"}},
		"its time":               {atTime(bySubject(applicant), timestamppb.New(committed(second))), []string{"M-1", "M-2"}},
		"before the first's":     {atTime(bySubject(applicant), timestamppb.New(committed(first).Add(-time.Microsecond))), nil},
	} {
		got := keys(t, w.answered(t, past.r))
		slices.Sort(got)
		if !slices.Equal(got, past.want) {
			t.Errorf("%s: %v, not %v", what, got, past.want)
		}
	}
	// By key nobody learns whether it was known.
	_, err := w.ask(t, w.asker, atIndex(byKey("M-2"), first))
	wantRule(t, "a key that was not known then", err, "case.subject")
}

func TestPastsThatCannotBe(t *testing.T) {
	w := newWorld(t)
	w.publish(t, paper("M-1"))
	for _, index := range []uint64{w.Journal.Head().Size, 1 << 40, math.MaxInt64, 1 << 63, math.MaxUint64} {
		_, err := w.ask(t, w.asker, atIndex(bySubject(applicant), index))
		wantRule(t, fmt.Sprint("entry ", index), err, "as_of.future")
	}
	w.answered(t, atIndex(bySubject(applicant), w.Journal.Head().Size-1))
	for what, past := range map[string]struct {
		at   *timestamppb.Timestamp
		rule string
	}{
		"tomorrow":             {timestamppb.New(time.Now().AddDate(0, 0, 1)), "as_of.future"},
		"the last day of all":  {timestamppb.New(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)), "as_of.future"},
		"before the ledger":    {timestamppb.New(time.Unix(0, 0)), "as_of.before"},
		"the first day of all": {timestamppb.New(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)), "as_of.before"},
		"no time":              {&timestamppb.Timestamp{Seconds: 1, Nanos: -1}, "as_of.time"},
		"beyond all time":      {&timestamppb.Timestamp{Seconds: math.MaxInt64}, "as_of.time"},
		"none":                 {nil, "as_of.time"},
	} {
		_, err := w.ask(t, w.asker, atTime(bySubject(applicant), past.at))
		wantRule(t, what, err, past.rule)
	}
	_, err := w.ask(t, w.asker, atIndex(&exchangev1.QueryRequest{By: &exchangev1.QueryRequest_Index{Index: 1}}, 1))
	wantRule(t, "an index as of an index", err, "as_of.index")
}
