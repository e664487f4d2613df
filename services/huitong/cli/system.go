package cli

import (
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) systemCommand() *cobra.Command {
	return noun("system", "Keep the information systems that connect",
		a.requestCommand("request"), a.systemEnrol(), a.systemList(), a.systemSuspend(), a.systemResume())
}

func (a *app) keyCommand() *cobra.Command {
	return noun("key", "Make a system's key", a.requestCommand("new"))
}

// splitSystem reads "<participant>/<system>".
func splitSystem(id string) (participant, system string, err error) {
	participant, system, ok := strings.Cut(id, "/")
	if !ok || participant == "" || system == "" || strings.ContainsAny(system, `/\`) || strings.HasPrefix(system, ".") {
		return "", "", usageError("name the system as PARTICIPANT/SYSTEM, such as 11999900MB0000019D/household-register")
	}
	return participant, system, nil
}

func (a *app) requestCommand(use string) *cobra.Command {
	var keyFile, requestFile string
	c := &cobra.Command{
		Use:   use + " PARTICIPANT/SYSTEM",
		Short: "Make a key and the request for its certificate, on this machine",
		Long: `Makes a private key, which stays on this machine, and a certificate request, which
goes to the data authority: only the public key is taken from it.`,
		Example: `  huitong ` + map[string]string{"new": "key new", "request": "system request"}[use] + ` 11999900MB0000019D/household-register`,
		Args:    cobra.ExactArgs(1),
		RunE: a.do(func(_ context.Context, args []string) error {
			participant, system, err := splitSystem(args[0])
			if err != nil {
				return err
			}
			keyFile, requestFile := orElse(keyFile, system+".key"), orElse(requestFile, system+".csr")
			key, err := sdk.NewKey()
			if err != nil {
				return err
			}
			request, err := key.CertificateRequest(participant, system)
			if err != nil {
				return err
			}
			if err := key.WriteFile(keyFile); err != nil {
				return advise(err, "a key is never replaced; choose another file with --key")
			}
			if err := os.WriteFile(requestFile, request, 0o644); err != nil {
				return err
			}
			if a.json() {
				return a.printValue(map[string]string{"key": keyFile, "request": requestFile})
			}
			a.printf("key      %s (keep it on this machine)\nrequest  %s (send it to the data authority)\n", keyFile, requestFile)
			return nil
		}),
	}
	c.Flags().StringVar(&keyFile, "key", "", "file for the key; SYSTEM.key if not given")
	c.Flags().StringVar(&requestFile, "request", "", "file for the request; SYSTEM.csr if not given")
	return c
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

type enrolFlags struct {
	request, certificate, title, out, caOut string
	roles                                   []string
	days                                    uint32
	dry                                     bool
}

func (a *app) systemEnrol() *cobra.Command {
	var f enrolFlags
	c := &cobra.Command{
		Use:   "enrol PARTICIPANT/SYSTEM --request FILE",
		Short: "Enrol a system: have its certificate request signed",
		Example: `  huitong system enrol 11999900MB0000019D/household-register \
      --request household-register.csr --title 户籍管理系统`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error { return a.enrol(ctx, c, args[0], &f) }),
	}
	fs := c.Flags()
	fs.StringVar(&f.request, "request", "", "the system's certificate request (PKCS #10), PEM or DER")
	fs.StringVar(&f.certificate, "certificate", "", "with an outside CA: the certificate that it issued, instead of a request")
	fs.StringSliceVar(&f.roles, "role", []string{"department"}, "what the system may be: department, operator, auditor, witness")
	fs.StringVar(&f.title, "title", "", "the system's name, for people")
	fs.Uint32Var(&f.days, "days", 0, "days of validity, 1 to 825; 365 if 0")
	fs.StringVar(&f.out, "out", "", "file for the certificate; SYSTEM.pem if not given")
	fs.StringVar(&f.caOut, "ca-out", "ca.pem", "file for the CA certificates to trust")
	c.MarkFlagsOneRequired("request", "certificate")
	c.MarkFlagsMutuallyExclusive("request", "certificate")
	return dryRunFlag(c, &f.dry)
}

func (a *app) enrol(ctx context.Context, c *sdk.Client, id string, f *enrolFlags) error {
	participant, system, err := splitSystem(id)
	if err != nil {
		return err
	}
	roles, err := enumValues[cataloguev1.Role]("--role", f.roles)
	if err != nil {
		return err
	}
	r := &cataloguev1.EnrolSystemRequest{
		System: &cataloguev1.System{Participant: participant, Name: system, Title: f.title, Roles: roles},
		Days:   f.days, ValidateOnly: f.dry,
	}
	if f.request != "" {
		r.CertificateRequest, err = os.ReadFile(f.request)
	} else {
		r.Certificate, err = os.ReadFile(f.certificate)
	}
	if err != nil {
		return err
	}
	resp, err := catalogue(c).EnrolSystem(ctx, r)
	if err != nil {
		return fault.FromStatus(err)
	}
	if f.dry || f.certificate != "" {
		return a.changed(resp, f.dry, "system %s enrolled", id)
	}
	out := orElse(f.out, system+".pem")
	if err := writeCertificate(out, resp.GetCertificate()); err != nil {
		return err
	}
	if err := os.WriteFile(f.caOut, resp.GetCaPem(), 0o644); err != nil {
		return err
	}
	if err := a.changed(resp, false, "system %s enrolled", id); err != nil {
		return err
	}
	a.printf("certificate  %s, valid until %s\nca           %s\n", out, when(resp.GetCertificate().GetNotAfter()), f.caOut)
	return nil
}

func writeCertificate(path string, c *cataloguev1.Certificate) error {
	block := &pem.Block{Type: "CERTIFICATE", Bytes: c.GetDer()}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o644); err != nil {
		return fmt.Errorf("the certificate is issued, and could not be written: %w", err)
	}
	return nil
}

func (a *app) systemList() *cobra.Command {
	var participant string
	c := &cobra.Command{
		Use: "list", Short: "List enrolled systems", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			type S = *cataloguev1.System
			return list(a, pages(func(token string) ([]S, string, error) {
				resp, err := catalogue(c).ListSystems(ctx, &cataloguev1.ListSystemsRequest{Participant: participant, PageSize: pageSize, PageToken: token})
				return resp.GetSystems(), resp.GetNextPageToken(), fault.FromStatus(err)
			}),
				column[S]{"SYSTEM", S.GetId}, column[S]{"TITLE", S.GetTitle},
				column[S]{"ROLES", func(s S) string { return joined(s.GetRoles()) }},
				column[S]{"STATE", func(s S) string { return enumText(s.GetState()) }},
				column[S]{"SINCE", func(s S) string { return when(s.GetEnrolledAt()) }})
		}),
	}
	c.Flags().StringVar(&participant, "participant", "", "only systems of this organisation")
	return c
}

func (a *app) systemSuspend() *cobra.Command {
	var reason string
	var dry bool
	c := &cobra.Command{
		Use: "suspend PARTICIPANT/SYSTEM --reason TEXT", Short: "Shut a system out until it is resumed", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := catalogue(c).SuspendSystem(ctx, &cataloguev1.SuspendSystemRequest{Id: args[0], Reason: reason, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "system %s suspended", args[0])
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}

func (a *app) systemResume() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "resume PARTICIPANT/SYSTEM", Short: "Let a suspended system in again", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := catalogue(c).ResumeSystem(ctx, &cataloguev1.ResumeSystemRequest{Id: args[0], ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "system %s resumed", args[0])
		}),
	}
	return dryRunFlag(c, &dry)
}
