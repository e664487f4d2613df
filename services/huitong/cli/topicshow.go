package cli

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/huitong/listing"
)

func (a *app) topicShow() *cobra.Command {
	var history bool
	c := &cobra.Command{
		Use: "show NAME", Short: "Show all of an entry, its life so far, and what must be done next", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := catalogue(c).GetTopic(ctx, &cataloguev1.GetTopicRequest{Name: args[0]})
			if err != nil {
				return fault.FromStatus(err)
			}
			t := resp.GetTopic()
			if a.json() {
				err = a.printJSON(t)
			} else {
				err = a.topicShown(ctx, c, t)
			}
			if err != nil || !history {
				return err
			}
			a.printf("\n")
			return list(a, topicHistory(ctx, c, t), entryColumns()...)
		}),
	}
	c.Flags().BoolVar(&history, "history", false, "also every change with who made it and why, from the ledger; reading that is an entry too")
	return c
}

func (a *app) topicShown(ctx context.Context, c *sdk.Client, t *cataloguev1.Topic) error {
	clock, err := reviewClock(ctx, c, t)
	if err != nil {
		return err
	}
	life, err := topicLife(ctx, c, t)
	if err != nil {
		return err
	}
	if err := a.pairs(topicPairs(t, nextOfTopic(t, clock))...); err != nil {
		return err
	}
	if r := t.GetRevision(); r != nil {
		a.printf("\nrevision, %s:\n", enumText(r.GetState()))
		a.printChanges(listing.TopicChanges(t, r))
	}
	return cmp.Or(a.topicFindings(pendingOf(t)), a.topicLinked(t), a.topicItems(t), a.topicEvents(life))
}

func topicPairs(t *cataloguev1.Topic, next topicNext) []pair {
	category := t.GetCategory().GetCode()
	if path := t.GetCategory().GetPath(); len(path) > 0 {
		category += " " + strings.Join(path, " / ")
	}
	return []pair{
		{"topic", t.GetName()}, {"title", t.GetTitle()}, {"code", t.GetCode()}, {"abstract", t.GetAbstract()}, {"category", category},
		{"provider", t.GetProvider()}, {"contract", t.GetContract()},
		{"class", enumText(t.GetSharingClass())}, {"conditions", t.GetConditions()}, {"legal basis", t.GetLegalBasis()},
		{"consent", consentText(t.GetConsent())}, {"secrecy", orElse(enumText(t.GetSecrecy()), "none")},
		{"open data", orElse(enumText(t.GetOpenData()), "no")}, {"format", t.GetFormat()},
		{"certificates", yesNo(t.GetElectronicCertificate(), "electronic", "")},
		{"update cycle", enumText(t.GetUpdateCycle())}, {"delivery", joined(t.GetDeliveryModes())},
		{"answered", yesNo(t.GetAnsweredLive(), "live, by its provider", "")},
		{"signature", yesNo(t.GetSignatureRequired(), "required", "optional")}, {"partition", itoa(t.GetPartition())},
		{"state", topicState(t)}, {"next", orElse(next.what, "nothing")}, {"by whom", next.whom},
		{"last day", next.day}, {"working days", next.days},
	}
}

func consentText(consent cataloguev1.Consent) string { return orElse(enumText(consent), "not needed") }

// topicFindings lists what the last review found, while it is returned.
func (a *app) topicFindings(pending *cataloguev1.Topic) error {
	var rows [][]string
	for _, f := range pending.GetFindings() {
		rows = append(rows, []string{orElse(f.GetField(), "all of it"), f.GetMessage()})
	}
	return a.part([]string{"RETURNED FOR", "WHAT IS MISSING"}, rows)
}

func (a *app) topicLinked(t *cataloguev1.Topic) error {
	var rows [][]string
	for _, l := range t.GetServiceItems() {
		rows = append(rows, []string{l.GetCode(), l.GetTitle(), consentText(l.GetConsent())})
	}
	return a.part([]string{"SERVICE ITEM", "TITLE", "CONSENT"}, rows)
}

func (a *app) topicItems(t *cataloguev1.Topic) error {
	var rows [][]string
	for _, i := range t.GetItems() {
		kind := yesNo(i.GetRepeated(), "repeated ", "") + i.GetType()
		rows = append(rows, []string{i.GetName(), i.GetTitle(), kind, enumText(i.GetSharingClass()), itoa(i.GetSensitivity()), i.GetLegalBasis()})
	}
	return a.part([]string{"FIELD", "TITLE", "TYPE", "CLASS", "SENSITIVITY", "LEGAL BASIS"}, rows)
}

// part prints a table below what is above; nothing without rows.
func (a *app) part(head []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	a.printf("\n")
	t := newTable(a.out, head...)
	for _, row := range rows {
		if err := t.row(row...); err != nil {
			return err
		}
	}
	return t.flush()
}

// topicEvent is something that happened to a topic.
type topicEvent struct {
	at         time.Time
	what, note string
}

// topicLife gives what the entry and the clocks of its reviews tell of its life.
// Who is neither its provider nor the operator sees no reviews.
func topicLife(ctx context.Context, c *sdk.Client, t *cataloguev1.Topic) ([]topicEvent, error) {
	life := []topicEvent{{at: t.GetCreatedAt().AsTime(), what: "created"}}
	if at := t.GetPublishedAt(); at != nil {
		life = append(life, topicEvent{at.AsTime(), "published", fmt.Sprintf("edition %d is in force since", t.GetEdition())})
	}
	for d, err := range c.Deadlines(ctx, sdk.DeadlineFilter{Kind: reviewKind, Object: t.GetName()}) {
		if err != nil {
			return nil, err
		}
		life = append(life, topicEvent{d.GetStartedAt().AsTime(), "submitted", "to be reviewed by " + dueText(d)})
		if at := d.GetStoppedAt(); at != nil {
			life = append(life, topicEvent{at.AsTime(), "review ended", lateText(d)})
		}
	}
	slices.SortStableFunc(life, func(x, y topicEvent) int { return x.at.Compare(y.at) })
	return life, nil
}

func (a *app) topicEvents(life []topicEvent) error {
	var rows [][]string
	for _, e := range life {
		rows = append(rows, []string{clock(e.at), e.what, e.note})
	}
	return a.part([]string{"AT", "WHAT HAPPENED", "NOTE"}, rows)
}

// topicHistory gives the changes of a topic from the ledger.
func topicHistory(ctx context.Context, c *sdk.Client, t *cataloguev1.Topic) iter.Seq2[*ledgerv1.Entry, error] {
	filter := &ledgerv1.EntryFilter{Participant: t.GetProvider(), Kinds: []string{"changed"}}
	every := pages(func(token string) ([]*ledgerv1.Entry, string, error) {
		resp, err := ledger(c).ListEntries(ctx, &ledgerv1.ListEntriesRequest{Filter: filter, PageSize: pageSize, PageToken: token})
		return resp.GetEntries(), resp.GetNextPageToken(), fault.FromStatus(err)
	})
	return func(yield func(*ledgerv1.Entry, error) bool) {
		for e, err := range every {
			change := e.GetEntry().GetChanged()
			if (err != nil || change.GetObject() == "topic" && change.GetId() == t.GetName()) && !yield(e, err) {
				return
			}
		}
	}
}
