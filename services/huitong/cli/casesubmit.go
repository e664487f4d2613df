package cli

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) caseSubmit() *cobra.Command {
	var person, key string
	var named []string
	c := &cobra.Command{
		Use: "submit NUMBER TOPIC FILE|- --person REFERENCE", Short: "Enter a material that the applicant submitted, so that nobody asks again",
		Long: `Publishes a material that the applicant submitted, one record in protobuf-JSON of the
contract huitong.records.v1.SubmittedMaterial, on a topic of the department's own, and
enters for which case it was. It must name the case, its item, a material of the item
and the department itself. It stands in for this item from now on; for other items
only if the applicant agreed to its reuse (reuse_consented).

A run that broke off is run again as it was: the same file with the same documents for
the same case is the same submission, which is entered once. --key tells submissions
apart, or keeps them together, by a word of the department's own.`,
		Example: `  huitong case submit SF-2026-000042 submitted-material statement.json --person clerk-017
  huitong case submit SF-2026-000042 submitted-material statement.json --person clerk-017 \
      --document 0193f0a2b1c47d5e8f90a1b2c3d4e5f6`,
		Args: cobra.ExactArgs(3),
		RunE: orLater(a.with(func(ctx context.Context, client *sdk.Client, args []string) error {
			k, err := caseOf(ctx, client, args[0])
			if err != nil {
				return err
			}
			p, err := a.material(ctx, client, args[1], args[2], named)
			if err != nil {
				return err
			}
			p.IdempotencyKey = submissionKey(p, args[0], key)
			receipt, err := client.Submit(ctx, sdk.Submission{Acting: sdk.Acting{Person: person, Purpose: k.GetItem(), Case: args[0]}, Material: p})
			if err != nil {
				return err
			}
			if a.json() {
				return a.printValue(map[string]any{"topic": p.Topic, "index": receipt.Index, "at": receipt.At.UTC(), "leaf": receipt.Leaf, "repeat": receipt.Repeat})
			}
			if receipt.Repeat {
				a.printf("the material was submitted before (ledger entry %d); nothing is changed\n", receipt.Index)
				return nil
			}
			a.printf("the material is submitted (ledger entry %d)\n", receipt.Index)
			return nil
		}), "keep the file and submit it once the exchange is there again; the same file is the same submission"),
	}
	c.Flags().StringVar(&person, "person", "", "the official who acts, by the department's own reference")
	c.Flags().StringSliceVar(&named, "document", nil, "id of a document that belongs to the material; may be repeated")
	c.Flags().StringVar(&key, "key", "", "names this submission of the case; by the file and its documents if not given")
	_ = c.MarkFlagRequired("person")
	return c
}

// submissionKey names a submission for good, so that a run after a crash is the
// same: by the caller's own word, or by all that is submitted.
func submissionKey(p *sdk.Publication, number, word string) sdk.IdempotencyKey {
	parts := [][]byte{[]byte(p.Topic), []byte(number), []byte(word)}
	if word == "" {
		parts = append(parts, p.JSON)
		for _, d := range p.Documents {
			parts = append(parts, d.GetId())
		}
	}
	h := sha256.New()
	h.Write([]byte("huitong/case-submit/v1"))
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return sdk.IdempotencyKey(h.Sum(nil)[:len(sdk.IdempotencyKey{})])
}

// material reads the one record of a file.
func (a *app) material(ctx context.Context, c *sdk.Client, topic, file string, named []string) (*sdk.Publication, error) {
	text, err := a.readFile(file)
	if err != nil {
		return nil, err
	}
	t := template{topic: topic, operation: sdk.Put}
	if t.documents, err = describeDocuments(ctx, c, named); err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		return nil, fault.New(fault.Invalid, "file.json", "the file is not JSON; it holds one record")
	}
	p, err := t.of(&line{number: 1, raw: text, long: len(text) > maxLine})
	return &p, err
}

// readFile reads a file, or standard input for "-", as far as a record can reach.
func (a *app) readFile(file string) ([]byte, error) {
	in := a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, maxLine+1))
}

func (a *app) casePapers() *cobra.Command {
	var f materialsFlags
	c := &cobra.Command{
		Use: "papers NUMBER CODE… --person REFERENCE", Short: "Say which materials were accepted on paper while the exchange could not be reached",
		Long: `Says by their codes which materials of the case were accepted on paper, unasked,
because the exchange could not be reached, and lists those that it held all the same.
Open the case after the fact if it could not be opened then.`,
		Example: "  huitong case papers SF-2026-000042 000711004000-02 000711004000-04 --person clerk-017",
		Args:    cobra.MinimumNArgs(2),
		RunE: orLater(a.with(func(ctx context.Context, client *sdk.Client, args []string) error {
			acting, applicant, err := f.of(ctx, client, args[0])
			if err != nil {
				return err
			}
			avoidable, err := client.ReportPapers(ctx, acting, applicant, args[1:]...)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printValue(map[string]any{"papers": args[1:], "avoidable": append([]string{}, avoidable...)})
			}
			a.printf("%d papers are reported; the exchange held %s\n", len(args)-1, orElse(strings.Join(avoidable, ", "), "none of them"))
			return nil
		}), "report them once the exchange is there again; what is reported twice counts once"),
	}
	f.add(c)
	return c
}
