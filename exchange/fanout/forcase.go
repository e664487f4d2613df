package fanout

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/identity"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// Said is what a topic's supplier said about a subject for a case.
type Said struct {
	// State is unspecified if nobody asked. Waiting, timed out and answered late
	// are answers that are not there, or not read, yet.
	State recordsv1.FanOutState
	// Rule is by which the supplier refused.
	Rule string
	// FanOut is the one that asked.
	FanOut string
	// Records are the entries of what it found.
	Records []uint64
}

// SaidFor gives what was last said about a subject for a participant's case; if
// nothing was said, how the last request stands.
func (f *FanOuts) SaidFor(ctx context.Context, participant, caseNumber string, about *ledgerv1.Subject, topic string) (Said, error) {
	rows, err := f.DB.Reader().QueryContext(ctx, sourceColumns+`WHERE topic = $1 AND subject_token = $2 AND live = 1 AND request > 0
		AND fan_out IN (SELECT id FROM fan_outs WHERE case_token = $3) ORDER BY deadline DESC`,
		topic, f.subjectToken(about), f.caseToken(participant, caseNumber))
	if err != nil {
		return Said{}, err
	}
	defer rows.Close()
	var said Said
	for rows.Next() {
		s, err := scanSource(rows)
		if err != nil {
			return Said{}, err
		}
		if one, answered := s.usable(f.now()); answered {
			return one, nil
		} else if said.State == 0 {
			said = one
		}
	}
	return said, rows.Err()
}

// usable is what a source's supplier said, and whether it can be used: in time,
// or read by who asked.
func (s *source) usable(now int64) (Said, bool) {
	read := s.state == found || s.state == notFound || s.state == refused
	if s.answerPlusOne == 0 || s.late && !read {
		state := s.state
		if state == waiting && now >= s.deadline {
			state = timedOut
		}
		return Said{State: state, FanOut: s.fanOut}, false
	}
	switch s.outcome {
	case saysFound:
		return Said{State: found, Records: s.records}, true
	case saysNotFound:
		return Said{State: notFound}, true
	}
	return Said{State: refused, Rule: s.said}, true
}

func (f *FanOuts) caseToken(participant, number string) []byte {
	return f.Keyring.Token(identity.TokenCase, participant, number)
}

// subjectToken is of a subject as a request names it, normalised.
func (f *FanOuts) subjectToken(s *ledgerv1.Subject) []byte {
	return f.Keyring.Token(identity.TokenSubject, s.GetType(), s.GetNumber())
}
