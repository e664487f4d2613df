package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// materialsFlags say for whom materials are asked about, and who asks.
type materialsFlags struct {
	person, subject string
}

func (f *materialsFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.person, "person", "", "the official who acts, by the department's own reference")
	c.Flags().StringVar(&f.subject, "subject", "", "the applicant, TYPE:NUMBER; the case's own if not given")
	_ = c.MarkFlagRequired("person")
}

// of reads the case: its item is the purpose, its applicant who is asked about.
func (f *materialsFlags) of(ctx context.Context, c *sdk.Client, number string) (acting sdk.Acting, applicant sdk.Subject, err error) {
	k, err := caseOf(ctx, c, number)
	if err != nil {
		return acting, applicant, err
	}
	acting = sdk.Acting{Person: f.person, Purpose: k.GetItem(), Case: number}
	if f.subject != "" {
		applicant, err = parseSubject(f.subject)
		return acting, applicant, err
	}
	s := applicantOf(k.GetSubjects())
	if s == nil {
		return acting, applicant, usageError("the case names several subjects and not which one applies; name the applicant with --subject TYPE:NUMBER")
	}
	return acting, sdk.Subject{Type: s.GetType(), Number: s.GetNumber()}, nil
}

// caseOf gives a case of the department.
func caseOf(ctx context.Context, c *sdk.Client, number string) (*sdk.Case, error) {
	k, err := c.Case(ctx, number)
	if fault.KindOf(err) == fault.NotFound {
		return nil, advise(err, openCase)
	}
	return k, err
}

// applicantOf is the only subject of a case, or the only one that is the
// applicant; nil if it cannot be told.
func applicantOf(all []*ledgerv1.Subject) *ledgerv1.Subject {
	if len(all) > 1 {
		all = slices.DeleteFunc(slices.Clone(all), func(s *ledgerv1.Subject) bool { return s.GetRole() != "applicant" })
	}
	if len(all) != 1 {
		return nil
	}
	return all[0]
}

// reportLater says what a clerk does while the exchange cannot be reached.
const reportLater = "accept what the applicant brings; once the exchange is there again, say which materials with: huitong case papers"

// orPaper advises on errors of a command that helps an applicant at the counter.
func orPaper(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := run(c, args)
		if away(err) {
			return advise(err, reportLater)
		}
		return err
	}
}

// orLater advises on errors of a command that can wait until the exchange is there
// again.
func orLater(run func(*cobra.Command, []string) error, advice string) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := run(c, args)
		if away(err) {
			return advise(err, "%s", advice)
		}
		return err
	}
}

// away says whether an error is that the exchange cannot be reached.
func away(err error) bool {
	kind := fault.KindOf(err)
	return err != nil && (kind == fault.Unavailable || kind == fault.Timeout)
}

func (a *app) casePrepare() *cobra.Command {
	var f materialsFlags
	c := &cobra.Command{
		Use: "prepare NUMBER --person REFERENCE", Short: "Say which materials of the case's item need not be brought",
		Long: `Says of each material of the case's service item whether the exchange holds what
stands in for it, and what to do where it does not. Nothing of the records leaves.
Show the applicant what the copies would say (huitong case preview), then collect.`,
		Example: `  huitong case prepare SF-2026-000042 --person clerk-017
  huitong case prepare SF-2026-000042 --subject 111:999999199001010016 --person clerk-017`,
		Args: cobra.ExactArgs(1),
	}
	c.RunE = orPaper(a.with(func(ctx context.Context, client *sdk.Client, args []string) error {
		acting, applicant, err := f.of(ctx, client, args[0])
		if err != nil {
			return err
		}
		p, err := client.Prepare(ctx, acting, applicant)
		if err != nil {
			return err
		}
		if p.Unknown {
			return fault.New(fault.Unavailable, "", "the exchange cannot be reached; nothing is known of the materials")
		}
		return a.prepared(ctx, client, p)
	}))
	f.add(c)
	return c
}

func (a *app) prepared(ctx context.Context, c *sdk.Client, p *sdk.Prepared) error {
	if a.json() {
		return a.printValue(map[string]any{"item": inJSON{p.Item}, "materials": allInJSON(p.Materials), "entry": p.Receipt.Index})
	}
	a.printf("%s, %s\n\n", p.Item.GetName(), p.Item.GetDepartmentName())
	if err := a.materials(ctx, c, p.Materials); err != nil {
		return err
	}
	if held := p.Held(); len(held) > 0 {
		a.printf("\n")
		t := newTable(a.out, "MATERIAL", "THE COPY WOULD SHOW")
		for _, m := range held {
			if err := t.row(m.GetName(), strings.Join(m.GetShows(), "、")); err != nil {
				return err
			}
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	a.printf("\n%d of %d need not be brought; the ledger says so in entry %d\n", len(p.Held()), len(p.Materials), p.Receipt.Index)
	return nil
}

// materials prints how materials stand.
func (a *app) materials(ctx context.Context, c *sdk.Client, all []*sdk.Material) error {
	known, err := departmentNames(ctx, c)
	if err != nil {
		return err
	}
	t := newTable(a.out, "MATERIAL", "CODE", "STANDS", "FROM", "SINCE", "VALID UNTIL", "GRADE", "WHY", "NEXT STEP")
	for _, m := range all {
		since := ""
		if m.GetSince() != nil {
			since = m.GetSince().AsTime().Local().Format(time.DateOnly)
		}
		if err := t.row(m.GetName()+necessityText(m), m.GetCode(), stands(m), fromText(m, known), since, m.GetValidUntil(), m.GetGrade(), m.GetReason(), nextText(m, known)); err != nil {
			return err
		}
	}
	return t.flush()
}

// necessityText marks what is not required from the start.
func necessityText(m *sdk.Material) string {
	switch m.GetNecessity() {
	case recordsv1.Necessity_NECESSITY_OPTIONAL:
		return "（可选）"
	case recordsv1.Necessity_NECESSITY_LATER:
		return "（可容缺后补）"
	}
	return ""
}

// stands says in plain words how a material stands.
func stands(m *sdk.Material) string {
	switch m.GetState() {
	case sdk.MaterialHeld:
		return "held"
	case sdk.MaterialDisputed:
		return "held, disputed"
	case sdk.MaterialNeedsConsent:
		return "needs consent"
	case sdk.MaterialNeedsGrant:
		return "needs a grant"
	case sdk.MaterialExpired:
		return "expired"
	case sdk.MaterialAmbiguous:
		return "ambiguous"
	case sdk.MaterialSupplierLate:
		return "supplier is late"
	case sdk.MaterialToSubmit:
		return "to submit"
	case sdk.MaterialDeclined:
		return "declined"
	}
	return enumText(m.GetState())
}

// departmentNames are those of the departments that provide topics, by their codes.
func departmentNames(ctx context.Context, c *sdk.Client) (map[string]string, error) {
	known := map[string]string{}
	for p, err := range participants(ctx, c) {
		if err != nil {
			return nil, err
		}
		known[p.GetCode()] = p.GetName()
	}
	return known, nil
}

// fromText names who provides what holds a material, or would hold it; who issues
// it if nothing does.
func fromText(m *sdk.Material, names map[string]string) string {
	if m.GetProvider() == "" {
		return m.GetIssuer()
	}
	return orElse(names[m.GetProvider()], m.GetProvider())
}

// nextText is the next step with the provider's name in place of its code.
func nextText(m *sdk.Material, names map[string]string) string {
	if m.GetProvider() == "" {
		return m.GetNextStep()
	}
	return strings.ReplaceAll(m.GetNextStep(), m.GetProvider(), orElse(names[m.GetProvider()], m.GetProvider()))
}

// inJSON is a message as part of what is printed as JSON.
type inJSON struct{ proto.Message }

func (m inJSON) MarshalJSON() ([]byte, error) { return compact(m.Message) }

func allInJSON[M proto.Message](all []M) []inJSON {
	out := []inJSON{}
	for _, m := range all {
		out = append(out, inJSON{m})
	}
	return out
}
