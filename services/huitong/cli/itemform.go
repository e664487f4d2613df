package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) itemForm() *cobra.Command {
	var kind, save string
	c := &cobra.Command{
		Use: "form ITEM MATERIAL", Short: "Fetch a material's blank form, sample or filling guide",
		Long: longItem + ` Their documents too: each download is an entry in
the ledger, which names no official and no case.

ITEM is as for item show; MATERIAL is the code or the name of one of its materials. The
file is there only once its SHA-256 is found right.`,
		Example: `  huitong --context hall item form 000711004000 残疾人两项补贴申请审批表
  huitong --context hall item form 000711004000 000711004000-01 --kind sample --save 示例.txt`,
		Args: cobra.ExactArgs(2),
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, args []string) error {
			item, err := itemOf(ctx, c, args[0], "")
			if err != nil {
				return err
			}
			named, err := documentNamed(item.Item, args[1], kind)
			if err != nil {
				return err
			}
			d := sdk.DocumentOf(item.Documents, named)
			if d == nil {
				return fault.New(fault.NotFound, "item.document", "the item names the document %s and does not have it; ask its department", named.Name)
			}
			return a.saveDocument(ctx, c, sdk.DocumentQuery{Document: d}, orElse(save, fileName(named.Name)))
		}),
	}
	c.Flags().StringVar(&kind, "kind", "form", "form, sample or guide")
	c.Flags().StringVar(&save, "save", "", "file to write; it must not be there; the document's own name, here, if not given")
	return c
}

// documentNamed finds the document of a kind that a material of an item names.
func documentNamed(item *recordsv1.ServiceItem, material, kind string) (*recordsv1.Document, error) {
	i := slices.IndexFunc(item.Materials, func(m *recordsv1.ItemMaterial) bool { return m.Code == material || m.Name == material })
	if i < 0 {
		return nil, advise(fault.New(fault.NotFound, "material.unknown", "the item has no material %s", material), "see them with: huitong item show %s", item.ImplementationCode)
	}
	all := documentsOf(item.Materials[i])
	named, known := all[kind]
	switch {
	case !known:
		return nil, usageError("--kind is form, sample or guide, not %q", kind)
	case named == nil:
		return nil, fault.New(fault.NotFound, "item.document", "the material has no %s to download; it has: %s", kind, orElse(documentsText(item.Materials[i]), "none"))
	}
	return named, nil
}

// documentsOf are a material's documents by their kinds.
func documentsOf(m *recordsv1.ItemMaterial) map[string]*recordsv1.Document {
	return map[string]*recordsv1.Document{"form": m.BlankFormDocument, "sample": m.SampleDocument, "guide": m.GuideDocument}
}

// documentsText lists the kinds of documents that a material has.
func documentsText(m *recordsv1.ItemMaterial) string {
	var kinds []string
	for _, kind := range sortedKeys(documentsOf(m)) {
		if documentsOf(m)[kind] != nil {
			kinds = append(kinds, kind)
		}
	}
	return strings.Join(kinds, ", ")
}

// fileName makes a file name, in the present directory, of what a publisher calls a
// document.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:`, r) {
			return '_'
		}
		return r
	}, name)
	return strings.TrimLeft(name, ".")
}
