package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/sdk"
)

// deadlineWords name the kinds of deadline as a clerk would.
var deadlineWords = map[string]string{
	"grant.answer.unconditional": "答复无条件共享申请",
	"grant.answer.conditional":   "答复有条件共享申请",
	"grant.supply":               "提供已同意共享的数据",
	"correction.answer":          "核实并答复校核申请",
	"catalogue.update":           "更新数据目录",
	"catalogue.review":           "审核并发布数据目录",
	"notice.acknowledge":         "确认收到告知",
}

func kindWords(kind string) string { return orElse(deadlineWords[kind], kind) }

func (a *app) deadlineCommand() *cobra.Command {
	return noun("deadline", "See who must do what by which working day", a.deadlineList())
}

func (a *app) deadlineList() *cobra.Command {
	var f sdk.DeadlineFilter
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "List deadlines, with the working days that are left",
		Long: `Lists the deadlines that run: those that your department must keep or waits for; all
to operators and auditors. Working days are by the calendar in force; a due day
marked (暂定) rests on a year whose holidays are not announced yet.`,
		Example: `  huitong deadline list
  huitong deadline list --late
  huitong deadline list --owner 11999900MB00000278 --due-before 2026-10-12`,
		Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			f.Open = !all
			names, err := participantNames(ctx, c)
			if err != nil {
				return err
			}
			type D = *sdk.Deadline
			return list(a, c.Deadlines(ctx, f),
				column[D]{"WHAT", func(d D) string { return kindWords(d.GetKind()) }},
				column[D]{"OF", D.GetObject}, column[D]{"TOPIC", D.GetTopic}, column[D]{"WHO MUST ACT", func(d D) string { return names[d.GetOwner()] }}, column[D]{"CODE", D.GetOwner},
				column[D]{"SINCE", func(d D) string { return when(d.GetStartedAt()) }},
				column[D]{"WAITING", waitingText},
				column[D]{"DUE", dueText}, column[D]{"DAYS LEFT", leftText}, column[D]{"LATE", lateText},
				column[D]{"NEXT", func(d D) string { return deadlineNext(d, verify.ParticipantOf(c.System())) }})
		}),
	}
	fl := c.Flags()
	fl.StringVar(&f.Owner, "owner", "", "only those that this organisation must keep")
	fl.StringVar(&f.Party, "party", "", "only those that this organisation waits for")
	fl.StringVar(&f.Kind, "kind", "", "only of this kind, such as grant.answer.conditional")
	fl.StringVar(&f.Object, "object", "", "only of this grant, dispute or topic")
	fl.BoolVar(&f.Late, "late", false, "only those that are late")
	fl.StringVar(&f.DueBefore, "due-before", "", "only those due before this day, YYYY-MM-DD")
	fl.BoolVar(&all, "all", false, "those that were met, too")
	return c
}

// deadlineNext says what ends a clock, to whoever must act, and else whom to remind.
func deadlineNext(d *sdk.Deadline, caller string) string {
	_, entry, _ := strings.Cut(d.GetObject(), " ")
	switch kind := d.GetKind(); {
	case d.GetStoppedAt() != nil:
		return ""
	case d.GetOwner() != caller && kind == "notice.acknowledge":
		return "remind it; any of its systems acknowledges: huitong system list --participant " + d.GetOwner()
	case d.GetOwner() != caller:
		return "remind it"
	case kind == "notice.acknowledge":
		return "any of your systems acknowledges: huitong subscription receive notices"
	case kind == "correction.answer":
		return "huitong dispute answer " + entry
	case strings.HasPrefix(kind, "grant."):
		return "huitong grant show " + d.GetObject() + " says what"
	}
	return "huitong topic show " + d.GetTopic() + " says what"
}

// dueText gives the last day to act; empty where no clock runs.
func dueText(d *sdk.Deadline) string {
	text := d.GetDue()
	if d.GetExtended() {
		text += "（已延长）"
	}
	if d.GetProvisional() {
		text += "（暂定）"
	}
	return text
}

// waitingText says how many notices wait beside this one, since when the first does,
// and by which systems they can be acknowledged.
func waitingText(d *sdk.Deadline) string {
	if d.GetWaiting() == 0 {
		return ""
	}
	var names []string
	for _, id := range d.GetSystems() {
		_, name, _ := strings.Cut(id, "/")
		names = append(names, name)
	}
	const shown = 5
	if len(names) > shown {
		names = append(names[:shown], "…")
	}
	return itoa(d.GetWaiting()) + " since " + when(d.GetWaitingSince()) + ", for " + orElse(strings.Join(names, " "), "no system that receives notices")
}

func leftText(d *sdk.Deadline) string {
	if at := d.GetStoppedAt(); at != nil {
		return "办结于 " + when(at)
	}
	return itoa(d.GetDaysLeft())
}

func lateText(d *sdk.Deadline) string {
	switch {
	case !d.GetLate():
		return ""
	case d.GetDaysLate() == 0:
		return "逾期不足一个工作日"
	}
	return "逾期 " + itoa(d.GetDaysLate()) + " 个工作日"
}
