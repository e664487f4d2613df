package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// serviceItems is the topic of service items, and the subscription by which this
// command reads it.
const serviceItems = "service-items"

const longItem = `Reads the topic service-items from its beginning, by a subscription of that name which
the calling system gets the first time. Items are about nobody, so no case is needed;
another department than the topic's provider needs a grant to subscribe.`

func (a *app) itemCommand() *cobra.Command {
	return noun("item", "See service items and what an applicant must bring", a.itemList(), a.itemShow())
}

func (a *app) itemList() *cobra.Command {
	var topic string
	c := &cobra.Command{
		Use: "list", Short: "List the service items that are in use", Long: longItem,
		Example: "  huitong --context hall item list",
		Args:    cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, _ []string) error {
			items, err := readItems(ctx, c, topic)
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
	c.Flags().StringVar(&topic, "topic", serviceItems, "the topic whose records are service items")
	return c
}

func (a *app) itemShow() *cobra.Command {
	var topic string
	c := &cobra.Command{
		Use: "show CODE", Short: "Show an item: its steps, its materials and where each comes from",
		Long: longItem + `

CODE is the implementation code of 31 characters, or the basic code of 12 if only one
department has the item. Of what a topic can supply, the applicant brings only what
is not found there.`,
		Example: "  huitong --context hall item show 000711004000",
		Args:    cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, args []string) error {
			items, err := readItems(ctx, c, topic)
			if err != nil {
				return err
			}
			item, err := itemOf(items, args[0])
			if err != nil {
				return err
			}
			return a.showItem(item)
		}),
	}
	c.Flags().StringVar(&topic, "topic", serviceItems, "the topic whose records are service items")
	return c
}

func itemOf(items []*recordsv1.ServiceItem, code string) (*recordsv1.ServiceItem, error) {
	found := slices.DeleteFunc(slices.Clone(items), func(i *recordsv1.ServiceItem) bool {
		return i.ImplementationCode != code && i.BasicCode != code
	})
	switch len(found) {
	case 0:
		return nil, advise(fault.New(fault.NotFound, "item.unknown", "there is no service item %s", code), "list them with: huitong item list")
	case 1:
		return found[0], nil
	}
	return nil, usageError("%d departments have the item %s; name one by its implementation code, such as %s", len(found), code, found[0].ImplementationCode)
}

func (a *app) showItem(i *recordsv1.ServiceItem) error {
	if err := a.show(i,
		pair{"item", i.Name}, pair{"code", i.ImplementationCode}, pair{"department", i.DepartmentName}, pair{"state", enumText(i.State)},
		pair{"conditions", strings.Join(i.Conditions, "；")}, pair{"time limit", limitText(i)}, pair{"fee", feeText(i)}, pair{"fee basis", i.FeeBasis},
		pair{"result", i.Result}, pair{"place", i.Place}, pair{"hours", i.Hours}, pair{"contact", i.Contact}, pair{"complaints", i.ComplaintChannel},
	); err != nil || a.json() {
		return err
	}
	a.printf("\n")
	steps := newTable(a.out, "STEP", "DEPARTMENT", "WHAT IS DONE")
	for _, s := range i.Steps {
		if err := steps.row(s.Name, s.Department, s.Requirement); err != nil {
			return err
		}
	}
	if err := steps.flush(); err != nil {
		return err
	}
	a.printf("\n")
	materials := newTable(a.out, "MATERIAL", "NEEDED", "HOW MANY", "FORM", "FROM", "TOPICS", "APPLICANT")
	for _, m := range i.Materials {
		if err := materials.row(m.Name, enumText(m.Necessity), copiesText(m), enumText(m.Medium), sourceText(m), evidenceText(m), bringText(m)); err != nil {
			return err
		}
	}
	return materials.flush()
}

func limitText(i *recordsv1.ServiceItem) string {
	if i.OnTheSpot {
		return "on the spot"
	}
	return fmt.Sprintf("%d %s", i.PromisedLimit, enumText(i.LimitUnit))
}

func feeText(i *recordsv1.ServiceItem) string {
	if i.Fee == recordsv1.Fee_FEE_CHARGED {
		return fmt.Sprintf("%d.%02d yuan", i.FeeFen/100, i.FeeFen%100)
	}
	return enumText(i.Fee)
}

func copiesText(m *recordsv1.ItemMaterial) string {
	var parts []string
	if m.Originals > 0 {
		parts = append(parts, fmt.Sprintf("%d original", m.Originals))
	}
	if m.Copies > 0 {
		parts = append(parts, fmt.Sprintf("%d copy", m.Copies))
	}
	return strings.Join(parts, ", ")
}

func sourceText(m *recordsv1.ItemMaterial) string { return orElse(m.SourceName, enumText(m.Source)) }

func evidenceText(m *recordsv1.ItemMaterial) string {
	var topics []string
	for _, e := range m.Evidence {
		topics = append(topics, e.Topic)
	}
	return orElse(strings.Join(topics, ", "), "-")
}

// bringText says what is left to the applicant.
func bringText(m *recordsv1.ItemMaterial) string {
	switch {
	case len(m.Evidence) > 0:
		return "only if not found"
	case m.Source == recordsv1.MaterialSource_MATERIAL_SOURCE_APPLICANT:
		return "fills in"
	}
	return "brings"
}

// toBring counts the materials that no topic can supply.
func toBring(i *recordsv1.ServiceItem) (n int) {
	for _, m := range i.GetMaterials() {
		if len(m.Evidence) == 0 {
			n++
		}
	}
	return n
}

// readItems gives the present service items in the order of their codes. It
// reads the topic from its beginning: the position is this run's own.
func readItems(ctx context.Context, c *sdk.Client, topic string) ([]*recordsv1.ServiceItem, error) {
	if _, err := c.EnsureSubscription(ctx, sdk.NewSubscription{Name: topic, Topic: topic, Start: sdk.FromAll()}); err != nil {
		return nil, err
	}
	items := map[string]*recordsv1.ServiceItem{}
	var position uint64
	keep := func(_ context.Context, d *sdk.Delivery) error {
		position = max(position, d.Sequence)
		switch {
		case d.Notice || d.Status == sdk.Active && !d.HasPayload():
			return nil // a later version comes, or the payload stays what it was
		case d.Status != sdk.Active:
			delete(items, d.Key)
			return nil
		}
		item := &recordsv1.ServiceItem{}
		if err := d.Unmarshal(item); err != nil {
			return err
		}
		items[item.ImplementationCode] = item
		return nil
	}
	caught := make(chan struct{})
	s, err := c.Subscribe(ctx, topic, keep, sdk.WithPosition(func(context.Context) (uint64, error) { return position, nil }),
		sdk.WithCaughtUp(sync.OnceFunc(func() { close(caught) })))
	if err != nil {
		return nil, err
	}
	select {
	case <-caught:
	case <-ctx.Done():
	case <-s.Closed():
	}
	s.Drain()
	<-s.Closed()
	if err := errors.Join(ctx.Err(), s.Err()); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(items), func(a, b *recordsv1.ServiceItem) int {
		return strings.Compare(a.ImplementationCode, b.ImplementationCode)
	}), nil
}
