package cli

import (
	"context"
	"encoding/hex"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) certificateCommand() *cobra.Command {
	return noun("certificate", "Renew and revoke the certificates of systems",
		a.certificateList(), a.certificateRenew(), a.certificateRevoke())
}

func (a *app) certificateList() *cobra.Command {
	return &cobra.Command{
		Use: "list [PARTICIPANT/SYSTEM]", Short: "List a system's certificates; the caller's own if none is named", Args: cobra.MaximumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			system := c.System()
			if len(args) > 0 {
				system = args[0]
			}
			resp, err := catalogue(c).ListCertificates(ctx, &cataloguev1.ListCertificatesRequest{System: system})
			if err != nil {
				return fault.FromStatus(err)
			}
			type C = *cataloguev1.Certificate
			return list(a, each(resp.GetCertificates()),
				column[C]{"FINGERPRINT", func(c C) string { return hex.EncodeToString(c.GetFingerprint()) }},
				column[C]{"VALID FROM", func(c C) string { return when(c.GetNotBefore()) }},
				column[C]{"VALID UNTIL", func(c C) string { return when(c.GetNotAfter()) }},
				column[C]{"STATE", func(c C) string {
					if c.GetRevoked() {
						return "revoked: " + c.GetReason()
					}
					return "issued"
				}})
		}),
	}
}

// each goes through what is at hand already.
func each[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range all {
			if !yield(item, nil) {
				return
			}
		}
	}
}

func (a *app) certificateRevoke() *cobra.Command {
	var reason string
	var dry bool
	c := &cobra.Command{
		Use: "revoke FINGERPRINT --reason TEXT", Short: "Revoke a certificate, for good, within a second", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			fingerprint, err := hex.DecodeString(strings.ReplaceAll(args[0], ":", ""))
			if err != nil || len(fingerprint) != 32 {
				return usageError("a fingerprint is 64 hexadecimal digits, as huitong certificate list prints it")
			}
			resp, err := catalogue(c).RevokeCertificate(ctx, &cataloguev1.RevokeCertificateRequest{Fingerprint: fingerprint, Reason: reason, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "certificate %s of %s revoked", args[0], resp.GetCertificate().GetSystem())
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}

func (a *app) certificateRenew() *cobra.Command {
	var request, out string
	var days uint32
	var dry bool
	c := &cobra.Command{
		Use:   "renew [PARTICIPANT/SYSTEM --request FILE]",
		Short: "Have a system certified anew",
		Long: `Without arguments: makes a new key for the calling system, has it certified, writes
both beside the old ones and lets the context use them.

With a system and its request: signs that request, as the data authority.`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			if len(args) == 0 && request == "" && !dry {
				return a.renewOwn(ctx, c, int(days))
			}
			r := &cataloguev1.RenewCertificateRequest{Days: days, ValidateOnly: dry}
			if len(args) > 0 {
				r.System = args[0]
			}
			var err error
			if r.CertificateRequest, err = os.ReadFile(request); err != nil {
				return advise(err, "name the system's certificate request with --request")
			}
			resp, err := catalogue(c).RenewCertificate(ctx, r)
			if err != nil {
				return fault.FromStatus(err)
			}
			if !dry {
				_, system, _ := strings.Cut(resp.GetCertificate().GetSystem(), "/")
				if err := writeCertificate(orElse(out, system+".pem"), resp.GetCertificate()); err != nil {
					return err
				}
			}
			return a.changed(resp, dry, "certificate of %s renewed", orElse(r.System, c.System()))
		}),
	}
	c.Flags().StringVar(&request, "request", "", "the system's new certificate request, PEM or DER")
	c.Flags().StringVar(&out, "out", "", "file for the certificate; SYSTEM.pem if not given")
	c.Flags().Uint32Var(&days, "days", 0, "days of validity, 1 to 825; 365 if 0")
	return dryRunFlag(c, &dry)
}

// renewOwn gives the calling system a new key and certificate. The context is
// changed last: until then it works as before.
func (a *app) renewOwn(ctx context.Context, c *sdk.Client, days int) error {
	all, err := a.readContexts()
	if err != nil {
		return err
	}
	name, kept, err := all.pick(a.context)
	if err != nil {
		return err
	}
	key, err := sdk.NewKey()
	if err != nil {
		return err
	}
	certificate, ca, err := c.RenewCertificate(ctx, key, days)
	if err != nil {
		return err
	}
	stem := freeStem(kept.Certificate)
	if err := key.WriteFile(stem + ".key"); err != nil {
		return err
	}
	if err := os.WriteFile(stem+".pem", certificate, 0o644); err != nil {
		return err
	}
	if err := replaceFile(kept.CA, ca, 0o644); err != nil {
		return err
	}
	kept.Certificate, kept.Key = stem+".pem", stem+".key"
	all.Contexts[name] = kept
	if err := all.write(); err != nil {
		return err
	}
	if a.json() {
		return a.printValue(contextView{name, name == all.Current, kept})
	}
	a.printf("certificate of %s renewed\ncertificate  %s\nkey          %s\ncontext %s uses them now; the old ones stay valid until they expire or are revoked\n",
		c.System(), kept.Certificate, kept.Key, name)
	return nil
}

// freeStem names files beside the old certificate that are not there yet.
func freeStem(certificate string) string {
	base := strings.TrimSuffix(certificate, filepath.Ext(certificate))
	if i := strings.LastIndex(base, "-renewed-"); i >= 0 {
		base = base[:i]
	}
	for n := 1; ; n++ {
		stem := base + "-renewed-" + itoa(n)
		if _, err := os.Lstat(stem + ".key"); os.IsNotExist(err) {
			return stem
		}
	}
}
