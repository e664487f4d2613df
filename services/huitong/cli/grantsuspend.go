package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) grantSuspend() *cobra.Command {
	var reason string
	var dry bool
	c := &cobra.Command{
		Use: "suspend GRANT --reason TEXT", Short: "Suspend a grant; nothing leaves by it from then on",
		Long: `Suspends what is in force of a grant, even while its next version is requested. Either
side may, and the operator. Of a grant that was agreed on the exchange this is a step
that the calling system signs; no official has to.`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			return a.pause(ctx, c, args[0], sdk.Step{Name: "suspend", Note: reason, ValidateOnly: dry})
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}

func (a *app) grantResume() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "resume GRANT", Short: "Let a suspended grant hold again; the side that suspended it may, and the operator",
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			return a.pause(ctx, c, args[0], sdk.Step{Name: "resume", ValidateOnly: dry})
		}),
	}
	return dryRunFlag(c, &dry)
}

// pause suspends or resumes a grant: by a signed step, or by a plain call where it
// was agreed outside the exchange and nothing of it is signed here.
func (a *app) pause(ctx context.Context, c *sdk.Client, id string, s sdk.Step) error {
	answer, err := agreementOf(ctx, c, id)
	if err != nil {
		return err
	}
	var g *accessv1.Grant
	if versionOf(answer, answer.GetInForce()).GetGrant().GetRecordedOutside() {
		g, err = pauseOutside(ctx, c, id, s)
	} else if s.Side, err = sideOf(ctx, c, newestOf(answer).GetGrant()); err == nil {
		g, err = c.TakeStep(ctx, id, s)
	}
	if err != nil {
		return err
	}
	return a.stood(g, s.ValidateOnly)
}

func pauseOutside(ctx context.Context, c *sdk.Client, id string, s sdk.Step) (*accessv1.Grant, error) {
	if s.Name == "suspend" {
		resp, err := access(c).SuspendGrant(ctx, &accessv1.SuspendGrantRequest{Id: id, Reason: s.Note, ValidateOnly: s.ValidateOnly})
		return resp.GetGrant(), fault.FromStatus(err)
	}
	resp, err := access(c).ResumeGrant(ctx, &accessv1.ResumeGrantRequest{Id: id, ValidateOnly: s.ValidateOnly})
	return resp.GetGrant(), fault.FromStatus(err)
}

func agreementOf(ctx context.Context, c *sdk.Client, id string) (*accessv1.GetAgreementResponse, error) {
	answer, err := accessv1.NewAgreementServiceClient(c.Conn()).GetAgreement(ctx, &accessv1.GetAgreementRequest{Id: id})
	return answer, fault.FromStatus(err)
}

// newestOf gives the newest version of an agreement.
func newestOf(answer *accessv1.GetAgreementResponse) *accessv1.Agreement {
	all := answer.GetVersions()
	return all[len(all)-1]
}

// versionOf gives a version of an agreement; nil if there is none.
func versionOf(answer *accessv1.GetAgreementResponse, number uint64) *accessv1.Agreement {
	for _, one := range answer.GetVersions() {
		if number == one.GetGrant().GetVersion() {
			return one
		}
	}
	return nil
}

// sideOf says which side of a grant the caller's system acts for: that of its
// department, or else the operator. For a group its lead acts.
func sideOf(ctx context.Context, c *sdk.Client, g *accessv1.Grant) (string, error) {
	caller, err := c.Caller(ctx)
	if err != nil {
		return "", err
	}
	roles := caller.GetSystem().GetRoles()
	department := slices.Contains(roles, cataloguev1.Role_ROLE_DEPARTMENT)
	consumer, _, _ := strings.Cut(g.GetConsumer(), "/")
	switch {
	case department && c.Participant() == g.GetProvider():
		return "provider", nil
	case department && c.Participant() == consumer:
		return "consumer", nil
	case slices.Contains(roles, cataloguev1.Role_ROLE_OPERATOR):
		return "operator", nil
	}
	return "consumer", nil
}
