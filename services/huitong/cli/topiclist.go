package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) topicList() *cobra.Command {
	var f cataloguev1.ListTopicsRequest
	var state, class string
	c := &cobra.Command{
		Use: "list", Short: "List the topics of the catalogue, and what must be done next",
		Long: `Lists topics in the order of their names. What is not published is shown to its provider,
operators and auditors.`,
		Example: `  huitong topic list --state submitted
  huitong topic list --provider 11999900MB00000278 --category 0302
  huitong topic list --text 婚姻`,
		Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			var err error
			if f.State, err = enumValue[cataloguev1.TopicState]("--state", state); err != nil {
				return err
			}
			if f.SharingClass, err = enumValue[cataloguev1.SharingClass]("--class", class); err != nil {
				return err
			}
			clocks, err := reviewClocks(ctx, c)
			if err != nil {
				return err
			}
			type T = *cataloguev1.Topic
			next := func(part func(topicNext) string) func(T) string {
				return func(t T) string { return part(nextOfTopic(t, clocks[t.GetName()])) }
			}
			return list(a, pages(func(token string) ([]T, string, error) {
				f.PageSize, f.PageToken = pageSize, token
				resp, err := catalogue(c).ListTopics(ctx, &f)
				return resp.GetTopics(), resp.GetNextPageToken(), fault.FromStatus(err)
			}),
				column[T]{"TOPIC", T.GetName}, column[T]{"TITLE", T.GetTitle}, column[T]{"PROVIDER", T.GetProvider},
				column[T]{"CODE", entryCode}, column[T]{"CONTRACT", T.GetContract},
				column[T]{"CLASS", func(t T) string { return enumText(t.GetSharingClass()) }},
				column[T]{"STATE", topicState},
				column[T]{"NEXT", next(func(n topicNext) string { return orElse(n.what, "-") })},
				column[T]{"BY WHOM", next(func(n topicNext) string { return orElse(n.whom, "-") })},
				column[T]{"LAST DAY", next(func(n topicNext) string { return n.day })},
				column[T]{"WORKING DAYS", next(func(n topicNext) string { return n.days })})
		}),
	}
	fs := c.Flags()
	fs.StringVar(&f.Provider, "provider", "", "only topics of this organisation")
	fs.StringVar(&f.Category, "category", "", "only topics whose category's code begins with this")
	fs.StringVar(&f.Text, "text", "", "only topics that have all of these words for people")
	fs.StringVar(&f.ServiceItem, "service-item", "", "only topics that serve the service item with this code")
	fs.StringVar(&state, "state", "", "only topics in this state, or with a revision in it: draft, submitted, returned, published, withdrawn")
	fs.StringVar(&class, "class", "", "only topics of this class: unconditional, conditional, not-shared")
	return c
}

// entryCode gives the entry's code, or its category while it has none.
func entryCode(t *cataloguev1.Topic) string {
	return orElse(orElse(t.GetCode(), t.GetCategory().GetCode()), "-")
}

// reviewClocks gives the clocks of reviews that run, by topic.
func reviewClocks(ctx context.Context, c *sdk.Client) (map[string]*accessv1.Deadline, error) {
	clocks := map[string]*accessv1.Deadline{}
	for d, err := range c.Deadlines(ctx, sdk.DeadlineFilter{Kind: reviewKind, Open: true}) {
		if err != nil {
			return nil, err
		}
		clocks[d.GetObject()] = d
	}
	return clocks, nil
}
