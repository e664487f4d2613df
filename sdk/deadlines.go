package sdk

import (
	"context"
	"iter"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// The exchange's own topics. Every department subscribes to them without a grant
// and receives the records that name it: huitong.records.v1.Deadline when a
// legal clock passed, was extended or was met late, and huitong.records.v1.Notice
// when something happened to a record that it received.
const (
	DeadlineTopic = "huitong-deadlines"
	NoticeTopic   = "huitong-notices"
)

// Deadline is a legal clock: who must do what by which day, in working days.
type Deadline = accessv1.Deadline

// DeadlineFilter narrows a list of deadlines; what is empty does not.
type DeadlineFilter struct {
	// Owner is the participant that must act, Party one that waits.
	Owner, Party string
	// Kind is "grant.answer.conditional", "correction.answer", …; Object what must
	// be dealt with: a grant, a dispute, a topic, a notice.
	Kind, Object string
	// Open keeps those that run, Late those that are late or were.
	Open, Late bool
	// DueBefore keeps those due before a day, "YYYY-MM-DD".
	DueBefore string
}

// Deadlines lists the deadlines that the caller's participant must keep or waits
// for, in the order in which their clocks started; all to operators and auditors.
func (c *Client) Deadlines(ctx context.Context, f DeadlineFilter) iter.Seq2[*Deadline, error] {
	return func(yield func(*Deadline, error) bool) {
		service := accessv1.NewDeadlineServiceClient(c.Conn())
		for token := ""; ; {
			resp, err := service.ListDeadlines(ctx, &accessv1.ListDeadlinesRequest{
				Owner: f.Owner, Party: f.Party, Kind: f.Kind, Object: f.Object, Open: f.Open, Late: f.Late, DueBefore: f.DueBefore, PageToken: token,
			})
			if err != nil {
				yield(nil, fault.FromStatus(err))
				return
			}
			for _, d := range resp.GetDeadlines() {
				if !yield(d, nil) {
					return
				}
			}
			if token = resp.GetNextPageToken(); token == "" {
				return
			}
		}
	}
}
