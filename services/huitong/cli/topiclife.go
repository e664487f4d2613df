package cli

import (
	"context"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) topicSubmit() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "submit NAME", Short: "Hand a draft or a revision to the operator, who reviews it", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := catalogue(c).SubmitTopic(ctx, &cataloguev1.SubmitTopicRequest{Name: args[0], ValidateOnly: dry})
			if err = fault.FromStatus(err); fault.KindOf(err) == fault.Invalid {
				return advise(err, "add all of it: huitong topic edit %s; then submit again", args[0])
			}
			if err != nil {
				return err
			}
			return a.topicChanged(ctx, c, resp, dry, "submitted")
		}),
	}
	return dryRunFlag(c, &dry)
}

func (a *app) topicReview() *cobra.Command {
	var publish, back, dry bool
	var missing []string
	c := &cobra.Command{
		Use: "review NAME --publish | --return --missing TEXT…", Short: "Publish what was submitted, or return it with all that is missing",
		Example: `  huitong topic review marriage --publish
  huitong topic review marriage --return --missing conditions=写明用于哪些事项 --missing 摘要过于笼统`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			r := &cataloguev1.ReviewTopicRequest{Name: args[0], Publish: publish, ValidateOnly: dry}
			for _, text := range missing {
				r.Findings = append(r.Findings, findingOf(text))
			}
			if back && len(missing) == 0 {
				return usageError("say with --missing what is missing, all of it at once")
			}
			resp, err := catalogue(c).ReviewTopic(ctx, r)
			if err != nil {
				return fault.FromStatus(err)
			}
			what := yesNo(publish, "published", "returned")
			return a.topicChanged(ctx, c, resp, dry, what+yesNo(resp.GetLate(), ", late", ""))
		}),
	}
	f := c.Flags()
	f.BoolVar(&publish, "publish", false, "put it in force")
	f.BoolVar(&back, "return", false, "give it back to its department")
	f.StringArrayVar(&missing, "missing", nil, "what is missing or wrong, as TEXT or FIELD=TEXT; repeat it, and name all of it")
	c.MarkFlagsMutuallyExclusive("publish", "return")
	c.MarkFlagsMutuallyExclusive("publish", "missing")
	c.MarkFlagsOneRequired("publish", "return")
	return dryRunFlag(c, &dry)
}

var fieldPath = regexp.MustCompile(`^[a-z][a-z0-9_.\[\]]*$`)

// findingOf reads FIELD=TEXT, or a text about the whole.
func findingOf(text string) *cataloguev1.Finding {
	if field, message, ok := strings.Cut(text, "="); ok && fieldPath.MatchString(field) {
		return &cataloguev1.Finding{Field: field, Message: message}
	}
	return &cataloguev1.Finding{Message: text}
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
			return a.topicChanged(ctx, c, resp, dry, "withdrawn")
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}

// topicResponse is the answer of a call that changes a topic.
type topicResponse interface {
	receipted
	GetTopic() *cataloguev1.Topic
}

// topicChanged prints what became of a topic, and what comes next.
func (a *app) topicChanged(ctx context.Context, c *sdk.Client, resp topicResponse, dry bool, what string) error {
	t := resp.GetTopic()
	if !dry && resp.GetReceipt() == nil {
		what += " already"
	}
	if err := a.changed(resp, dry, "topic %s %s", t.GetName(), what); err != nil || a.json() || dry {
		return err
	}
	clock, err := reviewClock(ctx, c, t)
	if err != nil {
		return err
	}
	n := nextOfTopic(t, clock)
	a.printf("state  %s\n", topicState(t))
	a.printf("next   %s\n", n.text())
	return nil
}

// topicState says where an entry is in its life, and where its revision is.
func topicState(t *cataloguev1.Topic) string {
	state := enumText(t.GetState())
	if r := t.GetRevision(); r != nil {
		state += "; its revision is " + enumText(r.GetState())
	}
	return state
}

// pendingOf gives what is drafted, under review or returned of a topic; nil if
// nothing is.
func pendingOf(t *cataloguev1.Topic) *cataloguev1.Topic {
	switch t.GetState() {
	case cataloguev1.TopicState_TOPIC_STATE_PUBLISHED:
		return t.GetRevision()
	case cataloguev1.TopicState_TOPIC_STATE_WITHDRAWN:
		return nil
	}
	return t
}

// topicNext is what is to be done next about a topic; nothing if it is empty.
type topicNext struct{ what, whom, day, days string }

func (n topicNext) text() string {
	switch {
	case n.what == "":
		return "nothing"
	case n.day == "":
		return n.whom + ": " + n.what
	}
	return n.whom + ": " + n.what + ", by " + n.day + " (" + n.days + ")"
}

// nextOfTopic says what is to be done next and whose it is; clock is that of the
// review, if one runs.
func nextOfTopic(t *cataloguev1.Topic, clock *accessv1.Deadline) topicNext {
	provider := "provider " + t.GetProvider()
	switch pendingOf(t).GetState() {
	case cataloguev1.TopicState_TOPIC_STATE_DRAFT:
		return topicNext{what: "submit it", whom: provider}
	case cataloguev1.TopicState_TOPIC_STATE_RETURNED:
		return topicNext{what: "edit what was found and submit it again", whom: provider}
	case cataloguev1.TopicState_TOPIC_STATE_SUBMITTED:
		return topicNext{what: "review it", whom: "operator", day: dueText(clock), days: daysOf(clock)}
	}
	return topicNext{}
}

// reviewClock gives the clock of a review that runs; nil if none does.
func reviewClock(ctx context.Context, c *sdk.Client, t *cataloguev1.Topic) (*accessv1.Deadline, error) {
	if pendingOf(t).GetState() != cataloguev1.TopicState_TOPIC_STATE_SUBMITTED {
		return nil, nil
	}
	for d, err := range c.Deadlines(ctx, sdk.DeadlineFilter{Kind: reviewKind, Object: t.GetName(), Open: true}) {
		return d, err
	}
	return nil, nil
}

const reviewKind = "catalogue.review"
