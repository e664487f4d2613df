package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	decision "github.com/huitong-bus/huitong/exchange/access"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) checkCommand() *cobra.Command {
	var q sdk.Check
	c := &cobra.Command{
		Use:   "check TOPIC TYPE:NUMBER --check NAME",
		Short: "Ask a yes or no about a subject, for a purpose and a case",
		Long: `Asks a check that a grant names over the records of a topic about a subject. All that
comes is yes, no, or that no record is held. The answer is an entry in the ledger,
with person, purpose and case; so is a refusal. huitong allowed lists the checks.`,
		Example: `  huitong check income 111:999999199001010016 --check income-under --threshold minimum \
      --person clerk-017 --purpose 000115004000 --case SF-2026-000042`,
		Args: cobra.ExactArgs(2),
		RunE: a.with(func(ctx context.Context, client *sdk.Client, args []string) error {
			var err error
			if q.Subject, err = parseSubject(args[1]); err != nil {
				return err
			}
			q.Topic = args[0]
			answer, err := client.Check(ctx, q)
			if err != nil {
				return err
			}
			return a.checked(answer, &q)
		}),
	}
	actingFlags(c, &q.Acting)
	c.Flags().StringVar(&q.Name, "check", "", "name of the check, as the grant has it")
	c.Flags().StringVar(&q.Threshold, "threshold", "", "name of one of its thresholds, if it has any")
	_ = c.MarkFlagRequired("check")
	return dryRunFlag(c, &q.ValidateOnly)
}

func (a *app) checked(answer *sdk.Checked, q *sdk.Check) error {
	if q.ValidateOnly {
		a.notef("the check would be answered; nothing was looked at\n")
		return nil
	}
	if a.json() {
		return a.printValue(map[string]any{
			"answer": answer.Answer.String(), "check": q.Name, "threshold": q.Threshold, "entry": answer.Receipt.Index, "salt": answer.Salt,
		})
	}
	a.printf("%s; the ledger commits to it in entry %d\n", answer.Answer, answer.Receipt.Index)
	return nil
}

func (a *app) allowedCommand() *cobra.Command {
	var refused bool
	c := &cobra.Command{
		Use:   "allowed [TOPIC]",
		Short: "List what this system may use, how, and what stands in the way of the rest",
		Example: `  huitong allowed
  huitong allowed income --refused`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.with(func(ctx context.Context, client *sdk.Client, args []string) error {
			topics := client.AllowedTopics(ctx)
			if refused {
				topics = client.TopicsAndRules(ctx)
			}
			t := newTable(a.out, "TOPIC", "TITLE", "MODE", "GRANT", "FOR", "WHAT", "UNTIL", "LEFT TODAY", "CONSENT")
			for topic, err := range topics {
				if err != nil {
					return err
				}
				if len(args) > 0 && args[0] != topic.GetName() {
					continue
				}
				if a.json() {
					if err := a.printJSON(topic); err != nil {
						return err
					}
					continue
				}
				if err := allowedRows(t, topic); err != nil {
					return err
				}
			}
			if a.json() {
				return nil
			}
			return t.flush()
		}),
	}
	c.Flags().BoolVar(&refused, "refused", false, "name what may not be used too, with the rule that stands in the way")
	return c
}

func allowedRows(t *table, topic *accessv1.AllowedTopic) error {
	for _, u := range topic.GetUses() {
		left := "no limit"
		if u.DailyLimit != nil {
			left = fmt.Sprintf("%d of %d", u.GetLeftToday(), u.GetDailyLimit())
		}
		if err := t.row(topic.GetName(), topic.GetTitle(), enumText(u.GetMode()), orElse(u.GetGrant(), "none needed"), purposesOf(u), whatOf(u),
			orElse(u.GetValidUntil(), "open"), left, consentOf(u)); err != nil {
			return err
		}
	}
	for _, r := range topic.GetRefused() {
		if err := t.row(topic.GetName(), topic.GetTitle(), enumText(r.GetMode()), "refused", r.GetRule(), r.GetMessage(), "", "", ""); err != nil {
			return err
		}
	}
	return nil
}

func purposesOf(u *accessv1.AllowedUse) string {
	var items []string
	for _, p := range u.GetPurposes() {
		items = append(items, p.GetItem())
	}
	return orElse(strings.Join(items, ", "), orElse(u.GetStandingPurpose(), "any item"))
}

// whatOf names the fields that leave, or the checks with their thresholds.
func whatOf(u *accessv1.AllowedUse) string {
	switch {
	case u.GetOwnRecords():
		return "every field, of records that name you"
	case u.GetEveryField():
		return "every field"
	}
	if len(u.GetChecks()) == 0 {
		return strings.Join(u.GetFields(), ", ")
	}
	var checks []string
	for _, k := range u.GetChecks() {
		var thresholds []string
		for _, one := range k.GetThresholds() {
			thresholds = append(thresholds, one.GetName())
		}
		name := k.GetName()
		if len(thresholds) > 0 {
			name += " (" + strings.Join(thresholds, ", ") + ")"
		}
		checks = append(checks, name)
	}
	return strings.Join(checks, "; ")
}

// consentOf names the strictest consent that any of the purposes needs.
func consentOf(u *accessv1.AllowedUse) string {
	needs := u.GetConsent()
	for _, p := range u.GetPurposes() {
		needs = max(needs, p.GetConsent())
	}
	if needs == cataloguev1.Consent_CONSENT_UNSPECIFIED {
		return "not needed"
	}
	return enumText(needs)
}

func (a *app) rulesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rules [NAME]",
		Short: "List the rules by which the exchange decides, and what would change a refusal",
		Example: `  huitong rules
  huitong rules grant.expired`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a.started = true
			t := newTable(a.out, "RULE", "IS ABOUT", "WHAT REFUSES, AND WHAT WOULD CHANGE IT")
			found := false
			for _, r := range decision.Rules() {
				if len(args) > 0 && args[0] != r.Name {
					continue
				}
				found = true
				if a.json() {
					if err := a.printValue(map[string]string{"rule": r.Name, "about": r.Asked, "message": r.Message}); err != nil {
						return err
					}
				} else if err := t.row(r.Name, r.Asked, r.Message); err != nil {
					return err
				}
			}
			if !found {
				return usageError("there is no such rule; huitong rules lists all")
			}
			if a.json() {
				return nil
			}
			return t.flush()
		},
	}
}
