package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) deadLetterCommand() *cobra.Command {
	c := noun("dead-letter", "Look at and replay what could not be delivered",
		a.deadLetterList(), a.deadLetterPeek(), a.deadLetterReplay())
	c.Aliases = []string{"dead-letters"}
	return c
}

func (a *app) deadLetterList() *cobra.Command {
	return &cobra.Command{
		Use: "list SUBSCRIPTION", Short: "List a subscription's dead letters", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			type D = *exchangev1.DeadLetter
			return list(a, c.DeadLetters(ctx, args[0]),
				column[D]{"SEQUENCE", func(d D) string { return itoa(d.GetSequence()) }},
				column[D]{"ENTRY", func(d D) string { return itoa(d.GetIndex()) }},
				column[D]{"ATTEMPTS", func(d D) string { return itoa(d.GetAttempts()) }},
				column[D]{"AT", func(d D) string { return when(d.GetAt()) }},
				column[D]{"REPLAYING", func(d D) string { return yesNo(d.GetReplaying(), "yes", "") }},
				column[D]{"REASON", D.GetReason})
		}),
	}
}

func parseSequences(texts []string) ([]uint64, error) {
	var all []uint64
	for _, t := range texts {
		n, err := strconv.ParseUint(t, 10, 64)
		if err != nil {
			return nil, usageError("%q is no sequence; see huitong dead-letter list", t)
		}
		all = append(all, n)
	}
	return all, nil
}

func (a *app) deadLetterPeek() *cobra.Command {
	var acting sdk.Acting
	c := &cobra.Command{
		Use: "peek SUBSCRIPTION SEQUENCE", Short: "Show a dead letter's record; an entry in the ledger says who looked", Args: cobra.ExactArgs(2),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			sequences, err := parseSequences(args[1:])
			if err != nil {
				return err
			}
			resp, err := exchange(c).PeekDeadLetter(ctx, &exchangev1.PeekDeadLetterRequest{
				Subscription: subscriptionID(c, args[0]), Sequence: sequences[0], Json: true,
				Acting: &exchangev1.Acting{Person: acting.Person, Purpose: acting.Purpose, CaseNumber: acting.Case},
			})
			if err != nil {
				return fault.FromStatus(err)
			}
			d, r := resp.GetDeadLetter(), resp.GetRecord()
			if err := a.show(resp, pair{"sequence", itoa(d.GetSequence())}, pair{"entry", itoa(d.GetIndex())},
				pair{"attempts", itoa(d.GetAttempts())}, pair{"at", when(d.GetAt())}, pair{"reason", d.GetReason()},
				pair{"operation", enumText(r.GetOperation())}, pair{"status", enumText(r.GetStatus())}, pair{"key", r.GetKey()}); err != nil {
				return err
			}
			if r.GetJson() != "" {
				a.printf("%s\n", printable(r.GetJson()))
			}
			return nil
		}),
	}
	actingFlags(c, &acting)
	return c
}

func (a *app) deadLetterReplay() *cobra.Command {
	var all, dry bool
	c := &cobra.Command{
		Use: "replay SUBSCRIPTION (SEQUENCE... | --all)", Short: "Deliver dead letters once more, marked late", Args: cobra.MinimumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			sequences, err := parseSequences(args[1:])
			if err != nil {
				return err
			}
			if all == (len(sequences) > 0) {
				return usageError("name the sequences to replay, or --all")
			}
			resp, err := exchange(c).ReplayDeadLetters(ctx, &exchangev1.ReplayDeadLettersRequest{
				Subscription: subscriptionID(c, args[0]), Sequences: sequences, ValidateOnly: dry,
			})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "%d dead letters are delivered once more", resp.GetReplayed())
		}),
	}
	c.Flags().BoolVar(&all, "all", false, "replay all of them")
	return dryRunFlag(c, &dry)
}
