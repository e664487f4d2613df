package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/sdk"
)

// standingWords say what a standing means for whoever has the certificate before
// them.
var standingWords = map[sdk.Standing]string{
	sdk.StandingUnknown:    "no certificate of that identifier is known here",
	sdk.StandingActive:     "it stands",
	sdk.StandingSuspended:  "its force is suspended",
	sdk.StandingRevoked:    "it was revoked",
	sdk.StandingCancelled:  "it was cancelled",
	sdk.StandingSuperseded: "another took its place",
	sdk.StandingExpired:    "its validity is over",
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status TOPIC KEY", Short: "Ask whether a certificate that somebody shows still stands", Args: cobra.ExactArgs(2),
		Long: `Asks how the record of a key stands and from when: a certificate by its identifier.
It needs neither grant nor case, and nothing of what the certificate says is told. An
identifier that is not held, and one of a topic that does not offer this, are answered
alike. Each question is an entry in the ledger, which does not show the identifier.`,
		Example: `  huitong status disability-certificate 1.2.156.3005.2.11999900MB0000019D001.11999900MB00000278.2025000001.001.Q`,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			s, err := c.Status(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			since, by := "", ""
			if !s.Since.IsZero() {
				since = s.Since.In(shanghai).Format(time.DateTime)
			}
			if s.SupersededByVersion != 0 {
				by = itoa(s.SupersededByVersion)
			}
			if a.json() {
				return a.printValue(map[string]any{
					"standing": s.Standing, "since": since, "superseded_by_version": s.SupersededByVersion, "entry": s.Receipt.Index,
				})
			}
			return a.pairs(pair{"standing", string(s.Standing)}, pair{"means", standingWords[s.Standing]}, pair{"since", since},
				pair{"version", by}, pair{"entry", itoa(s.Receipt.Index)})
		}),
	}
}
