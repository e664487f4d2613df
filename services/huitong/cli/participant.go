package cli

import (
	"context"
	"iter"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// pageSize is how much of a list one call brings.
const pageSize = 1000

func catalogue(c *sdk.Client) cataloguev1.CatalogueServiceClient {
	return cataloguev1.NewCatalogueServiceClient(c.Conn())
}

// dryRunFlag adds the flag by which a changing call only checks.
func dryRunFlag(c *cobra.Command, dry *bool) *cobra.Command {
	c.Flags().BoolVar(dry, "dry-run", false, "check everything, change nothing")
	return c
}

// reasonFlag adds the flag that says why; it goes into the ledger.
func reasonFlag(c *cobra.Command, reason *string) *cobra.Command {
	c.Flags().StringVar(reason, "reason", "", "why; it goes into the ledger and must hold no personal data")
	return c
}

func (a *app) participantCommand() *cobra.Command {
	return noun("participant", "Keep the organisations that take part",
		a.participantRegister(), a.participantList(), a.participantSuspend(), a.participantResume())
}

func (a *app) participantRegister() *cobra.Command {
	var name, region string
	var dry bool
	c := &cobra.Command{
		Use: "register CODE --name NAME", Short: "Register an organisation by its unified social credit code",
		Example: `  huitong participant register 11999900MB0000019D --name 示范市公安局 --region 999999`,
		Args:    cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := catalogue(c).RegisterParticipant(ctx, &cataloguev1.RegisterParticipantRequest{
				Participant: &cataloguev1.Participant{Code: args[0], Name: name, Region: region}, ValidateOnly: dry,
			})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "participant %s registered", args[0])
		}),
	}
	c.Flags().StringVar(&name, "name", "", "the organisation's name")
	c.Flags().StringVar(&region, "region", "", "administrative division, GB/T 2260")
	return dryRunFlag(c, &dry)
}

func (a *app) participantList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the organisations that take part", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			type P = *cataloguev1.Participant
			return list(a, participants(ctx, c),
				column[P]{"CODE", P.GetCode}, column[P]{"NAME", P.GetName}, column[P]{"REGION", P.GetRegion},
				column[P]{"STATE", func(p P) string { return enumText(p.GetState()) }},
				column[P]{"SINCE", func(p P) string { return when(p.GetRegisteredAt()) }})
		}),
	}
}

// participantNames gives what each organisation is called, by its code.
func participantNames(ctx context.Context, c *sdk.Client) (map[string]string, error) {
	names := map[string]string{}
	for p, err := range participants(ctx, c) {
		if err != nil {
			return nil, err
		}
		names[p.GetCode()] = p.GetName()
	}
	return names, nil
}

// participants are all organisations that the caller may see.
func participants(ctx context.Context, c *sdk.Client) iter.Seq2[*cataloguev1.Participant, error] {
	return pages(func(token string) ([]*cataloguev1.Participant, string, error) {
		resp, err := catalogue(c).ListParticipants(ctx, &cataloguev1.ListParticipantsRequest{PageSize: pageSize, PageToken: token})
		return resp.GetParticipants(), resp.GetNextPageToken(), fault.FromStatus(err)
	})
}

func (a *app) participantSuspend() *cobra.Command {
	var reason string
	var dry bool
	c := &cobra.Command{
		Use: "suspend CODE --reason TEXT", Short: "Suspend an organisation with all its systems", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := catalogue(c).SuspendParticipant(ctx, &cataloguev1.SuspendParticipantRequest{Code: args[0], Reason: reason, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "participant %s suspended", args[0])
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}

func (a *app) participantResume() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "resume CODE", Short: "Let a suspended organisation take part again", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := catalogue(c).ResumeParticipant(ctx, &cataloguev1.ResumeParticipantRequest{Code: args[0], ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "participant %s resumed", args[0])
		}),
	}
	return dryRunFlag(c, &dry)
}
