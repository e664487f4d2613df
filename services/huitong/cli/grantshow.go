package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) grantShow() *cobra.Command {
	var version uint64
	c := &cobra.Command{
		Use: "show GRANT", Short: "Show a grant, what each side did, and what must be done next",
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			answer, err := agreementOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(answer)
			}
			one := newestOf(answer)
			if version > 0 {
				if one = versionOf(answer, version); one == nil {
					return usageError("the grant has versions 1 to %d", len(answer.GetVersions()))
				}
			}
			if err := a.pairs(grantPairs(answer, one)...); err != nil {
				return err
			}
			if err := a.grantChecks(one.GetGrant()); err != nil {
				return err
			}
			return a.grantDone(answer)
		}),
	}
	c.Flags().Uint64Var(&version, "version", 0, "the terms of this version; of the newest if 0")
	return c
}

func grantPairs(answer *accessv1.GetAgreementResponse, one *accessv1.Agreement) []pair {
	g := one.GetGrant()
	limit := ""
	if g.GetDailyLimit() > 0 {
		limit = itoa(g.GetDailyLimit()) + " queries a day"
	}
	return []pair{
		{"grant", g.GetId()}, {"version", itoa(g.GetVersion()) + " of " + itoa(len(answer.GetVersions()))}, {"in force", forceText(answer)},
		{"topic", g.GetTopic()}, {"provider", g.GetProvider()}, {"consumer", g.GetConsumer()},
		{"basis", g.GetBasis()}, {"scenario", g.GetScenario()},
		{"fields", strings.Join(g.GetFields(), ", ")}, {"service items", strings.Join(g.GetServiceItems(), ", ")},
		{"modes", joined(g.GetDeliveryModes())}, {"standing purpose", g.GetStandingPurpose()},
		{"standing basis", g.GetStandingLegalBasis()}, {"scope", enumText(g.GetScope())},
		{"valid", orElse(g.GetValidFrom(), "open") + " to " + orElse(g.GetValidUntil(), "open")}, {"limit", limit},
		{"agreed", yesNo(g.GetRecordedOutside(), "outside; an operator recorded it", "")},
		{"state", enumText(g.GetState())}, {"reason", g.GetReason()}, {"suspended by", g.GetSuspendedBy()},
		{"next", orElse(nextOfGrant(one), "nothing")}, {"by whom", turnText(one)},
		{"clock", clockText(one.GetDeadline())}, {"last day", dueText(one.GetDeadline())}, {"working days", daysOf(one.GetDeadline())},
	}
}

// forceText says which version is in force; while the next one is requested it is
// another than the newest.
func forceText(answer *accessv1.GetAgreementResponse) string {
	one := versionOf(answer, answer.GetInForce())
	if one == nil {
		return "no version yet"
	}
	g := one.GetGrant()
	version := "version " + itoa(g.GetVersion()) + ", " + enumText(g.GetState())
	if g.GetState() != accessv1.GrantState_GRANT_STATE_ACTIVE && g.GetState() != accessv1.GrantState_GRANT_STATE_SUSPENDED {
		return "no more: " + version
	}
	return version + ", until " + orElse(g.GetValidUntil(), "open")
}

func (a *app) grantChecks(g *accessv1.Grant) error {
	if len(g.GetChecks()) == 0 {
		return nil
	}
	a.printf("\n")
	t := newTable(a.out, "CHECK", "TITLE", "READS", "THRESHOLDS", "PREDICATE")
	for _, k := range g.GetChecks() {
		var thresholds []string
		for _, one := range k.GetThresholds() {
			thresholds = append(thresholds, one.GetName()+" "+itoa(one.GetValue()))
		}
		if err := t.row(k.GetName(), k.GetTitle(), strings.Join(k.GetFields(), ", "), strings.Join(thresholds, ", "), k.GetPredicate()); err != nil {
			return err
		}
	}
	return t.flush()
}

// grantDone lists what each side did, of all versions.
func (a *app) grantDone(answer *accessv1.GetAgreementResponse) error {
	a.printf("\n")
	t := newTable(a.out, "AT", "VERSION", "SIDE", "STEP", "SYSTEM", "PERSON", "LATE", "NOTE")
	for _, one := range answer.GetVersions() {
		for _, s := range one.GetGrant().GetSteps() {
			err := t.row(when(s.GetAt()), itoa(one.GetGrant().GetVersion()), s.GetSide(), s.GetStep(), s.GetSystem(),
				short(s.GetPerson()), yesNo(s.GetLate(), "late", ""), noteOf(s))
			if err != nil {
				return err
			}
		}
	}
	return t.flush()
}

// short gives the beginning of a fingerprint, by which huitong person list finds
// its official.
func short(fingerprint string) string { return fingerprint[:min(len(fingerprint), 16)] }

// noteOf gives what a step says, and what it says is missing.
func noteOf(s *accessv1.GrantStep) string {
	return strings.Join(append(nonempty(s.GetNote()), s.GetMissing()...), "; ")
}

func nonempty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}
