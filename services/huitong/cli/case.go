package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func caseService(c *sdk.Client) accessv1.CaseServiceClient {
	return accessv1.NewCaseServiceClient(c.Conn())
}

func (a *app) caseCommand() *cobra.Command {
	return noun("case", "Open and close the applications for which records are read, and see to their materials",
		a.caseOpen(), a.caseClose(), a.caseList(), a.caseShow(),
		a.casePrepare(), a.casePreview(), a.caseCollect(), a.caseSubmit(), a.casePapers())
}

func (a *app) caseOpen() *cobra.Command {
	r := &accessv1.OpenCaseRequest{}
	var applied string
	c := &cobra.Command{
		Use:   "open NUMBER SUBJECT… --item CODE --person REFERENCE",
		Short: "Open a case; what is read for it must be about its subjects",
		Long: `Opens a case under the department's own number. A subject is TYPE:NUMBER or
TYPE:NUMBER:ROLE. Records are read only for a case that is open and names who is
asked about. For an item that is published on the exchange, its code is the
implementation code of 31 characters: by that alone its materials are prepared.`,
		Example: `  huitong case open SF-2026-000042 111:999999198506150028:applicant 111:999999199001010016:spouse \
      --item 11999900MB000002780007110040001 --person clerk-017`,
		Args: cobra.MinimumNArgs(2),
		RunE: orLater(a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			r.Number = args[0]
			for _, text := range args[1:] {
				s, err := parseSubject(text)
				if err != nil {
					return err
				}
				r.Subjects = append(r.Subjects, &ledgerv1.Subject{Type: s.Type, Number: s.Number, Role: s.Role})
			}
			if applied != "" {
				at, err := time.Parse(time.RFC3339, applied)
				if err != nil {
					return usageError("--applied-at is a time such as 2026-11-25T09:00:00+08:00")
				}
				r.AppliedAt = timestamppb.New(at)
			}
			resp, err := caseService(c).OpenCase(ctx, r)
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, r.ValidateOnly, "case %s opened", r.Number)
		}), "open it once the exchange is there again, with --applied-at, and after a day with --after-the-fact and --reason"),
	}
	f := c.Flags()
	f.StringVar(&r.Item, "item", "", "code of the service item that is applied for; the implementation code of 31 characters if it is published")
	f.StringVar(&r.Person, "person", "", "the official who opens it, by the department's own reference")
	f.StringVar(&applied, "applied-at", "", "when the application was made, RFC 3339; now if not given")
	f.BoolVar(&r.AfterTheFact, "after-the-fact", false, "records were needed before the case could be opened; flagged for supervision")
	f.StringVar(&r.Reason, "reason", "", "why it is opened after the fact")
	_ = c.MarkFlagRequired("item")
	_ = c.MarkFlagRequired("person")
	return dryRunFlag(c, &r.ValidateOnly)
}

func (a *app) caseClose() *cobra.Command {
	r := &accessv1.CloseCaseRequest{}
	c := &cobra.Command{
		Use: "close NUMBER --person REFERENCE", Short: "Close a case for good; nothing more is read for it", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			r.Number = args[0]
			resp, err := caseService(c).CloseCase(ctx, r)
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, r.ValidateOnly, "case %s closed", r.Number)
		}),
	}
	c.Flags().StringVar(&r.Person, "person", "", "the official who closes it, by the department's own reference")
	c.Flags().StringVar(&r.Outcome, "outcome", "", "what came of it")
	_ = c.MarkFlagRequired("person")
	return dryRunFlag(c, &r.ValidateOnly)
}

func (a *app) caseList() *cobra.Command {
	r := &accessv1.ListCasesRequest{PageSize: pageSize}
	var state string
	c := &cobra.Command{
		Use: "list", Short: "List cases, the newest first",
		Long: `Lists the department's own cases; for operators and auditors those of all, without
numbers, persons and subjects.`,
		Example: "  huitong case list --after-the-fact", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			var err error
			if r.State, err = enumValue[accessv1.CaseState]("--state", state); err != nil {
				return err
			}
			type C = *accessv1.Case
			return list(a, pages(func(token string) ([]C, string, error) {
				r.PageToken = token
				resp, err := caseService(c).ListCases(ctx, r)
				return resp.GetCases(), resp.GetNextPageToken(), fault.FromStatus(err)
			}),
				column[C]{"CASE", func(c C) string { return orElse(c.GetNumber(), "-") }}, column[C]{"DEPARTMENT", C.GetParticipant},
				column[C]{"ITEM", C.GetItem}, column[C]{"SUBJECTS", func(c C) string { return yesNo(len(c.GetSubjects()) > 0, itoa(len(c.GetSubjects())), "-") }},
				column[C]{"OPENED", func(c C) string { return when(c.GetOpenedAt()) }},
				column[C]{"AFTER THE FACT", func(c C) string { return yesNo(c.GetAfterTheFact(), "yes", "") }},
				column[C]{"STATE", func(c C) string { return enumText(c.GetState()) }})
		}),
	}
	f := c.Flags()
	f.StringVar(&r.Item, "item", "", "only cases of this service item")
	f.StringVar(&state, "state", "", "only open or closed ones")
	f.BoolVar(&r.AfterTheFact, "after-the-fact", false, "only those opened after the fact")
	f.StringVar(&r.Participant, "participant", "", "only cases of this department, for operators and auditors")
	return c
}

func (a *app) caseShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NUMBER", Short: "Show one of the department's cases", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := caseService(c).GetCase(ctx, &accessv1.GetCaseRequest{Number: args[0]})
			if err != nil {
				return fault.FromStatus(err)
			}
			k := resp.GetCase()
			var subjects []string
			for _, s := range k.GetSubjects() {
				subjects = append(subjects, fmt.Sprintf("%s:%s%s", s.GetType(), s.GetNumber(), prefix(" ", s.GetRole())))
			}
			return a.show(k, pair{"case", k.GetNumber()}, pair{"item", k.GetItem()}, pair{"subjects", strings.Join(subjects, ", ")},
				pair{"applied", when(k.GetAppliedAt())}, pair{"opened", when(k.GetOpenedAt()) + " by " + k.GetPerson() + ", entry " + itoa(k.GetOpened())},
				pair{"after the fact", yesNo(k.GetAfterTheFact(), "yes: "+k.GetReason(), "")},
				pair{"state", enumText(k.GetState())}, pair{"closed", when(k.GetClosedAt())}, pair{"outcome", k.GetOutcome()})
		}),
	}
}
