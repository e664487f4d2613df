package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) statsCommand() *cobra.Command {
	var q sdk.ReuseQuery
	var from, until string
	c := &cobra.Command{
		Use: "stats", Short: "Count which materials were asked for, held, reused and submitted",
		Long: `Counts by day, service item and department, from the ledger alone: the cases that were
prepared, the materials that their items ask for, and what became of them. A case that
is prepared again counts once, and one that was collected without being prepared
counts under REUSED and DECLINED alone. A department sees its own, operators and
auditors see all.`,
		Example: `  huitong stats
  huitong stats --from 2026-11-01 --until 2026-11-30 --item 11999900MB000002780007110040001`,
		Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, client *sdk.Client, _ []string) error {
			var err error
			if q.From, err = parseDay("--from", from); err != nil {
				return err
			}
			if q.Until, err = parseDay("--until", until); err != nil {
				return err
			}
			counts, err := client.ReuseStatistics(ctx, q)
			if err != nil {
				return err
			}
			return a.counts(ctx, client, counts)
		}),
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", "first day; today if not given")
	f.StringVar(&until, "until", "", "last day; today if not given")
	f.StringVar(&q.Item, "item", "", "only of this service item")
	f.StringVar(&q.Department, "department", "", "only of this department, for operators and auditors")
	return c
}

func (a *app) counts(ctx context.Context, client *sdk.Client, all []*sdk.ReuseCount) error {
	type C = *sdk.ReuseCount
	shown, items, names := all, map[string]string{}, map[string]string{}
	if !a.json() {
		shown = append(shown, sum(all))
		var err error
		if names, err = participantNames(ctx, client); err != nil {
			return err
		}
		known, err := itemsOf(ctx, client, sdk.ServiceItemFilter{})
		if err != nil {
			return err
		}
		for _, item := range known {
			items[item.GetImplementationCode()] = item.GetName()
		}
	}
	number := func(get func(C) uint64) func(C) string { return func(c C) string { return itoa(get(c)) } }
	return list(a, each(shown),
		column[C]{"DAY", C.GetDay}, column[C]{"CODE", C.GetItem},
		column[C]{"ITEM", func(c C) string { return items[c.GetItem()] }},
		column[C]{"DEPARTMENT", func(c C) string { return orElse(names[c.GetDepartment()], c.GetDepartment()) }},
		column[C]{"CASES", number(C.GetCases)}, column[C]{"ASKED", number(C.GetAsked)}, column[C]{"HELD", number(C.GetHeld)},
		column[C]{"REUSED", number(C.GetReused)}, column[C]{"DECLINED", number(C.GetDeclined)}, column[C]{"SUBMITTED", number(C.GetSubmitted)},
		column[C]{"PAPERS", number(C.GetPapers)}, column[C]{"AVOIDABLE", number(C.GetAvoidable)})
}

// sum is the last line of a table of counts.
func sum(all []*sdk.ReuseCount) *sdk.ReuseCount {
	s := &sdk.ReuseCount{Day: "sum"}
	for _, c := range all {
		s.Cases += c.GetCases()
		s.Asked += c.GetAsked()
		s.Held += c.GetHeld()
		s.Reused += c.GetReused()
		s.Declined += c.GetDeclined()
		s.Submitted += c.GetSubmitted()
		s.Papers += c.GetPapers()
		s.Avoidable += c.GetAvoidable()
	}
	return s
}
