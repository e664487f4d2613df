package cli

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) itemPublish() *cobra.Command {
	var topic, dir string
	c := &cobra.Command{
		Use: "publish FILE", Short: "Publish service items with their forms, samples and guides",
		Long: `Publishes service items, one a line in protobuf-JSON, each with the documents that it
names. A document is the file of its name in the directory documents beside FILE, or in
that of --documents; what the item leaves out of it, size, SHA-256 and media type, is
filled in. An item that stands already as it is written is left alone, so a run that
broke off is run again.`,
		Example: "  huitong --context items item publish deploy/items/service-items.jsonl",
		Args:    cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, client *sdk.Client, args []string) error {
			if dir == "" {
				dir = filepath.Join(filepath.Dir(args[0]), "documents")
			}
			return a.publishItems(ctx, client, topic, args[0], dir)
		}),
	}
	c.Flags().StringVar(&topic, "topic", "service-items", "the topic to publish on")
	c.Flags().StringVar(&dir, "documents", "", "the directory of the documents")
	return c
}

func (a *app) publishItems(ctx context.Context, c *sdk.Client, topic, file, dir string) (err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	publisher := c.Publisher(sdk.PublisherConfig{CallUnary: true})
	defer func() { _ = publisher.Close(ctx) }()
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxLine)
	for number := 1; lines.Scan(); number++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		item := &recordsv1.ServiceItem{}
		if err := protojson.Unmarshal(lines.Bytes(), item); err != nil {
			return fault.Wrap(fault.Invalid, "line.item", err, "line %d is no service item", number)
		}
		if err := a.publishItem(ctx, c, publisher, topic, item, dir); err != nil {
			return fmt.Errorf("line %d, %s %s: %w", number, item.ImplementationCode, item.Name, err)
		}
	}
	return lines.Err()
}

func (a *app) publishItem(ctx context.Context, c *sdk.Client, p *sdk.Publisher, topic string, item *recordsv1.ServiceItem, dir string) error {
	files := os.DirFS(dir)
	if err := sdk.DescribeItemDocuments(item, files, mediaTypeOf); err != nil {
		return err
	}
	present, err := c.ServiceItem(ctx, item.ImplementationCode, nil)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	if err == nil && present.Topic == topic && proto.Equal(present.Item, item) {
		return a.itemPublished(item, len(present.Documents), present.Index, true)
	}
	documents, err := c.UploadItemDocuments(ctx, item, files)
	if err != nil {
		return err
	}
	receipt, err := p.Do(ctx, sdk.Publication{Topic: topic, Message: item, Documents: documents})
	if err != nil {
		return err
	}
	return a.itemPublished(item, len(documents), receipt.Index, false)
}

// itemPublished tells in which entry an item stands, by this run or an earlier one.
func (a *app) itemPublished(item *recordsv1.ServiceItem, documents int, index uint64, unchanged bool) error {
	switch {
	case a.json():
		return a.printValue(map[string]any{"code": item.ImplementationCode, "documents": documents, "index": index, "unchanged": unchanged})
	case unchanged:
		a.printf("%s %s stands already\n", item.ImplementationCode, item.Name)
	default:
		a.printf("%s %s is published with %d documents (ledger entry %d)\n", item.ImplementationCode, item.Name, documents, index)
	}
	return nil
}
