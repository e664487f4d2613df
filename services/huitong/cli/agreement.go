package cli

import (
	"context"

	"github.com/spf13/cobra"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) grantRequest() *cobra.Command {
	var t termFlags
	var key, id string
	c := &cobra.Command{
		Use:   "request TOPIC --person-key FILE",
		Short: "Ask the provider of a topic for a grant, as a handler of the department that is to use it",
		Long: `Requests a grant. The department's head then approves it (huitong grant approve), and the
provider's clock runs. With --grant it requests that grant's next version: with what was
missing, changed, or for a longer period; what is agreed is in force until then. The
consumer is one's own department if none is named, and a grant begins on the day of the
agreement.
` + termsFile,
		Example: `  huitong grant request marriage --person-key handler.key --basis 社会救助暂行办法第五十八条 \
      --scenario 困难补贴审核 --fields certificate_number,state --service-item 000115004000 --valid-until 2027-12-31`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			g, err := t.grant(args[0])
			if err != nil {
				return err
			}
			person, err := sdk.LoadPersonKey(key)
			if err != nil {
				return err
			}
			if g.Consumer == "" {
				g.Consumer = c.Participant()
			}
			got, err := c.RequestGrant(ctx, id, g, person)
			if err != nil {
				return err
			}
			return a.stepped(got, "grant %s version %d requested; the head approves it next", got.GetId(), got.GetVersion())
		}),
	}
	t.add(c)
	f := c.Flags()
	f.StringVar(&key, "person-key", "", "key file of the handler")
	f.StringVar(&id, "grant", "", "an existing grant, of which this is the next version")
	_ = c.MarkFlagRequired("person-key")
	return c
}

// grantSteps are the commands of the steps that need no terms.
func (a *app) grantSteps() []*cobra.Command {
	var all []*cobra.Command
	for _, s := range []struct{ use, step, side, short string }{
		{"approve", "approve", "", "Approve, as the head, what the handler of your side prepared"},
		{"decline", "decline", "", "Decline, as the head, what the handler of your side prepared"},
		{"withdraw", "withdraw", "consumer", "Take a request back"},
		{"accept", "accept", "provider", "Accept a request, as the provider's handler"},
		{"refuse", "refuse", "provider", "Refuse a request with a reason, as the provider's handler"},
		{"return", "return", "provider", "Return a request, once, with everything that is missing"},
		{"ask-extension", "ask_extension", "provider", "Ask the operator for more time to answer"},
		{"allow-extension", "allow_extension", "operator", "Allow the provider more time to answer"},
		{"deny-extension", "deny_extension", "operator", "Deny the provider more time to answer"},
		{"supplied", "supply", "provider", "Say that the data is supplied"},
		{"terminate", "terminate", "", "End a grant for good"},
		{"dispose", "dispose", "consumer", "Say, as the consumer's head, how the data was disposed of"},
	} {
		all = append(all, a.grantStep(s.use, s.step, s.side, s.short))
	}
	return all
}

func (a *app) grantStep(use, name, side, short string) *cobra.Command {
	var key string
	s := sdk.Step{Side: side, Name: name}
	c := &cobra.Command{
		Use: use + " GRANT", Short: short, Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			if key != "" {
				var err error
				if s.Person, err = sdk.LoadPersonKey(key); err != nil {
					return err
				}
			}
			if s.Side == "" {
				answer, err := agreementOf(ctx, c, args[0])
				if err != nil {
					return err
				}
				if s.Side, err = sideOf(ctx, c, newestOf(answer).GetGrant()); err != nil {
					return err
				}
			}
			g, err := c.TakeStep(ctx, args[0], s)
			if err != nil {
				return err
			}
			return a.stood(g, s.ValidateOnly)
		}),
	}
	c.Flags().StringVar(&key, "person-key", "", "key file of the official who takes the step")
	c.Flags().StringVar(&s.Note, "note", "", "why, where the step needs words")
	if name == "return" {
		c.Flags().StringArrayVar(&s.Missing, "missing", nil, "what is missing; repeat it, for it is said once")
	}
	return dryRunFlag(c, &s.ValidateOnly)
}

// stepped prints a grant as it stands after a step.
func (a *app) stepped(g *accessv1.Grant, format string, args ...any) error {
	if a.json() {
		return a.printJSON(g)
	}
	a.printf(format+"\n", args...)
	return nil
}

// stood prints how a grant stands after a step, or would.
func (a *app) stood(g *accessv1.Grant, dryRun bool) error {
	if dryRun {
		return a.stepped(g, "would do: grant %s version %d is %s; nothing was changed", g.GetId(), g.GetVersion(), enumText(g.GetState()))
	}
	return a.stepped(g, "grant %s version %d is %s", g.GetId(), g.GetVersion(), enumText(g.GetState()))
}
