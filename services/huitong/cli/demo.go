package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/services/huitong/bench"
	"github.com/huitong-bus/huitong/services/huitong/demo"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Play a hardship subsidy case on an exchange of its own",
		Long: `Starts an exchange in a temporary directory, lets the departments of a fictional city
publish their registers over mutual TLS, and plays an application for a hardship
subsidy: what is received, what is queried, what is refused, and what an auditor
proves of it. It ends by itself, leaves nothing behind, and fails if anything is not
as it should be.`,
		Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error { return demo.Run(ctx, a.out) }),
	}
}

// benchCommand is the benchmark; an error after its command line was understood
// is no mistake in how it was called.
func (a *app) benchCommand() *cobra.Command {
	c := bench.Command()
	a.startedBy(c)
	return c
}

func (a *app) startedBy(c *cobra.Command) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			a.started = true
			return run(c, args)
		}
	}
	for _, sub := range c.Commands() {
		a.startedBy(sub)
	}
}
