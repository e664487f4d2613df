package reuse

import (
	"context"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// maxDays bounds the days of one question.
const maxDays = 3660

// Statistics counts what was asked, held, reused, declined and submitted. Operators
// and auditors see every department, a department its own.
func (r *Reuse) Statistics(ctx context.Context, caller *identity.Caller, req *exchangev1.GetReuseStatisticsRequest) (*exchangev1.GetReuseStatisticsResponse, error) {
	request := access.Request{Caller: caller, Action: access.ReadLedger}
	d := r.Policy.Decide(request)
	if !d.Allow {
		return nil, r.Queries.Refuse(ctx, request, d)
	}
	department := req.Department
	if !d.All && !caller.Roles.Has(identity.Operator) {
		if department != "" && department != caller.Participant {
			return nil, r.Queries.Denied(ctx, request, d, fault.New(fault.Denied, "statistics.department", "a department sees what was counted of itself; operators and auditors see all"))
		}
		department = caller.Participant
	}
	from, err := r.dayOf("from", req.From)
	if err != nil {
		return nil, err
	}
	until, err := r.dayOf("until", req.Until)
	if err != nil {
		return nil, err
	}
	if until < from || until-from > maxDays {
		return nil, fault.Field("until", "statistics.days", "is the first day or a later one, %d days on at most", maxDays)
	}
	if err := r.Queries.Index.Wait(ctx, r.Queries.Journal.Head().Size); err != nil {
		return nil, err
	}
	counts, err := r.Index.Counts(ctx, from, until, req.Item, department)
	if err != nil {
		return nil, err
	}
	answer := &exchangev1.GetReuseStatisticsResponse{}
	for _, c := range counts {
		answer.Counts = append(answer.Counts, &exchangev1.ReuseCount{
			Day: dateOf(c.Day), Item: c.Item, Department: c.Department, Cases: c.Cases, Asked: c.Asked, Held: c.Held,
			Reused: c.Reused, Declined: c.Declined, Submitted: c.Submitted, Papers: c.Papers, Avoidable: c.Avoidable,
		})
	}
	return answer, nil
}

// dayOf reads a date; today if it is empty.
func (r *Reuse) dayOf(field, text string) (int64, error) {
	if text == "" {
		return r.today(), nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fault.Field(field, "date.format", "is a date like 2026-11-28")
	}
	return t.Unix() / (24 * 60 * 60), nil
}
