package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) caseCollect() *cobra.Command {
	var f materialsFlags
	var declined []string
	c := &cobra.Command{
		Use: "collect NUMBER --person REFERENCE", Short: "Fetch copies of the materials that are held, but for what the applicant declined",
		Long: `Fetches an annotated copy of each material that is held: it may be used for this item
and case alone, until the day that it names. Each copy is an entry in the ledger. A
repeat gives the same copies under the same entries, and those that have come to be
held since; what the applicant chose once for a case does not change.`,
		Example: `  huitong case collect SF-2026-000042 --person clerk-017
  huitong case collect SF-2026-000042 --person clerk-017 --decline 000711004000-03`,
		Args: cobra.ExactArgs(1),
	}
	c.RunE = orPaper(a.with(func(ctx context.Context, client *sdk.Client, args []string) error {
		acting, applicant, err := f.of(ctx, client, args[0])
		if err != nil {
			return err
		}
		got, err := client.Collect(ctx, sdk.Collect{Acting: acting, Applicant: applicant, Declined: declined})
		if err != nil {
			return err
		}
		return a.collected(ctx, client, got)
	}))
	f.add(c)
	c.Flags().StringSliceVar(&declined, "decline", nil, "code of a material that the applicant does not want to be used; may be repeated")
	return c
}

// copyView is an annotated copy as it is printed.
type copyView struct {
	Material    string      `json:"material"`
	Name        string      `json:"name"`
	Grade       string      `json:"grade,omitempty"`
	Annotation  string      `json:"annotation"`
	UsableUntil time.Time   `json:"usable_until"`
	Entry       uint64      `json:"entry"`
	Record      *recordView `json:"record"`
}

func (a *app) collected(ctx context.Context, c *sdk.Client, got *sdk.Collected) error {
	show, copies := newRenderer(c), []*copyView{}
	for i := range got.Copies {
		one := &got.Copies[i]
		record, err := show.view(ctx, &one.Record, one.Receipt)
		if err != nil {
			return err
		}
		copies = append(copies, &copyView{
			Material: one.Material, Name: one.Name, Grade: one.Grade, Annotation: one.Annotation,
			UsableUntil: one.UsableUntil.UTC(), Entry: one.Receipt.Index, Record: record,
		})
	}
	if a.json() {
		all := map[string]any{"item": inJSON{got.Item}, "copies": copies, "others": allInJSON(got.Others), "repeat": got.Repeat}
		if got.Receipt != nil {
			all["entry"] = got.Receipt.Index
		}
		return a.printValue(all)
	}
	for _, one := range copies {
		if err := a.pairs(pair{"material", one.Name + " " + one.Material}, pair{"annotation", one.Annotation}, pair{"grade", one.Grade},
			pair{"usable until", clock(one.UsableUntil)}, pair{"entry", itoa(one.Entry)}); err != nil {
			return err
		}
		if err := a.printRecord(one.Record); err != nil {
			return err
		}
	}
	if len(got.Others) > 0 {
		if err := a.materials(ctx, c, got.Others); err != nil {
			return err
		}
		a.printf("\n")
	}
	a.printf("%d copies%s\n", len(copies), collectedIn(got))
	return nil
}

// collectedIn says which entry proves a collection.
func collectedIn(got *sdk.Collected) string {
	switch {
	case got.Receipt == nil:
		return "; nothing is held, and nothing was entered"
	case got.Repeat:
		return ", all collected before, by entry " + itoa(got.Receipt.Index)
	}
	return "; the ledger says so in entry " + itoa(got.Receipt.Index)
}
