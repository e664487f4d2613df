package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) representationCommand() *cobra.Command {
	return noun("representation", "Keep who may act for whom",
		a.representationRecord(), a.representationEnd(), a.representationList(), a.representationShow())
}

type representationFlags struct {
	n                            sdk.NewRepresentation
	kind, scan, from, until, key string
}

func (f *representationFlags) read(principal, representative string) (*sdk.PersonKey, error) {
	var err error
	if f.n.Principal, err = parseSubject(principal); err != nil {
		return nil, err
	}
	if f.n.Representative, err = parseSubject(representative); err != nil {
		return nil, err
	}
	if f.n.Kind, err = enumValue[accessv1.RepresentationKind]("--kind", f.kind); err != nil {
		return nil, err
	}
	if f.n.From, err = parseDay("--from", f.from); err != nil {
		return nil, err
	}
	if f.n.Until, err = parseDay("--until", f.until); err != nil {
		return nil, err
	}
	if f.scan != "" {
		raw, err := os.ReadFile(f.scan)
		if err != nil {
			return nil, err
		}
		f.n.Scan = sha256.Sum256(raw)
	}
	return sdk.LoadPersonKey(f.key)
}

func (a *app) representationRecord() *cobra.Command {
	var f representationFlags
	c := &cobra.Command{
		Use:   "record PRINCIPAL REPRESENTATIVE --kind KIND --until DAY --person-key FILE",
		Short: "Record who may act for whom",
		Long: `Records who may act for another, under the signature of an official who saw the proof:
a document, whose scan stays here, or a record of the exchange.`,
		Example: `  huitong representation record 111:999999201010200049 111:999999199001010016 --kind guardian \
      --document 户口簿 --scan hukou.pdf --until 2028-10-19 --person-key clerk.key`,
		Args: cobra.ExactArgs(2),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			key, err := f.read(args[0], args[1])
			if err != nil {
				return err
			}
			r, err := c.RecordRepresentation(ctx, f.n, key)
			if err != nil {
				return err
			}
			return a.showRepresentation(r)
		}),
	}
	fs := c.Flags()
	fs.StringVar(&f.kind, "kind", "", "guardian, agent or legal-representative")
	fs.BoolVar(&f.n.Incapacity, "incapacity", false, "the principal is grown up and without capacity")
	fs.StringVar(&f.n.Document, "document", "", "kind of the document that was seen")
	fs.StringVar(&f.scan, "scan", "", "its scan, of which the SHA-256 is recorded")
	fs.StringVar(&f.n.Topic, "proof-topic", "", "the topic of a record that says so, instead of a document")
	fs.Uint64Var(&f.n.Index, "proof-index", 0, "the ledger entry that published that record")
	fs.StringSliceVar(&f.n.Topics, "topic", nil, "only for these topics")
	fs.StringSliceVar(&f.n.ServiceItems, "item", nil, "only for these service items")
	fs.StringVar(&f.from, "from", "", "first day; today if not given")
	fs.StringVar(&f.until, "until", "", "last day")
	fs.StringVar(&f.key, "person-key", "", "key file of the official who saw the proof")
	for _, name := range []string{"kind", "until", "person-key"} {
		_ = c.MarkFlagRequired(name)
	}
	c.MarkFlagsRequiredTogether("document", "scan")
	c.MarkFlagsOneRequired("document", "proof-topic")
	c.MarkFlagsMutuallyExclusive("document", "proof-topic")
	return c
}

func (a *app) representationEnd() *cobra.Command {
	var reason, keyFile string
	c := &cobra.Command{
		Use: "end DIGEST --person-key FILE", Short: "End a representation; consents given under it stand no more", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			digest, err := parseDigest(args[0])
			if err != nil {
				return err
			}
			key, err := sdk.LoadPersonKey(keyFile)
			if err != nil {
				return err
			}
			r, err := c.EndRepresentation(ctx, digest, reason, key)
			if err != nil {
				return err
			}
			return a.showRepresentation(r)
		}),
	}
	c.Flags().StringVar(&keyFile, "person-key", "", "key file of the official who ends it")
	_ = c.MarkFlagRequired("person-key")
	return reasonFlag(c, &reason)
}

func (a *app) representationList() *cobra.Command {
	var principal string
	c := &cobra.Command{
		Use: "list", Short: "List the representations that the department recorded, the newest first", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			var of *sdk.Subject
			if principal != "" {
				s, err := parseSubject(principal)
				if err != nil {
					return err
				}
				of = &s
			}
			all, err := c.Representations(ctx, of)
			if err != nil {
				return err
			}
			type R = *sdk.Representation
			return list(a, each(all),
				column[R]{"REPRESENTATION", func(r R) string { return hex.EncodeToString(r.GetDigest()) }},
				column[R]{"FOR", func(r R) string { return subjectText(r.GetRepresentation().GetPrincipal()) }},
				column[R]{"ACTS", func(r R) string { return subjectText(r.GetRepresentation().GetRepresentative()) }},
				column[R]{"AS", func(r R) string { return enumText(r.GetRepresentation().GetKind()) }},
				column[R]{"UNTIL", func(r R) string { return r.GetRepresentation().GetValidUntil() }},
				column[R]{"STATE", func(r R) string { return enumText(r.GetState()) }})
		}),
	}
	c.Flags().StringVar(&principal, "principal", "", "only those of this subject, TYPE:NUMBER")
	return c
}

func (a *app) representationShow() *cobra.Command {
	return &cobra.Command{
		Use: "show DIGEST", Short: "Show a representation that the department recorded", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			digest, err := parseDigest(args[0])
			if err != nil {
				return err
			}
			resp, err := accessv1.NewRepresentationServiceClient(c.Conn()).GetRepresentation(ctx, &accessv1.GetRepresentationRequest{Digest: digest})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.showRepresentation(resp.GetRepresentation())
		}),
	}
}

func (a *app) showRepresentation(r *sdk.Representation) error {
	m := r.GetRepresentation()
	proof := m.GetProof().GetDocument()
	if m.GetProof().GetTopic() != "" {
		proof = fmt.Sprintf("record of %s, entry %d", m.GetProof().GetTopic(), m.GetProof().GetIndex())
	}
	ended := ""
	if r.GetEndedPlusOne() > 0 {
		ended = fmt.Sprintf("%s, entry %d", when(r.GetEndedAt()), r.GetEndedPlusOne()-1)
	}
	return a.show(r, pair{"representation", hex.EncodeToString(r.GetDigest())}, pair{"for", subjectText(m.GetPrincipal())},
		pair{"acts", subjectText(m.GetRepresentative())}, pair{"as", enumText(m.GetKind()) + yesNo(m.GetIncapacity(), ", without capacity", "")},
		pair{"proof", proof}, pair{"topics", orElse(strings.Join(m.GetTopics(), ", "), "all")},
		pair{"service items", orElse(strings.Join(m.GetServiceItems(), ", "), "all")},
		pair{"valid", m.GetValidFrom() + " to " + m.GetValidUntil()},
		pair{"recorded", fmt.Sprintf("%s by %s, entry %d", when(r.GetRecordedAt()), r.GetSystem(), r.GetRecorded())},
		pair{"state", enumText(r.GetState())}, pair{"ended", ended})
}
