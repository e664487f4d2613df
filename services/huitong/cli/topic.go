package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) topicCommand() *cobra.Command {
	return noun("topic", "Keep the catalogue of records",
		a.topicCreate(), a.topicList(), a.topicShow(), a.topicWithdraw())
}

func (a *app) topicCreate() *cobra.Command {
	t := &cataloguev1.Topic{}
	var class, cycle string
	var modes []string
	var dry bool
	c := &cobra.Command{
		Use:   "create NAME --contract MESSAGE --title TEXT",
		Short: "List a kind of record in the catalogue",
		Example: `  huitong topic create person --provider 11999900MB0000019D --title 人口基本信息 \
      --contract huitong.records.v1.Person --class conditional --conditions 社会救助核对`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			var err error
			if t.SharingClass, err = enumValue[cataloguev1.SharingClass]("--class", class); err != nil {
				return err
			}
			if t.UpdateCycle, err = enumValue[cataloguev1.UpdateCycle]("--update-cycle", cycle); err != nil {
				return err
			}
			if t.DeliveryModes, err = enumValues[cataloguev1.DeliveryMode]("--mode", modes); err != nil {
				return err
			}
			t.Name = args[0]
			if t.Provider == "" {
				t.Provider, _, _ = strings.Cut(c.System(), "/")
			}
			resp, err := catalogue(c).CreateTopic(ctx, &cataloguev1.CreateTopicRequest{Topic: t, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "topic %s created", args[0])
		}),
	}
	f := c.Flags()
	f.StringVar(&t.Title, "title", "", "the name, for people")
	f.StringVar(&t.Provider, "provider", "", "the organisation that publishes; the caller's own if not given")
	f.StringVar(&t.Contract, "contract", "", "full name of the contract's message")
	f.StringVar(&class, "class", "conditional", "unconditional, conditional or not-shared")
	f.StringVar(&t.Conditions, "conditions", "", "conditions of use, for conditional sharing")
	f.StringVar(&t.LegalBasis, "legal-basis", "", "the law or decision by which it is not shared")
	f.StringVar(&cycle, "update-cycle", "", "how often the records are brought up to date: real-time, day, week, month, quarter, year, irregular")
	f.StringSliceVar(&modes, "mode", []string{"subscribe", "query"}, "how records may be delivered: subscribe, query, check")
	f.BoolVar(&t.SignatureRequired, "signature-required", true, "refuse publications that are not signed")
	_ = c.MarkFlagRequired("contract")
	return dryRunFlag(c, &dry)
}

func (a *app) topicList() *cobra.Command {
	var provider string
	c := &cobra.Command{
		Use: "list", Short: "List the topics of the catalogue", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			type T = *cataloguev1.Topic
			return list(a, pages(func(token string) ([]T, string, error) {
				resp, err := catalogue(c).ListTopics(ctx, &cataloguev1.ListTopicsRequest{Provider: provider, PageSize: pageSize, PageToken: token})
				return resp.GetTopics(), resp.GetNextPageToken(), fault.FromStatus(err)
			}),
				column[T]{"TOPIC", T.GetName}, column[T]{"TITLE", T.GetTitle}, column[T]{"PROVIDER", T.GetProvider},
				column[T]{"CONTRACT", T.GetContract},
				column[T]{"CLASS", func(t T) string { return enumText(t.GetSharingClass()) }},
				column[T]{"STATE", func(t T) string { return enumText(t.GetState()) }})
		}),
	}
	c.Flags().StringVar(&provider, "provider", "", "only topics of this organisation")
	return c
}

func (a *app) topicShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a topic", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := catalogue(c).GetTopic(ctx, &cataloguev1.GetTopicRequest{Name: args[0]})
			if err != nil {
				return fault.FromStatus(err)
			}
			t := resp.GetTopic()
			return a.show(t, pair{"topic", t.GetName()}, pair{"title", t.GetTitle()}, pair{"provider", t.GetProvider()},
				pair{"contract", t.GetContract()}, pair{"class", enumText(t.GetSharingClass())},
				pair{"conditions", t.GetConditions()}, pair{"legal basis", t.GetLegalBasis()}, pair{"update cycle", enumText(t.GetUpdateCycle())},
				pair{"delivery", joined(t.GetDeliveryModes())}, pair{"signature", yesNo(t.GetSignatureRequired(), "required", "optional")},
				pair{"state", enumText(t.GetState())}, pair{"created", when(t.GetCreatedAt())}, pair{"partition", itoa(t.GetPartition())})
		}),
	}
}

func yesNo(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func (a *app) topicWithdraw() *cobra.Command {
	var reason string
	var dry bool
	c := &cobra.Command{
		Use: "withdraw NAME --reason TEXT", Short: "Take a topic out of the catalogue; nothing is exchanged on it any more", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := catalogue(c).WithdrawTopic(ctx, &cataloguev1.WithdrawTopicRequest{Name: args[0], Reason: reason, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "topic %s withdrawn", args[0])
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}
