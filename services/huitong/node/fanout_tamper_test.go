package node_test

import (
	"fmt"
	"testing"
	"time"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// TestEveryColumnOfAFanOutIsProven: fsck finds a change of each in whatever state a
// source is, and a row that is missing.
func TestEveryColumnOfAFanOutIsProven(t *testing.T) {
	m := newMeansTest(t)
	publishOne(t, m.tax, "income", income(earner, 7))
	supply(t, m.tax, "wages", nil)
	f := m.ask(t, source("income", earner), source("wages", earner), source("unknown", earner), sdk.Source{Topic: "benefits", Subject: person(earner), Wait: time.Millisecond})
	wantStates(t, f, sdk.SourceFound, sdk.SourceFound, sdk.SourceRefused, sdk.SourceTimedOut)
	refused := m.requestOf(t, "benefits", earner)
	ok(t, answer(t, m.civil, &exchangev1.AnswerRequestRequest{RequestId: refused, Outcome: saysRefused, Rule: "supplier.frozen"}))
	erased := m.ask(t, source("wages", nobody)).ID
	ok(t, m.Client.EraseFanOut(t.Context(), erased, "误操作"))
	fsck(t, m.Exchange)
	const fanOuts, sources = "fan_outs", "fan_out_sources"
	changed := map[string]map[string]string{
		fanOuts: {
			"id": "'x' || id", "system": "'x' || system", "participant": "'x' || participant", "asked_at": "asked_at + 1", "request": "case_token",
			"version": "version + 1", "state": "case_token", "entry": "entry + 1", "case_token": "request",
		},
		sources: {
			"fan_out": "'x' || fan_out", "place": "place + 100", "topic": "topic || 'x'", "provider": "provider || 'x'", "live": "1 - live", "state": "state + 1",
			"rule": "rule || 'x'", "deadline": "deadline + 1", "request": "request + 1", "outcome": "outcome + 1", "records": "records || ' 1'",
			"said": "said || 'x'", "said_by": "said_by || 'x'", "late": "1 - late", "answered_at": "answered_at + 1", "answer": "answer + 1",
			"entry": "entry + 1", "subject_token": "NULL",
		},
	}
	for column, value := range changed[fanOuts] {
		tamper(t, m.Exchange, fanOuts, fmt.Sprintf("UPDATE fan_outs SET %s = %s WHERE id = '%s'", column, value, f.ID))
	}
	for column, value := range map[string]string{
		"id": "'x' || id", "participant": "'x' || participant", "asked_at": "1", "version": "1", "state": "request || (SELECT state FROM fan_outs WHERE version > 0 LIMIT 1)",
		"entry": "entry - 1", "case_token": "(SELECT case_token FROM fan_outs WHERE version > 0 LIMIT 1)",
	} {
		tamper(t, m.Exchange, fanOuts, fmt.Sprintf("UPDATE fan_outs SET %s = %s WHERE id = '%s'", column, value, erased))
	}
	tamper(t, m.Exchange, fanOuts, fmt.Sprintf("UPDATE fan_outs SET entry = 0 WHERE id = '%s'", erased))
	tamper(t, m.Exchange, fanOuts, fmt.Sprintf("DELETE FROM fan_outs WHERE id = '%s'", erased))
	places := []string{fmt.Sprintf("fan_out <> '%s'", f.ID)}
	for i := range f.Results {
		places = append(places, fmt.Sprintf("fan_out = '%s' AND place = %d", f.ID, i))
	}
	for _, where := range places {
		for column, value := range changed[sources] {
			tamper(t, m.Exchange, sources, fmt.Sprintf("UPDATE fan_out_sources SET %s = %s WHERE %s", column, value, where))
		}
		tamper(t, m.Exchange, sources, "DELETE FROM fan_out_sources WHERE "+where)
	}
	tamper(t, m.Exchange, fanOuts, fmt.Sprintf("DELETE FROM fan_outs WHERE id = '%s'", f.ID))
	fsck(t, m.Exchange)
}
