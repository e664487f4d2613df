package sdk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io/fs"
	"slices"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// itemDocuments are the documents that a service item names: the forms, samples and
// guides of its materials, and its forms. Those of one file come once each time it
// is named.
func itemDocuments(item *recordsv1.ServiceItem) (named []*recordsv1.Document) {
	for _, m := range item.GetMaterials() {
		named = append(named, m.BlankFormDocument, m.SampleDocument, m.GuideDocument)
	}
	for _, f := range item.GetForms() {
		named = append(named, f.Document)
	}
	return slices.DeleteFunc(named, func(d *recordsv1.Document) bool { return d == nil })
}

// DescribeItemDocuments fills in what a service item leaves out of the documents
// that it names, from the files of these names: size, SHA-256 and media type. A file
// that is another than the item says is refused.
func DescribeItemDocuments(item *recordsv1.ServiceItem, files fs.FS, mediaType func(name string) string) error {
	for _, d := range itemDocuments(item) {
		content, err := fs.ReadFile(files, d.Name)
		if err != nil {
			return fault.Wrap(fault.Invalid, "sdk.document", err, "the item names a document %s, which cannot be read", d.Name)
		}
		sum := sha256.Sum256(content)
		if d.Sha256 != nil && !bytes.Equal(d.Sha256, sum[:]) {
			return fault.New(fault.Invalid, "sdk.document", "the file %s has another SHA-256 than the item says", d.Name)
		}
		d.Size, d.Sha256 = uint64(len(content)), sum[:]
		if d.MediaType == "" {
			d.MediaType = mediaType(d.Name)
		}
	}
	return nil
}

// UploadItemDocuments brings the documents that a service item names, from the
// files of these names, each once: the item's publication names them
// (Publication.Documents).
func (c *Client) UploadItemDocuments(ctx context.Context, item *recordsv1.ServiceItem, files fs.FS) ([]*Document, error) {
	var stored []*Document
	for _, named := range itemDocuments(item) {
		if DocumentOf(stored, named) != nil {
			continue
		}
		content, err := fs.ReadFile(files, named.Name)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, "sdk.document", err, "the item names a document %s, which cannot be read", named.Name)
		}
		d, err := c.UploadDocument(ctx, bytes.NewReader(content), DocumentInfo{MediaType: named.MediaType, Title: named.Name})
		if err != nil {
			return nil, err
		}
		stored = append(stored, d.Document)
	}
	return stored, nil
}

// DocumentOf finds the document that a record names among those that belong to it;
// nil if it is not there.
func DocumentOf(documents []*Document, named *recordsv1.Document) *Document {
	for _, d := range documents {
		if bytes.Equal(d.Sha256, named.GetSha256()) && d.Size == named.GetSize() && d.MediaType == named.GetMediaType() {
			return d
		}
	}
	return nil
}
