package reuse

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/huitong-bus/huitong/exchange/fanout"
	"github.com/huitong-bus/huitong/exchange/journal"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// Suppliers know what was answered live; a fanout.FanOuts.
type Suppliers interface {
	SaidFor(ctx context.Context, participant, caseNumber string, about *ledgerv1.Subject, topic string) (fanout.Said, error)
}

// lookLive leaves of a source that is answered live what its supplier answered for
// this case: what the topic holds beside were answers to others.
func (s *sources) lookLive(ctx context.Context, one *source) error {
	whole := s.a.allowed.Request
	said, err := s.r.Suppliers.SaidFor(ctx, whole.Caller.Participant, whole.Case, one.about, one.topic.Name)
	if err != nil {
		return err
	}
	one.said = &said
	var answered [][]byte
	for _, index := range said.Records {
		var token []byte
		err := s.r.Queries.DB.Reader().QueryRowContext(ctx, "SELECT key_token FROM sealed WHERE idx = $1", int64(index)).Scan(&token)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		answered = append(answered, token)
	}
	// A later version of the same record is what stands now, such as a correction.
	one.held = slices.DeleteFunc(one.held, func(h journal.Held) bool {
		return !slices.ContainsFunc(answered, func(token []byte) bool { return string(token) == string(h.Present.KeyToken) })
	})
	return nil
}

// answered says whether a live source was answered with something to choose from,
// and else how the material stands.
func (m *material) answered(from *source) bool {
	ask := "ask " + from.topic.Provider + " live, by a fan-out, then prepare again; or the applicant submits it"
	switch from.said.State {
	case recordsv1.FanOutState_FAN_OUT_STATE_FOUND:
		return true
	case recordsv1.FanOutState_FAN_OUT_STATE_NOT_FOUND:
		m.take(mustSubmit, from, "", "its supplier was asked for this case, and holds nothing about the subject", submitTo(m.ItemMaterial))
	case recordsv1.FanOutState_FAN_OUT_STATE_REFUSED:
		m.take(mustSubmit, from, from.said.Rule, "its supplier was asked for this case, and refused", submitTo(m.ItemMaterial))
	case recordsv1.FanOutState_FAN_OUT_STATE_WAITING:
		m.take(supplierLate, from, "", "its supplier was asked for this case, and has not answered yet", "prepare again when it has; or the applicant submits it")
	case recordsv1.FanOutState_FAN_OUT_STATE_TIMED_OUT:
		m.take(supplierLate, from, "", "its supplier was asked for this case, and did not answer in time", "look at fan-out "+from.said.FanOut+" once it has, then prepare again; or the applicant submits it")
	case recordsv1.FanOutState_FAN_OUT_STATE_ANSWERED_LATE:
		m.take(supplierLate, from, "", "its supplier answered after the deadline, and nobody has read it", "look at fan-out "+from.said.FanOut+", which reads it, then prepare again")
	default:
		m.take(mustSubmit, from, "topic.answered_live", "the topic is answered live, and its supplier was not asked for this case", ask)
	}
	return false
}
