package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) documentCommand() *cobra.Command {
	c := &cobra.Command{Use: "document", Short: "Bring and fetch documents of records: forms, scans, samples"}
	c.AddCommand(a.documentPutCommand(), a.documentGetCommand())
	return c
}

type documentFlags struct {
	id, mediaType, title, out string
	acting                    sdk.Acting
}

func (a *app) documentPutCommand() *cobra.Command {
	var f documentFlags
	c := &cobra.Command{
		Use:   "put FILE",
		Short: "Bring a document of up to 100 MiB",
		Long: `Brings a document to the exchange, and prints its id: publish --document names it.
A document that no publication names is for the system that brought it.

When the connection breaks it goes on by itself. A run that was broken off goes on
where it stopped if it is given the same --id.`,
		Example: `  huitong document put form.pdf
  huitong publish marriage one.jsonl --document 0193f0a2b1c47d5e8f90a1b2c3d4e5f6`,
		Args: cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, args []string) error {
			return a.putDocument(ctx, c, &f, args[0])
		}),
	}
	c.Flags().StringVar(&f.id, "id", "", "of the document, 32 hexadecimal digits; made up if not given")
	c.Flags().StringVar(&f.mediaType, "media-type", "", "as application/pdf; by the file's name if not given")
	c.Flags().StringVar(&f.title, "title", "", "what people call it; the file's name if not given")
	return c
}

func (a *app) putDocument(ctx context.Context, c *sdk.Client, f *documentFlags, path string) error {
	id := sdk.NewDocumentID()
	if f.id != "" {
		var err error
		if id, err = parseDocumentID(f.id); err != nil {
			return err
		}
	} else {
		a.notef("the document is %x; if this is broken off, put it again with that as its --id\n", id)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	d, err := c.UploadDocument(ctx, file, sdk.DocumentInfo{
		ID: id, MediaType: orElse(f.mediaType, mediaTypeOf(path)), Title: orElse(f.title, filepath.Base(path)), Progress: a.moving(),
	})
	if fault.KindOf(err).Retryable() || errors.Is(err, context.Canceled) {
		return advise(err, "huitong document put %s --id %x goes on where this stopped", path, id)
	}
	if err != nil {
		return err
	}
	if a.json() {
		return a.printValue(map[string]any{"id": hex.EncodeToString(d.Id), "size": d.Size, "sha256": hex.EncodeToString(d.Sha256), "index": d.Receipt.Index})
	}
	a.printf("%x\n", d.Id)
	a.notef("%d bytes are there, by entry %d\n", d.Size, d.Receipt.Index)
	return nil
}

// mediaTypeOf tells by a file's name what it is.
func mediaTypeOf(path string) string {
	kind, _, _ := strings.Cut(mime.TypeByExtension(strings.ToLower(filepath.Ext(path))), ";")
	return orElse(kind, "application/octet-stream")
}

// moving gives what shows on a terminal how far a document has come; nil for
// others.
func (a *app) moving() func(done, size uint64) {
	if !a.terminal() {
		return nil
	}
	return func(done, size uint64) {
		fmt.Fprintf(a.err, "\r%d of %d MiB", done>>20, size>>20)
		if done == size {
			fmt.Fprintln(a.err)
		}
	}
}

func parseDocumentID(text string) (id sdk.DocumentID, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return id, usageError("%q is no document: an id has %d hexadecimal digits", text, 2*len(id))
	}
	return sdk.DocumentID(raw), nil
}

func (a *app) documentGetCommand() *cobra.Command {
	var f documentFlags
	c := &cobra.Command{
		Use:   "get ID --out FILE",
		Short: "Fetch a document",
		Long: `Fetches a document and checks its SHA-256; the file is there only once that is
right. One that belongs to a record is read like the record itself: for a person, a
purpose and a case, and with an entry in the ledger.`,
		Args: cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, args []string) error {
			return a.getDocument(ctx, c, &f, args[0])
		}),
	}
	c.Flags().StringVar(&f.out, "out", "", "file to write; it must not be there")
	_ = c.MarkFlagRequired("out") // fails for a flag that is not defined
	actingFlags(c, &f.acting)
	return c
}

func (a *app) getDocument(ctx context.Context, c *sdk.Client, f *documentFlags, text string) error {
	id, err := parseDocumentID(text)
	if err != nil {
		return err
	}
	return a.saveDocument(ctx, c, sdk.DocumentQuery{Document: &sdk.Document{Id: id[:]}, Acting: f.acting}, f.out)
}

// saveDocument writes a document to a file that is not there yet.
func (a *app) saveDocument(ctx context.Context, c *sdk.Client, q sdk.DocumentQuery, out string) (err error) {
	if _, err := os.Lstat(out); err == nil {
		return usageError("%s is there already", out)
	}
	file, err := os.CreateTemp(filepath.Dir(out), ".document-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreMissing(os.Remove(file.Name()))) }()
	q.Progress = a.moving()
	d, err := c.DownloadDocument(ctx, q, file)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	// A hard link, so that a file that came up meanwhile is not replaced.
	if err := os.Link(file.Name(), out); err != nil {
		return err
	}
	a.printf("%s, %d bytes, %s\n", out, d.Size, d.MediaType)
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// describeDocuments asks what documents are that the caller brought.
func describeDocuments(ctx context.Context, c *sdk.Client, named []string) (all []*sdk.Document, err error) {
	for _, text := range named {
		id, err := parseDocumentID(text)
		if err != nil {
			return nil, err
		}
		d, err := c.Document(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}
