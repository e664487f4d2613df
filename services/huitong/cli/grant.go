package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func access(c *sdk.Client) accessv1.AccessServiceClient {
	return accessv1.NewAccessServiceClient(c.Conn())
}

func (a *app) grantCommand() *cobra.Command {
	return noun("grant", "Keep who may read which topic, for what",
		append(a.grantSteps(), a.grantRequest(), a.grantAgreements(), a.grantCreate(), a.grantList(), a.grantShow(), a.grantSuspend(), a.grantResume())...)
}

func (a *app) grantCreate() *cobra.Command {
	g := &accessv1.Grant{}
	var modes []string
	var scope string
	var dry bool
	c := &cobra.Command{
		Use:   "create TOPIC --consumer CODE[/SYSTEM] --fields LIST",
		Short: "Let a consumer read fields of a topic, for named purposes",
		Example: `  huitong grant create person --consumer 11999900MB0000078G \
      --basis 社会救助暂行办法第五十八条 --scenario 困难残疾人生活补贴审核 \
      --fields id_type,id_number,name,registered_address --service-item 000115004000 --mode query`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			var err error
			if g.DeliveryModes, err = enumValues[cataloguev1.DeliveryMode]("--mode", modes); err != nil {
				return err
			}
			if g.Scope, err = enumValue[accessv1.GrantScope]("--scope", scope); err != nil {
				return err
			}
			g.Topic = args[0]
			resp, err := access(c).CreateGrant(ctx, &accessv1.CreateGrantRequest{Grant: g, ValidateOnly: dry})
			if err = fault.FromStatus(err); fault.RuleOf(err) == "field.unknown" {
				return advise(err, "the topic names its contract (huitong topic show %s), and that its fields (huitong contract show …)", g.Topic)
			}
			if err != nil {
				return err
			}
			return a.changed(resp, dry, "grant %s created", resp.GetGrant().GetId())
		}),
	}
	f := c.Flags()
	f.StringVar(&g.Consumer, "consumer", "", "an organisation's code, or one of its systems CODE/SYSTEM")
	f.StringSliceVar(&g.Fields, "fields", nil, "names of the contract's top-level fields that may leave")
	f.StringVar(&g.Basis, "basis", "", "why the consumer may ask: law, regulation or duty")
	f.StringVar(&g.Scenario, "scenario", "", "what it is used for")
	f.StringSliceVar(&g.ServiceItems, "service-item", nil, "service item codes that a query may name as its purpose")
	f.StringSliceVar(&modes, "mode", []string{"query"}, "how records may be delivered: subscribe, query, check")
	f.StringVar(&g.StandingPurpose, "standing-purpose", "", "for subscriptions: the purpose they stand on")
	f.StringVar(&g.StandingLegalBasis, "standing-legal-basis", "", "for subscriptions: the legal basis they stand on")
	f.StringVar(&scope, "scope", "all-subjects", "all-subjects or enrolled-subjects")
	f.StringVar(&g.ValidFrom, "valid-from", "", "first day, YYYY-MM-DD; at once if not given")
	f.StringVar(&g.ValidUntil, "valid-until", "", "last day, YYYY-MM-DD; open if not given")
	f.Uint64Var(&g.DailyLimit, "daily-limit", 0, "queries a day; no limit if 0")
	_ = c.MarkFlagRequired("consumer")
	return dryRunFlag(c, &dry)
}

func (a *app) grantList() *cobra.Command {
	var topic, consumer string
	c := &cobra.Command{
		Use: "list", Short: "List grants", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			type G = *accessv1.Grant
			return list(a, pages(func(token string) ([]G, string, error) {
				resp, err := access(c).ListGrants(ctx, &accessv1.ListGrantsRequest{Topic: topic, Consumer: consumer, PageSize: pageSize, PageToken: token})
				return resp.GetGrants(), resp.GetNextPageToken(), fault.FromStatus(err)
			}),
				column[G]{"GRANT", G.GetId}, column[G]{"TOPIC", G.GetTopic}, column[G]{"CONSUMER", G.GetConsumer},
				column[G]{"MODES", func(g G) string { return joined(g.GetDeliveryModes()) }},
				column[G]{"FIELDS", func(g G) string { return itoa(len(g.GetFields())) }},
				column[G]{"UNTIL", func(g G) string { return orElse(g.GetValidUntil(), "open") }},
				column[G]{"STATE", func(g G) string { return enumText(g.GetState()) }})
		}),
	}
	c.Flags().StringVar(&topic, "topic", "", "only grants on this topic")
	c.Flags().StringVar(&consumer, "consumer", "", "only grants of this consumer")
	return c
}

func (a *app) grantShow() *cobra.Command {
	return &cobra.Command{
		Use: "show GRANT", Short: "Show a grant and what each side did", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := access(c).GetGrant(ctx, &accessv1.GetGrantRequest{Id: args[0]})
			if err != nil {
				return fault.FromStatus(err)
			}
			g := resp.GetGrant()
			limit := ""
			if g.GetDailyLimit() > 0 {
				limit = itoa(g.GetDailyLimit()) + " queries a day"
			}
			if err := a.show(g, pair{"grant", g.GetId()}, pair{"version", itoa(g.GetVersion())}, pair{"topic", g.GetTopic()},
				pair{"provider", g.GetProvider()}, pair{"consumer", g.GetConsumer()}, pair{"basis", g.GetBasis()}, pair{"scenario", g.GetScenario()},
				pair{"fields", strings.Join(g.GetFields(), ", ")}, pair{"service items", strings.Join(g.GetServiceItems(), ", ")},
				pair{"modes", joined(g.GetDeliveryModes())}, pair{"standing purpose", g.GetStandingPurpose()},
				pair{"standing basis", g.GetStandingLegalBasis()}, pair{"scope", enumText(g.GetScope())},
				pair{"valid", orElse(g.GetValidFrom(), "open") + " to " + orElse(g.GetValidUntil(), "open")}, pair{"limit", limit},
				pair{"state", enumText(g.GetState())}, pair{"reason", g.GetReason()}); err != nil || a.json() {
				return err
			}
			a.printf("\n")
			t := newTable(a.out, "AT", "SIDE", "STEP", "SYSTEM", "PERSON", "NOTE")
			for _, s := range g.GetSteps() {
				if err := t.row(when(s.GetAt()), s.GetSide(), s.GetStep(), s.GetSystem(), s.GetPerson(), s.GetNote()); err != nil {
					return err
				}
			}
			return t.flush()
		}),
	}
}

func (a *app) grantSuspend() *cobra.Command {
	var reason string
	var dry bool
	c := &cobra.Command{
		Use: "suspend GRANT --reason TEXT", Short: "Suspend a grant; nothing leaves by it from then on", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := access(c).SuspendGrant(ctx, &accessv1.SuspendGrantRequest{Id: args[0], Reason: reason, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "grant %s suspended", args[0])
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}

func (a *app) grantResume() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "resume GRANT", Short: "Let a suspended grant hold again", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := access(c).ResumeGrant(ctx, &accessv1.ResumeGrantRequest{Id: args[0], ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "grant %s resumed", args[0])
		}),
	}
	return dryRunFlag(c, &dry)
}
