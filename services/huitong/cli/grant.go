package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
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
	var t termFlags
	var dry bool
	c := &cobra.Command{
		Use:   "create TOPIC --consumer CODE[/SYSTEM] --fields LIST",
		Short: "Record a grant that was agreed outside the exchange, as the operator",
		Long: `Lets a consumer read fields of a topic, for named purposes, as it was agreed on paper; it
is marked so everywhere. On the exchange both sides agree: huitong grant request.
` + termsFile,
		Example: `  huitong grant create person --consumer 11999900MB0000078G \
      --basis 社会救助暂行办法第五十八条 --scenario 困难残疾人生活补贴审核 \
      --fields id_type,id_number,name,registered_address --service-item 000115004000 --mode query`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			g, err := t.grant(args[0])
			if err != nil {
				return err
			}
			if g.Consumer == "" {
				return usageError("--consumer names who may read, unless a --file does")
			}
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
	t.add(c)
	return dryRunFlag(c, &dry)
}
