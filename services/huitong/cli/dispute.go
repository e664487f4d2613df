package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) disputeCommand() *cobra.Command {
	c := noun("dispute", "Dispute records and answer disputes (校核)",
		a.disputeOpen(), a.disputeAnswer(), a.disputeWithdraw(), a.disputeList(), a.disputeShow())
	c.Aliases = []string{"disputes"}
	return c
}

func (a *app) disputeOpen() *cobra.Command {
	var n sdk.NewDispute
	c := &cobra.Command{
		Use: "open TOPIC ENTRY --reason TEXT --person P --case N", Short: "Ask a record's provider to verify it", Args: cobra.ExactArgs(2),
		Long: `Disputes the version of a record that a ledger entry published: the one that was seen.
Until its provider answers, the record is marked disputed wherever it is read; it may
be used nonetheless.`,
		Example: `  huitong --context hall dispute open marriage 25 --field state --reason 当事人出示了离婚证 \
      --person clerk-017 --case SF-2026-000042`,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			var err error
			n.Topic = args[0]
			if n.Index, err = parseIndex(args[1]); err != nil {
				return err
			}
			d, err := c.DisputeRecord(ctx, n)
			if err != nil {
				return err
			}
			if d.GetState() != exchangev1.DisputeState_DISPUTE_STATE_OPEN {
				return a.disputed(d, "the dispute of entry %d said the same, and is answered: %s%s", d.GetEntry(), enumText(d.GetState()), prefix(": ", d.GetAnswer()))
			}
			return a.disputed(d, "the record is disputed by entry %d; %s has to answer", d.GetEntry(), d.GetProvider())
		}),
	}
	f := c.Flags()
	f.StringSliceVar(&n.Fields, "field", nil, "names of the fields that are wrong; the record as a whole if not given")
	f.StringVar(&n.Reason, "reason", "", "what is wrong")
	f.StringVar(&n.Acting.Person, "person", "", "the official who acts, by the department's own reference")
	f.StringVar(&n.Acting.Case, "case", "", "the department's case number")
	return c
}

func (a *app) disputed(d *sdk.DisputeInfo, format string, args ...any) error {
	if a.json() {
		return a.printJSON(d)
	}
	a.printf(format+"\n", args...)
	return nil
}

func (a *app) disputeAnswer() *cobra.Command {
	var corrected uint64
	var kept bool
	var person, reason string
	c := &cobra.Command{
		Use: "answer DISPUTE (--corrected ENTRY | --kept) --person P", Short: "Answer a dispute of a record that you provide", Args: cobra.ExactArgs(1),
		Example: `  huitong --context registry dispute answer 31 --corrected 34 --person officer-3
  huitong --context registry dispute answer 31 --kept --reason 登记档案核实无误 --person officer-3`,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			dispute, err := parseIndex(args[0])
			if err != nil {
				return err
			}
			if kept == (corrected > 0) {
				return usageError("say either --corrected ENTRY or --kept")
			}
			var d *sdk.DisputeInfo
			if kept {
				d, err = c.AnswerKept(ctx, dispute, person, reason)
			} else {
				d, err = c.AnswerCorrected(ctx, dispute, corrected, person, reason)
			}
			if err != nil {
				return err
			}
			return a.disputed(d, "the dispute of entry %d is answered: %s%s", d.GetEntry(), enumText(d.GetState()), yesNo(d.GetLate(), ", late", ""))
		}),
	}
	f := c.Flags()
	f.Uint64Var(&corrected, "corrected", 0, "ledger entry of the later version that is right")
	f.BoolVar(&kept, "kept", false, "the record stands as it is; needs --reason")
	f.StringVar(&reason, "reason", "", "why")
	f.StringVar(&person, "person", "", "the official who acts, by the department's own reference")
	return c
}

func (a *app) disputeWithdraw() *cobra.Command {
	var person, reason string
	c := &cobra.Command{
		Use: "withdraw DISPUTE --person P", Short: "Take a dispute back", Args: cobra.ExactArgs(1),
		Example: "  huitong --context hall dispute withdraw 31 --person clerk-017 --reason 材料看错",
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			dispute, err := parseIndex(args[0])
			if err != nil {
				return err
			}
			d, err := c.WithdrawDispute(ctx, dispute, person, reason)
			if err != nil {
				return err
			}
			return a.disputed(d, "the dispute of entry %d is withdrawn", d.GetEntry())
		}),
	}
	c.Flags().StringVar(&person, "person", "", "the official who acts, by the department's own reference")
	c.Flags().StringVar(&reason, "reason", "", "why")
	return c
}

func (a *app) disputeList() *cobra.Command {
	var topic string
	var open bool
	c := &cobra.Command{
		Use: "list", Short: "List disputes that you raised or that are of your records, the newest first", Args: cobra.NoArgs,
		Example: "  huitong --context registry dispute list --open",
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			type D = *exchangev1.Dispute
			return list(a, c.Disputes(ctx, topic, open),
				column[D]{"DISPUTE", func(d D) string { return itoa(d.GetEntry()) }},
				column[D]{"TOPIC", D.GetTopic}, column[D]{"RECORD", func(d D) string { return "entry " + itoa(d.GetIndex()) }},
				column[D]{"BY", D.GetConsumer},
				column[D]{"AT", func(d D) string { return when(d.GetDisputedAt()) }},
				column[D]{"STATE", func(d D) string { return enumText(d.GetState()) + yesNo(d.GetLate(), " (late)", "") }},
				column[D]{"NEXT", nextStep}, column[D]{"REASON", D.GetReason})
		}),
	}
	c.Flags().StringVar(&topic, "topic", "", "only disputes on this topic")
	c.Flags().BoolVar(&open, "open", false, "only those that nobody has answered yet")
	return c
}

// nextStep says who has to do what about a dispute.
func nextStep(d *exchangev1.Dispute) string {
	if d.GetState() == exchangev1.DisputeState_DISPUTE_STATE_OPEN {
		return d.GetProvider() + " answers"
	}
	return ""
}

func (a *app) disputeShow() *cobra.Command {
	return &cobra.Command{
		Use: "show DISPUTE", Short: "Show a dispute, by its ledger entry", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			dispute, err := parseIndex(args[0])
			if err != nil {
				return err
			}
			d, err := c.Dispute(ctx, dispute)
			if err != nil {
				return err
			}
			corrected := ""
			if d.GetState() == exchangev1.DisputeState_DISPUTE_STATE_CORRECTED {
				corrected = itoa(d.GetCorrected())
			}
			return a.show(d, pair{"dispute", itoa(d.GetEntry())}, pair{"topic", d.GetTopic()}, pair{"provider", d.GetProvider()},
				pair{"raised by", d.GetConsumer()}, pair{"person", d.GetPerson()}, pair{"case", d.GetCaseNumber()},
				pair{"record", "entry " + itoa(d.GetIndex())}, pair{"key", d.GetKey()}, pair{"fields", orElse(strings.Join(d.GetFields(), ", "), "all")},
				pair{"at", when(d.GetDisputedAt())}, pair{"reason", d.GetReason()}, pair{"state", enumText(d.GetState()) + yesNo(d.GetLate(), " (late)", "")},
				pair{"next", nextStep(d)}, pair{"answered", when(d.GetAnsweredAt())}, pair{"answer", d.GetAnswer()}, pair{"corrected by entry", corrected})
		}),
	}
}
