package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) casePreview() *cobra.Command {
	var f materialsFlags
	c := &cobra.Command{
		Use: "preview NUMBER --person REFERENCE", Short: "Show the applicant what the copies of the materials that are held would say",
		Long: `Shows what the copies would say, so that the applicant sees it before agreeing. It is
decided as a collection is, and each record that is shown is an entry in the ledger.
What is shown may not be used: collect it, or decline it.`,
		Example: "  huitong case preview SF-2026-000042 --person clerk-017",
		Args:    cobra.ExactArgs(1),
	}
	c.RunE = orPaper(a.with(func(ctx context.Context, client *sdk.Client, args []string) error {
		acting, applicant, err := f.of(ctx, client, args[0])
		if err != nil {
			return err
		}
		p, err := client.Preview(ctx, acting, applicant)
		if err != nil {
			return err
		}
		return a.previewed(ctx, client, p)
	}))
	f.add(c)
	return c
}

// shownView is a record of a preview as it is printed.
type shownView struct {
	Material string      `json:"material"`
	Name     string      `json:"name"`
	Grade    string      `json:"grade,omitempty"`
	Entry    uint64      `json:"entry"`
	Record   *recordView `json:"record"`
}

func (a *app) previewed(ctx context.Context, c *sdk.Client, p *sdk.Preview) error {
	show := newRenderer(c)
	if a.json() {
		shown := []*shownView{}
		for i := range p.Shown {
			one := &p.Shown[i]
			record, err := show.view(ctx, &one.Record, one.Receipt)
			if err != nil {
				return err
			}
			shown = append(shown, &shownView{Material: one.Material, Name: one.Name, Grade: one.Grade, Entry: one.Receipt.Index, Record: record})
		}
		return a.printValue(map[string]any{"item": inJSON{p.Item}, "previews": shown, "materials": allInJSON(p.Materials), "entry": p.Receipt.Index})
	}
	a.printf("%s, %s\n", p.Item.GetName(), p.Item.GetDepartmentName())
	if err := a.shownTable(ctx, show, p); err != nil {
		return err
	}
	if others := p.Others(); len(others) > 0 {
		a.printf("\n")
		if err := a.materials(ctx, c, others); err != nil {
			return err
		}
	}
	if len(p.Shown) == 0 {
		a.printf("\nnothing is held that could be shown; the ledger says so in entry %d\n", p.Receipt.Index)
		return nil
	}
	a.printf("\n%d records are shown and may not be used yet; the ledger says so in entry %d\n", len(p.Shown), p.Receipt.Index)
	return nil
}

// shownTable prints what the copies would say.
func (a *app) shownTable(ctx context.Context, show *renderer, p *sdk.Preview) error {
	var rows [][]string
	for i := range p.Shown {
		said, err := show.plain(ctx, &p.Shown[i].Record)
		if err != nil {
			return err
		}
		for _, one := range said {
			rows = append(rows, []string{p.Shown[i].Name, one.name, one.value})
		}
	}
	return a.section([]string{"MATERIAL", "WHAT", "THE COPY WOULD SAY"}, rows)
}

// plain gives what a record says, by the titles that the catalogue gives its fields.
func (r *renderer) plain(ctx context.Context, record *sdk.Record) ([]pair, error) {
	d, err := r.descriptor(ctx, contractVersion{record.Contract, record.ContractVersion})
	if err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(d)
	if err := record.Unmarshal(m); err != nil {
		return nil, err
	}
	resp, err := catalogue(r.client).GetTopic(ctx, &cataloguev1.GetTopicRequest{Name: record.Topic})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	titles := map[string]string{}
	for _, i := range resp.GetTopic().GetItems() {
		titles[i.GetName()] = i.GetTitle()
	}
	var said []pair
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		if m.Has(field) {
			said = append(said, pair{orElse(titles[string(field.Name())], string(field.Name())), plainValue(field, m.Get(field))})
		}
	}
	return said, nil
}

// plainValue gives a field's value in plain words, as far as it has such.
func plainValue(field protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch {
	case field.IsMap():
		var parts []string
		v.Map().Range(func(k protoreflect.MapKey, one protoreflect.Value) bool {
			parts = append(parts, k.String()+": "+plainOne(field.MapValue(), one))
			return true
		})
		return strings.Join(parts, "、")
	case field.IsList():
		var parts []string
		for i := range v.List().Len() {
			parts = append(parts, plainOne(field, v.List().Get(i)))
		}
		return strings.Join(parts, "、")
	}
	return plainOne(field, v)
}

func plainOne(field protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return plainMessage(v.Message().Interface())
	case protoreflect.EnumKind:
		if known := field.Enum().Values().ByNumber(v.Enum()); known != nil {
			return spelled(known)
		}
	case protoreflect.BytesKind:
		return itoa(len(v.Bytes())) + " bytes"
	}
	return v.String()
}

func plainMessage(m proto.Message) string {
	text, err := compact(m)
	if err != nil {
		return protojson.Format(m)
	}
	return string(text)
}
