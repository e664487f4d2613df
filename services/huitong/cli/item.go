package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

const longItem = `Service items are public: every system that is enrolled reads them, without grant and
case.`

func (a *app) itemCommand() *cobra.Command {
	return noun("item", "See service items and what an applicant must bring", a.itemList(), a.itemShow(), a.itemForm(), a.itemPublish())
}

func (a *app) itemList() *cobra.Command {
	var f sdk.ServiceItemFilter
	c := &cobra.Command{
		Use: "list", Short: "List the service items", Long: longItem,
		Example: `  huitong --context hall item list
  huitong --context hall item list --department 11999900MB00000278`,
		Args: cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, _ []string) error {
			items, err := itemsOf(ctx, c, f)
			if err != nil {
				return err
			}
			type I = *recordsv1.ServiceItem
			return list(a, each(items),
				column[I]{"CODE", I.GetImplementationCode}, column[I]{"ITEM", I.GetName}, column[I]{"DEPARTMENT", I.GetDepartmentName},
				column[I]{"TIME LIMIT", limitText}, column[I]{"FEE", feeText},
				column[I]{"MATERIALS", func(i I) string { return fmt.Sprint(len(i.GetMaterials())) }},
				column[I]{"TO BRING", func(i I) string { return fmt.Sprint(toBring(i)) }},
				column[I]{"STATE", func(i I) string { return enumText(i.GetState()) }})
		}),
	}
	c.Flags().StringVar(&f.Department, "department", "", "only items of this department, by its credit code")
	return c
}

func (a *app) itemShow() *cobra.Command {
	var asOf string
	c := &cobra.Command{
		Use: "show CODE", Short: "Show an item: its steps, its materials and where each comes from",
		Long: longItem + `

CODE is the implementation code of 31 characters, or the basic code of 12 if only one
department has the item. Of what a topic can supply, the applicant brings only what
is not found there.`,
		Example: `  huitong --context hall item show 000711004000
  huitong --context hall item show 11999900MB000002780007110040001 --as-of 2026-11-25T09:30:00+08:00`,
		Args: cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, args []string) error {
			item, err := itemOf(ctx, c, args[0], asOf)
			if err != nil {
				return err
			}
			return a.showItem(item.Item)
		}),
	}
	c.Flags().StringVar(&asOf, "as-of", "", "the item as it was: a ledger index, or a time 2026-11-25T09:30:00+08:00; by its implementation code")
	return c
}

// basicCode is the length of a basic code.
const basicCode = 12

// itemOf gives an item by its implementation code; or by its basic code, if only
// one department has it.
func itemOf(ctx context.Context, c *sdk.Client, code, asOf string) (*sdk.ServiceItem, error) {
	past, err := parseAsOf(asOf)
	if err != nil {
		return nil, err
	}
	if len(code) == basicCode && past == nil {
		if code, err = implementationOf(ctx, c, code); err != nil {
			return nil, err
		}
	}
	item, err := c.ServiceItem(ctx, code, past)
	if fault.KindOf(err) == fault.NotFound {
		return nil, advise(err, "list them with: huitong item list")
	}
	if err == nil && item.Erased {
		return nil, fault.New(fault.NotFound, "item.erased", "what the item said then was erased since")
	}
	return item, err
}

// implementationOf gives the code of the only item with a basic code.
func implementationOf(ctx context.Context, c *sdk.Client, code string) (string, error) {
	items, err := itemsOf(ctx, c, sdk.ServiceItemFilter{BasicCode: code})
	switch {
	case err != nil:
		return "", err
	case len(items) == 0:
		return code, nil
	case len(items) > 1:
		return "", usageError("%d departments have the item %s; name one by its implementation code, such as %s", len(items), code, items[0].ImplementationCode)
	}
	return items[0].ImplementationCode, nil
}

// itemsOf gives service items in the order of their codes.
func itemsOf(ctx context.Context, c *sdk.Client, f sdk.ServiceItemFilter) (items []*recordsv1.ServiceItem, err error) {
	for item, err := range c.ServiceItems(ctx, f) {
		if err != nil {
			return nil, err
		}
		items = append(items, item.Item)
	}
	slices.SortFunc(items, func(a, b *recordsv1.ServiceItem) int {
		return strings.Compare(a.ImplementationCode, b.ImplementationCode)
	})
	return items, nil
}
