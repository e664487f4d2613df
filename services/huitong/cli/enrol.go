package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func enrolmentsOf(subjects []string, number string) ([]*exchangev1.Enrolment, error) {
	var list []*exchangev1.Enrolment
	for _, text := range subjects {
		s, err := parseSubject(text)
		if err != nil {
			return nil, err
		}
		list = append(list, &exchangev1.Enrolment{Subject: &ledgerv1.Subject{Type: s.Type, Number: s.Number}, CaseNumber: number})
	}
	return list, nil
}

func (a *app) subscriptionEnrol() *cobra.Command {
	var person, number string
	c := &cobra.Command{
		Use: "enrol NAME SUBJECT… --case NUMBER --person REFERENCE", Short: "Add subjects that the subscription is told of",
		Long: `Adds subjects to a subscription whose grant is for enrolled subjects, each for an open
case that names it. Their present records are delivered, then each change of them.
With the case the enrolment ends.`,
		Example: "  huitong subscription enrol deaths 111:999999198506150028 --case SF-2026-000042 --person clerk-017",
		Args:    cobra.MinimumNArgs(2),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			list, err := enrolmentsOf(args[1:], number)
			if err != nil {
				return err
			}
			resp, err := exchangev1.NewEnrolmentServiceClient(c.Conn()).EnrolSubjects(ctx, &exchangev1.EnrolSubjectsRequest{
				Subscription: args[0], Enrolments: list, Acting: &exchangev1.Acting{Person: person},
			})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, false, "%d subjects enrolled, %d records to come", resp.GetEnrolled(), resp.GetOwed())
		}),
	}
	c.Flags().StringVar(&person, "person", "", "the official who enrols them, by the department's own reference")
	c.Flags().StringVar(&number, "case", "", "the case that they are enrolled for")
	_ = c.MarkFlagRequired("person")
	_ = c.MarkFlagRequired("case")
	return c
}

func (a *app) subscriptionRemove() *cobra.Command {
	var person, number string
	c := &cobra.Command{
		Use: "remove NAME SUBJECT… --person REFERENCE", Short: "Remove subjects; nothing about them is delivered any more", Args: cobra.MinimumNArgs(2),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			list, err := enrolmentsOf(args[1:], number)
			if err != nil {
				return err
			}
			resp, err := exchangev1.NewEnrolmentServiceClient(c.Conn()).RemoveSubjects(ctx, &exchangev1.RemoveSubjectsRequest{
				Subscription: args[0], Enrolments: list, Acting: &exchangev1.Acting{Person: person},
			})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, false, "%d enrolments ended", resp.GetRemoved())
		}),
	}
	c.Flags().StringVar(&person, "person", "", "the official who removes them, by the department's own reference")
	c.Flags().StringVar(&number, "case", "", "only the enrolment for this case; all if not given")
	_ = c.MarkFlagRequired("person")
	return c
}

func (a *app) subscriptionEnrolments() *cobra.Command {
	return &cobra.Command{
		Use: "enrolments NAME", Short: "List whom a subscription has enrolled", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			type E = *exchangev1.Enrolment
			return list(a, pages(func(token string) ([]E, string, error) {
				resp, err := exchangev1.NewEnrolmentServiceClient(c.Conn()).ListEnrolments(ctx, &exchangev1.ListEnrolmentsRequest{
					Subscription: args[0], PageSize: pageSize, PageToken: token,
				})
				return resp.GetEnrolments(), resp.GetNextPageToken(), fault.FromStatus(err)
			}),
				column[E]{"SUBJECT", func(e E) string { return e.GetSubject().GetType() + ":" + e.GetSubject().GetNumber() }},
				column[E]{"CASE", E.GetCaseNumber}, column[E]{"ENTRY", func(e E) string { return itoa(e.GetIndex()) }},
				column[E]{"SINCE", func(e E) string { return when(e.GetAt()) }})
		}),
	}
}
