package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) fanOutErase() *cobra.Command {
	r := &exchangev1.EraseFanOutRequest{}
	c := &cobra.Command{
		Use:   "erase ID --reason TEXT",
		Short: "Erase what was asked and answered in a fan-out, for good",
		Long: `Erases the report of a fan-out, the requests to suppliers and their answers; who received
them is told. The department that asked may once its case is closed, the operator at any
time. The ledger verifies as before and shows that it was erased, when, and who asked
for it.

What suppliers found is records of their own topics: their providers erase those.`,
		Example: `  huitong case close SF-2026-000042 --person clerk-017
  huitong fanout erase 4f1c… --reason 档案保管期限届满`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			r.Id = args[0]
			resp, err := exchangev1.NewFanOutServiceClient(c.Conn()).EraseFanOut(ctx, r)
			if err != nil {
				return fault.FromStatus(err)
			}
			if a.json() {
				return a.printJSON(resp)
			}
			a.printf("fan-out %s is erased\n", r.Id)
			return nil
		}),
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "why it is erased")
	_ = c.MarkFlagRequired("reason")
	return c
}
