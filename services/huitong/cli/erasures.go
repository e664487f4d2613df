package cli

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/erasure"
)

func (a *app) ledgerErasures() *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:   "erasures",
		Short: "List what was erased, for keeping elsewhere than the backups",
		Long: `Lists the erasures that a data directory has written down. Where a database is
restored from a backup that is older, the exchange erases them again when it is
started, by this list in its data directory or by a copy that "huitong serve
--erasures FILE" names. A record is named by its token, which tells nothing without
the keyring.`,
		Example: "  huitong ledger erasures -o json > /mnt/elsewhere/erasures.jsonl",
		Args:    cobra.NoArgs,
		RunE: a.do(func(_ context.Context, _ []string) error {
			lines, err := erasure.Read(filepath.Join(data, erasure.FileName))
			if err != nil {
				return err
			}
			t := newTable(a.out, "ENTRY", "TOPIC", "RECORD", "AT")
			for _, l := range lines {
				if a.json() {
					err = a.printValue(l)
				} else if l.List == "" {
					err = t.row(itoa(l.Entry), l.Topic, l.Record, clock(l.At))
				}
				if err != nil {
					return err
				}
			}
			if a.json() {
				return nil
			}
			return t.flush()
		}),
	}
	c.Flags().StringVar(&data, "data", dataDefault(), "data directory [$HUITONG_DATA]")
	return c
}
