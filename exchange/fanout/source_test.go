package fanout

import (
	"bytes"
	"testing"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

func TestRequestIDs(t *testing.T) {
	if of, place, ok := parseRequestID(requestID("ab12", 63)); of != "ab12" || place != 63 || !ok {
		t.Errorf("%q %d %v", of, place, ok)
	}
	for _, id := range []string{"", "ab12", "ab12-", "-", "ab12-x", "ab12-01", "ab12-+1", "ab12-1 ", "ab12-1-2", "ab12-99999999999999999999"} {
		if of, place, ok := parseRequestID(id); ok {
			t.Errorf("%q is taken for %q %d", id, of, place)
		}
	}
}

// TestAReportIsAnotherByWhatItSays: whatever of a source a report tells makes
// another version of it, and nothing else does.
func TestAReportIsAnotherByWhatItSays(t *testing.T) {
	base := source{place: 1, state: recordsv1.FanOutState_FAN_OUT_STATE_FOUND, deadline: 5, answeredAt: 3, entryPlusOne: 9}
	before := stateOf([]*source{&base})
	for name, change := range map[string]func(s *source){
		"place": func(s *source) { s.place++ }, "state": func(s *source) { s.state++ }, "rule": func(s *source) { s.rule = "a.rule" },
		"late": func(s *source) { s.late = true }, "deadline": func(s *source) { s.deadline++ },
		"answered": func(s *source) { s.answeredAt++ }, "entry": func(s *source) { s.entryPlusOne++ },
	} {
		s := base
		change(&s)
		if bytes.Equal(stateOf([]*source{&s}), before) {
			t.Errorf("another %s is the same report", name)
		}
	}
	s := base
	s.said, s.saidBy, s.records = "found", "11999900MB00000278/a", []uint64{4}
	if !bytes.Equal(stateOf([]*source{&s}), before) {
		t.Error("what a supplier said and nobody read is told")
	}
}
