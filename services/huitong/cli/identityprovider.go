package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func providers(c *sdk.Client) accessv1.IdentityProviderServiceClient {
	return accessv1.NewIdentityProviderServiceClient(c.Conn())
}

func (a *app) identityProviderCommand() *cobra.Command {
	return noun("identity-provider", "Keep whose word the exchange takes on who somebody is",
		a.providerPut(), a.providerSuspend(), a.providerResume(), a.providerList())
}

func (a *app) providerPut() *cobra.Command {
	p := &accessv1.IdentityProvider{}
	var keys string
	var dry bool
	c := &cobra.Command{
		Use: "put ISSUER --title TITLE --jwks FILE", Short: "Register an identity provider, or replace its keys; for operators",
		Example: `  huitong identity-provider put https://id.example.gov --title 统一身份认证平台 --jwks keys.json`, Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			var err error
			if p.Jwks, err = readText(keys); err != nil {
				return err
			}
			p.Issuer = args[0]
			resp, err := providers(c).PutIdentityProvider(ctx, &accessv1.PutIdentityProviderRequest{Provider: p, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "identity provider %s stands at version %d", p.Issuer, resp.GetProvider().GetVersion())
		}),
	}
	f := c.Flags()
	f.StringVar(&p.Title, "title", "", "its name for people")
	f.StringVar(&keys, "jwks", "", "file with its public keys, a JWK set")
	f.StringVar(&p.SubjectType, "subject-type", "111", "holder code type of the persons that its tokens name")
	f.StringVar(&p.NumberClaim, "number-claim", "", `the claim that holds the number; "sub" if not given`)
	f.StringVar(&p.TypeClaim, "type-claim", "", "the claim that holds the holder code type, if there are several")
	_ = c.MarkFlagRequired("title")
	_ = c.MarkFlagRequired("jwks")
	return dryRunFlag(c, &dry)
}

func (a *app) providerSuspend() *cobra.Command {
	var reason string
	var dry bool
	c := &cobra.Command{
		Use: "suspend ISSUER", Short: "Refuse a provider's tokens; for operators", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := providers(c).SuspendIdentityProvider(ctx, &accessv1.SuspendIdentityProviderRequest{Issuer: args[0], Reason: reason, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "identity provider %s suspended", args[0])
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}

func (a *app) providerResume() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "resume ISSUER", Short: "Take a provider's tokens again; for operators", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := providers(c).ResumeIdentityProvider(ctx, &accessv1.ResumeIdentityProviderRequest{Issuer: args[0], ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "identity provider %s resumed", args[0])
		}),
	}
	return dryRunFlag(c, &dry)
}

func (a *app) providerList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List identity providers", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			type P = *accessv1.IdentityProvider
			return list(a, pages(func(token string) ([]P, string, error) {
				resp, err := providers(c).ListIdentityProviders(ctx, &accessv1.ListIdentityProvidersRequest{PageSize: pageSize, PageToken: token})
				return resp.GetProviders(), resp.GetNextPageToken(), fault.FromStatus(err)
			}),
				column[P]{"ISSUER", P.GetIssuer}, column[P]{"TITLE", P.GetTitle}, column[P]{"SUBJECTS", P.GetSubjectType},
				column[P]{"VERSION", func(p P) string { return itoa(p.GetVersion()) }},
				column[P]{"STATE", func(p P) string { return enumText(p.GetState()) }}, column[P]{"REASON", P.GetReason})
		}),
	}
}
