package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) fanOutCommand() *cobra.Command {
	return noun("fanout", "Ask many departments in one call, for a case", a.fanOutAsk(), a.fanOutShow(), a.fanOutAnswer(), a.fanOutErase())
}

type fanOutFlags struct {
	acting  sdk.Acting
	sources []string
	wait    time.Duration
	key     string
	records bool
}

func (a *app) fanOutAsk() *cobra.Command {
	var f fanOutFlags
	c := &cobra.Command{
		Use:   "ask TYPE:NUMBER… --source TOPIC",
		Short: "Ask sources about the subjects of a case, and wait for each answer",
		Long: `Asks every source about every subject, at most 64 questions. A source is a topic, or a
topic and a check that a grant names: income,check=income-under,threshold=minimum. What
the exchange holds it answers; a topic that is answered live is asked of its provider.

Each source is decided alone: one that is refused, late or down is a result, and holds up
no other. Lost connections are resumed; after a longer break ask again with the same
--key, and nobody is asked twice.`,
		Example: `  huitong fanout ask 111:999999199001010016 111:999999198506150028 --source income --source property \
      --source income,check=income-under,threshold=minimum \
      --person clerk-017 --purpose 000115004000 --case SF-2026-000042`,
		Args: cobra.MinimumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			q, err := f.question(args)
			if err != nil {
				return err
			}
			a.notef("key %s; ask again with it to go on\n", q.Key)
			q.Progress = func(r *sdk.SourceResult) {
				a.notef("%s  %s\n", r.At.Local().Format("15:04:05.000"), progressText(r))
			}
			asked, err := c.AskAll(ctx, q)
			if err != nil {
				return err
			}
			return a.fannedOut(ctx, c, asked, f.records)
		}),
	}
	actingFlags(c, &f.acting)
	c.Flags().StringArrayVar(&f.sources, "source", nil, "TOPIC, or TOPIC,check=NAME and TOPIC,check=NAME,threshold=NAME; repeat it")
	c.Flags().DurationVar(&f.wait, "wait", 0, "how long to wait for each; 10s if not given")
	c.Flags().StringVar(&f.key, "key", "", "key of a fan-out to go on with, 32 hexadecimal digits")
	c.Flags().BoolVar(&f.records, "records", false, "print the records that were found")
	_ = c.MarkFlagRequired("source")
	return c
}

// question asks every source about every subject.
func (f *fanOutFlags) question(subjects []string) (sdk.FanOutQuestion, error) {
	q := sdk.FanOutQuestion{Acting: f.acting, Key: sdk.NewIdempotencyKey()}
	if f.key != "" {
		raw, err := hex.DecodeString(f.key)
		if err != nil || len(raw) != len(q.Key) {
			return q, usageError("--key has %d hexadecimal digits, as the call printed it", 2*len(q.Key))
		}
		q.Key = sdk.IdempotencyKey(raw)
	}
	for _, text := range f.sources {
		source, err := parseSource(text)
		if err != nil {
			return q, err
		}
		source.Wait = f.wait
		for _, of := range subjects {
			if source.Subject, err = parseSubject(of); err != nil {
				return q, err
			}
			q.Sources = append(q.Sources, source)
		}
	}
	return q, nil
}

// parseSource reads TOPIC[,check=NAME[,threshold=NAME]].
func parseSource(text string) (sdk.Source, error) {
	topic, rest, _ := strings.Cut(text, ",")
	s := sdk.Source{Topic: topic}
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, ",")
		switch name, value, _ := strings.Cut(part, "="); name {
		case "check":
			s.Check = value
		case "threshold":
			s.Threshold = value
		default:
			return s, usageError("--source is TOPIC, or TOPIC,check=NAME,threshold=NAME; not %q", text)
		}
	}
	return s, nil
}

// progressText is a source as it is told while it runs.
func progressText(r *sdk.SourceResult) string {
	text := fmt.Sprintf("%s  %s:%s  %s", questionText(r), r.Source.Subject.Type, r.Source.Subject.Number, outcomeText(r))
	if r.State == sdk.SourceWaiting {
		text += " until " + r.Deadline.Local().Format("15:04:05.000")
	}
	return printable(text)
}

func questionText(r *sdk.SourceResult) string {
	text := r.Source.Topic
	if r.Source.Check != "" {
		text += " " + strings.TrimSpace(r.Source.Check+" "+r.Source.Threshold)
	}
	return text
}

// outcomeText says how a source stands.
func outcomeText(r *sdk.SourceResult) string {
	text := strings.ReplaceAll(enumText(r.State), "-", " ")
	switch {
	case r.Checked != nil:
		text = r.Checked.Answer.String()
	case r.State == sdk.SourceRefused:
		text += ": " + r.Rule
	case r.Answer != nil && r.State == sdk.SourceFound:
		text = fmt.Sprintf("%s %d", text, len(r.Answer.Records))
	}
	if r.Late && r.State != sdk.SourceAnsweredLate {
		text += ", late"
	}
	return text
}

// standsText says how a source of a report stands. What it answered was read then,
// by an entry; reading it once more may be refused, which is no answer of the source.
func standsText(r *sdk.SourceResult, in *recordsv1.FanOutResult) string {
	if r.State == sdk.SourceRefused && in.GetEntryPlusOne() > 0 {
		return "answered; not read again: " + r.Rule
	}
	return outcomeText(r)
}

func (a *app) fanOutShow() *cobra.Command {
	var person string
	var records bool
	c := &cobra.Command{
		Use:   "show ID --person PERSON",
		Short: "Show what came of a fan-out, with what came late",
		Long: `Shows how each source stands now. What was found is read once more, for the official
who looks, and each reading is an entry in the ledger.`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			f, err := c.GetFanOut(ctx, args[0], person)
			if err != nil {
				return err
			}
			return a.fannedOut(ctx, c, f, records)
		}),
	}
	c.Flags().StringVar(&person, "person", "", "the official who looks, by the department's own reference")
	c.Flags().BoolVar(&records, "records", false, "print the records that were found")
	_ = c.MarkFlagRequired("person")
	return c
}

// fannedOut prints what came of a fan-out.
func (a *app) fannedOut(ctx context.Context, c *sdk.Client, f *sdk.FanOut, records bool) error {
	names, err := participantNames(ctx, c)
	if err != nil {
		return err
	}
	late := 0
	show, t := newRenderer(c), newTable(a.out, "SOURCE", "SUBJECT", "PROVIDER", "RESULT", "ANSWERED", "ENTRY")
	for i := range f.Results {
		r, in := &f.Results[i], f.Report.GetResults()[i]
		if r.State == sdk.SourceTimedOut {
			late++
		}
		if a.json() {
			if err := a.printJSON(in); err != nil {
				return err
			}
		} else if err := t.row(questionText(r), r.Source.Subject.Type+":"+r.Source.Subject.Number, names[r.Provider], standsText(r, in), clockOr(r.AnsweredAt), plusOne(in.GetEntryPlusOne())); err != nil {
			return err
		}
		if err := a.foundRecords(ctx, show, r, records && !a.json()); err != nil {
			return err
		}
	}
	if a.json() {
		return a.printValue(map[string]any{"id": f.ID, "version": f.Report.GetVersion(), "entry": f.ReportEntry})
	}
	if err := t.flush(); err != nil {
		return err
	}
	a.printf("report %s, version %d; the ledger has it in entry %d\n", f.ID, f.Report.GetVersion(), f.ReportEntry)
	if late > 0 {
		a.printf("%d did not answer in time; what comes late is shown by huitong fanout show %s --person REFERENCE\n", late, f.ID)
	}
	return nil
}

// foundRecords prints the records that a source gave: always for machines, where
// they are asked for to people.
func (a *app) foundRecords(ctx context.Context, show *renderer, r *sdk.SourceResult, asked bool) error {
	if r.Answer == nil || !asked && !a.json() {
		return nil
	}
	for i := range r.Answer.Records {
		v, err := show.view(ctx, &r.Answer.Records[i], r.Answer.Release)
		if err != nil {
			return err
		}
		if err := a.printRecord(v); err != nil {
			return err
		}
	}
	return nil
}

// clockOr prints a time, and nothing for none.
func clockOr(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return clock(t)
}

// plusOne prints an index that is kept plus one, and nothing for 0.
func plusOne(n uint64) string {
	if n == 0 {
		return ""
	}
	return itoa(n - 1)
}

func (a *app) fanOutAnswer() *cobra.Command {
	var found []uint
	var notFound bool
	var refused string
	c := &cobra.Command{
		Use:   "answer REQUEST",
		Short: "Answer a request that was received on huitong-fanout-requests, as supplier",
		Long: `Says what the department found: the ledger entries by which it published that on the
topic, that it holds nothing, or that it does not say, by a rule. A system that answers by
itself runs a Supplier of the SDK.`,
		Example: `  huitong fanout answer 4f1c…-0 --found 812
  huitong fanout answer 4f1c…-0 --not-found
  huitong fanout answer 4f1c…-0 --refused supplier.frozen`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			r := &exchangev1.AnswerRequestRequest{RequestId: args[0], Rule: refused}
			switch {
			case len(found) > 0:
				r.Outcome = recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_FOUND
			case notFound:
				r.Outcome = recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_NOT_FOUND
			case refused != "":
				r.Outcome = recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_REFUSED
			}
			for _, index := range found {
				r.Records = append(r.Records, uint64(index))
			}
			resp, err := exchangev1.NewFanOutServiceClient(c.Conn()).AnswerRequest(ctx, r)
			if err != nil {
				return fault.FromStatus(err)
			}
			if a.json() {
				return a.printJSON(resp)
			}
			a.printf("answered%s (ledger entry %d)\n", yesNo(resp.GetLate(), " late", ""), resp.GetEntry())
			return nil
		}),
	}
	c.Flags().UintSliceVar(&found, "found", nil, "ledger entries of the records that were found")
	c.Flags().BoolVar(&notFound, "not-found", false, "nothing is held about the subject")
	c.Flags().StringVar(&refused, "refused", "", "the rule by which it is not said")
	c.MarkFlagsMutuallyExclusive("found", "not-found", "refused")
	c.MarkFlagsOneRequired("found", "not-found", "refused")
	return c
}
