package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/sdk"
)

type queryFlags struct {
	acting   sdk.Acting
	key      string
	index    uint64
	inactive bool
	asOf     string
	limit    int
	dry      bool
}

// actingFlags name on whose behalf and for what a record is read.
func actingFlags(c *cobra.Command, acting *sdk.Acting) {
	f := c.Flags()
	f.StringVar(&acting.Person, "person", "", "the official or applicant who acts, by the department's own reference")
	f.StringVar(&acting.Purpose, "purpose", "", "code of the service item that it is read for")
	f.StringVar(&acting.Case, "case", "", "the department's case number")
}

func (a *app) queryCommand() *cobra.Command {
	var f queryFlags
	c := &cobra.Command{
		Use:   "query TOPIC [TYPE:NUMBER]",
		Short: "Ask for records by subject or key, for a purpose and a case",
		Long: `Asks for the records of a topic about a subject, or for one record by its key. Every
page that is answered is an entry in the ledger, with person, purpose and case; so is
a refusal. What comes is checked against what its publisher signed before it is shown.`,
		Example: `  huitong query person 111:999999199001010016 \
      --person clerk-017 --purpose 000115004000 --case SF-2026-000042
  huitong query person --key 999999199001010016 --person clerk-017 --purpose 000115004000 --case SF-2026-000042`,
		Args: cobra.RangeArgs(1, 2),
	}
	c.RunE = a.with(func(ctx context.Context, client *sdk.Client, args []string) error {
		by, err := f.by(args[1:], c.Flags().Changed("index"))
		if err != nil {
			return err
		}
		past, err := parseAsOf(f.asOf)
		if err != nil {
			return err
		}
		return a.query(ctx, client, &f, sdk.Query{
			Topic: args[0], Acting: f.acting, By: by, AsOf: past, IncludeInactive: f.inactive, ValidateOnly: f.dry,
		})
	})
	actingFlags(c, &f.acting)
	c.Flags().StringVar(&f.key, "key", "", "the record with this key")
	c.Flags().Uint64Var(&f.index, "index", 0, "the version that this ledger entry published")
	c.Flags().BoolVar(&f.inactive, "include-inactive", false, "records too that are revoked, removed or otherwise no longer active")
	c.Flags().IntVar(&f.limit, "limit", 0, "no more records than this; all if 0")
	c.Flags().StringVar(&f.asOf, "as-of", "", "what was known then: a ledger index, or a time 2026-11-25T09:30:00+08:00")
	c.MarkFlagsMutuallyExclusive("key", "index")
	c.MarkFlagsMutuallyExclusive("as-of", "index")
	return dryRunFlag(c, &f.dry)
}

// parseAsOf reads which past is asked for; nil for the present.
func parseAsOf(text string) (sdk.QueryAsOf, error) {
	if text == "" {
		return nil, nil
	}
	if index, err := strconv.ParseUint(text, 10, 64); err == nil {
		return sdk.AsOfIndex(index), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, usageError("--as-of is a ledger index, or a time as 2026-11-25T09:30:00+08:00")
	}
	return sdk.AsOfTime(at), nil
}

// by reads by whom or what to look.
func (f *queryFlags) by(subject []string, index bool) (sdk.QueryBy, error) {
	switch {
	case len(subject) > 0 && (f.key != "" || index):
		return nil, usageError("name either a subject, or a record by --key or --index")
	case f.key != "":
		return sdk.ByKey(f.key), nil
	case index:
		return sdk.ByIndex(f.index), nil
	case len(subject) == 0:
		return nil, usageError("name a subject as TYPE:NUMBER, or a record with --key")
	}
	s, err := parseSubject(subject[0])
	return sdk.BySubject(s), err
}

func (a *app) query(ctx context.Context, c *sdk.Client, f *queryFlags, q sdk.Query) error {
	if f.limit > 0 {
		q.PageSize = min(f.limit, 256)
	}
	n, show := 0, newRenderer(c)
	for {
		answer, err := c.Query(ctx, q)
		if err != nil {
			return err
		}
		if f.dry {
			a.printf("the query would be answered; nothing was read\n")
			return nil
		}
		for i := range answer.Records {
			if f.limit > 0 && n == f.limit {
				return nil
			}
			n++
			v, err := show.view(ctx, &answer.Records[i], answer.Release)
			if err != nil {
				return err
			}
			if err := a.printRecord(v); err != nil {
				return err
			}
		}
		if q.PageToken = answer.NextPageToken; q.PageToken == "" {
			a.printf("%d records; the ledger says so in entry %d\n", n, answer.Release.Index)
			return nil
		}
	}
}

// recordView is a released record as it is printed.
type recordView struct {
	Topic           string          `json:"topic"`
	Index           uint64          `json:"index"`
	Operation       string          `json:"operation"`
	Status          string          `json:"status"`
	Version         uint64          `json:"version"`
	Key             string          `json:"key,omitempty"`
	At              time.Time       `json:"at"`
	EffectiveAt     time.Time       `json:"effective_at"`
	Reason          string          `json:"reason,omitempty"`
	Successor       string          `json:"successor,omitempty"`
	Expired         bool            `json:"expired,omitempty"`
	Disputed        bool            `json:"disputed,omitempty"`
	Notice          bool            `json:"notice,omitempty"`
	Erased          bool            `json:"erased,omitempty"`
	Contract        string          `json:"contract,omitempty"`
	ContractVersion uint32          `json:"contract_version,omitempty"`
	Withheld        []uint32        `json:"withheld,omitempty"`
	Release         uint64          `json:"release"`
	Record          json.RawMessage `json:"record,omitempty"`

	// withheld names the fields that were withheld.
	withheld []string
}

func (w *renderer) view(ctx context.Context, r *sdk.Record, release *sdk.Receipt) (*recordView, error) {
	v := &recordView{
		Topic: r.Topic, Index: r.Index, Operation: enumText(r.Operation), Status: enumText(r.Status), Version: r.Version, Key: r.Key,
		At: r.At.UTC(), EffectiveAt: r.EffectiveAt.UTC(), Reason: r.Reason, Successor: r.Successor,
		Expired: r.Expired, Disputed: r.Disputed, Notice: r.Notice, Erased: r.Erased,
		Contract: r.Contract, ContractVersion: r.ContractVersion, Withheld: r.Withheld, Release: release.Index,
	}
	var err error
	if v.withheld, err = w.withheld(ctx, r); err != nil {
		return nil, err
	}
	v.Record, err = w.json(ctx, r)
	return v, err
}

func (a *app) printRecord(v *recordView) error {
	if a.json() {
		return a.printValue(v)
	}
	state := v.Status
	for _, s := range []struct {
		is   bool
		text string
	}{{v.Expired, "expired"}, {v.Disputed, "disputed"}, {v.Notice, "a later version exists"}, {v.Erased, "erased"}} {
		if s.is && s.text != v.Status {
			state += ", " + s.text
		}
	}
	if err := a.pairs(pair{"record", v.Key}, pair{"state", state}, pair{"version", fmt.Sprintf("%d, published in entry %d at %s", v.Version, v.Index, clock(v.At))},
		pair{"effective", clock(v.EffectiveAt)}, pair{"reason", v.Reason}, pair{"successor", v.Successor}, pair{"withheld", strings.Join(v.withheld, ", ")}); err != nil {
		return err
	}
	if v.Record != nil {
		var b bytes.Buffer
		if err := json.Indent(&b, v.Record, "", "  "); err != nil {
			return err
		}
		for text := range strings.SplitSeq(b.String(), "\n") {
			a.printf("%s\n", printable(text))
		}
	}
	a.printf("\n")
	return nil
}
