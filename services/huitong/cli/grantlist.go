package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// grantFilter narrows a list of grants; what is empty does not.
type grantFilter struct {
	topic, consumer string
	state           accessv1.GrantState
	mine            bool
}

// takes says whether a grant is listed, by its newest version and the one in force.
func (f *grantFilter) takes(newest, force *accessv1.Grant) bool {
	consumer, _, _ := strings.Cut(newest.GetConsumer(), "/")
	return (f.consumer == "" || f.consumer == newest.GetConsumer() || f.consumer == consumer) &&
		(f.state == 0 || f.state == newest.GetState() || f.state == force.GetState())
}

// all goes through the newest version of each grant.
func (f *grantFilter) all(ctx context.Context, c *sdk.Client, force map[string]*accessv1.Grant) iter.Seq2[*accessv1.Agreement, error] {
	every := pages(func(token string) ([]*accessv1.Agreement, string, error) {
		resp, err := accessv1.NewAgreementServiceClient(c.Conn()).ListAgreements(ctx, &accessv1.ListAgreementsRequest{
			Topic: f.topic, Mine: f.mine, PageSize: pageSize, PageToken: token,
		})
		return resp.GetAgreements(), resp.GetNextPageToken(), fault.FromStatus(err)
	})
	return func(yield func(*accessv1.Agreement, error) bool) {
		for one, err := range every {
			if g := one.GetGrant(); (err != nil || f.takes(g, force[g.GetId()])) && !yield(one, err) {
				return
			}
		}
	}
}

// inForce gives the version in force of each grant that has one, by its id.
func (f *grantFilter) inForce(ctx context.Context, c *sdk.Client) (map[string]*accessv1.Grant, error) {
	force := map[string]*accessv1.Grant{}
	for g, err := range pages(func(token string) ([]*accessv1.Grant, string, error) {
		resp, err := access(c).ListGrants(ctx, &accessv1.ListGrantsRequest{Topic: f.topic, PageSize: pageSize, PageToken: token})
		return resp.GetGrants(), resp.GetNextPageToken(), fault.FromStatus(err)
	}) {
		if err != nil {
			return nil, err
		}
		force[g.GetId()] = g
	}
	return force, nil
}

func (a *app) grantList() *cobra.Command {
	var f grantFilter
	var state string
	c := &cobra.Command{
		Use: "list", Short: "List grants: how they stand, what must be done next, by whom and by which day",
		Long: `Lists the newest version of each grant, and how the version in force stands where that
is another: a change or an extension that is requested ends nothing.`,
		Example: `  huitong grant list --mine
  huitong grant list --topic marriage --state active`,
		Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			var err error
			if f.state, err = enumValue[accessv1.GrantState]("--state", state); err != nil {
				return err
			}
			force, err := f.inForce(ctx, c)
			if err != nil {
				return err
			}
			type A = *accessv1.Agreement
			of := func(value func(*accessv1.Grant) string) func(A) string {
				return func(one A) string { return value(one.GetGrant()) }
			}
			return list(a, f.all(ctx, c, force),
				column[A]{"GRANT", of((*accessv1.Grant).GetId)}, column[A]{"TOPIC", of((*accessv1.Grant).GetTopic)},
				column[A]{"CONSUMER", of((*accessv1.Grant).GetConsumer)},
				column[A]{"VERSION", of(func(g *accessv1.Grant) string { return itoa(g.GetVersion()) })},
				column[A]{"STATE", of(func(g *accessv1.Grant) string { return grantState(g, force[g.GetId()]) })},
				column[A]{"UNTIL", of(func(g *accessv1.Grant) string { return orElse(g.GetValidUntil(), "open") })},
				column[A]{"AGREED", of(func(g *accessv1.Grant) string { return yesNo(g.GetRecordedOutside(), "outside", "here") })},
				column[A]{"NEXT", func(one A) string { return orElse(nextOfGrant(one), "-") }},
				column[A]{"BY WHOM", func(one A) string { return orElse(turnText(one), "-") }},
				column[A]{"CLOCK", func(one A) string { return clockText(one.GetDeadline()) }},
				column[A]{"LAST DAY", func(one A) string { return dueText(one.GetDeadline()) }},
				column[A]{"WORKING DAYS", func(one A) string { return daysOf(one.GetDeadline()) }})
		}),
	}
	fs := c.Flags()
	fs.StringVar(&f.topic, "topic", "", "only grants on this topic")
	fs.StringVar(&f.consumer, "consumer", "", "only grants of this consumer: CODE with its systems, CODE/SYSTEM or group:ID")
	fs.StringVar(&state, "state", "", "only grants in this state, or in force in it: requested, returned, active, suspended, expired, …")
	fs.BoolVar(&f.mine, "mine", false, "only those that wait for your own side")
	return c
}

// grantState says how the newest version stands, and the one in force if that is
// another.
func grantState(newest, force *accessv1.Grant) string {
	state := enumText(newest.GetState())
	if force != nil && force.GetVersion() != newest.GetVersion() {
		state += "; version " + itoa(force.GetVersion()) + " is " + enumText(force.GetState())
	}
	return state
}

// nextOfGrant says what is to be done next; empty if nothing is.
func nextOfGrant(one *accessv1.Agreement) string {
	if one.GetGrant().GetState() == accessv1.GrantState_GRANT_STATE_SUSPENDED {
		return "resume or terminate it"
	}
	return one.GetNext()
}

// turnText names who is to do it: the side, and its organisation.
func turnText(one *accessv1.Agreement) string {
	g := one.GetGrant()
	turn := one.GetTurn()
	if g.GetState() == accessv1.GrantState_GRANT_STATE_SUSPENDED {
		turn = g.GetSuspendedBy()
	}
	switch turn {
	case "provider":
		return "provider " + g.GetProvider()
	case "consumer":
		return "consumer " + g.GetConsumer()
	}
	return turn
}

func clockText(d *accessv1.Deadline) string {
	if d == nil {
		return ""
	}
	return kindWords(d.GetKind())
}

func daysOf(d *accessv1.Deadline) string {
	switch {
	case d == nil:
		return ""
	case d.GetLate():
		return fmt.Sprintf("late by %d", d.GetDaysLate())
	}
	return fmt.Sprintf("%d left", d.GetDaysLeft())
}
