package cli

import (
	"context"

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
		append(a.grantSteps(), a.grantRequest(), a.grantCreate(), a.grantList(), a.grantShow(), a.grantSuspend(), a.grantResume())...)
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
