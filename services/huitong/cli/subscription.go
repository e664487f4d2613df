package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func exchange(c *sdk.Client) exchangev1.ExchangeServiceClient {
	return exchangev1.NewExchangeServiceClient(c.Conn())
}

func (a *app) subscriptionCommand() *cobra.Command {
	return noun("subscription", "Receive the records of a topic as they change",
		a.subscriptionCreate(), a.subscriptionEnrol(), a.subscriptionRemove(), a.subscriptionEnrolments(), a.subscriptionList(), a.subscriptionShow(), a.subscriptionPause(),
		a.subscriptionResume(), a.subscriptionReset(), a.subscriptionDelete(), a.receiveCommand())
}

// subscriptionID completes one of the calling system's own names.
func subscriptionID(c *sdk.Client, name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return c.System() + "/" + name
}

// parseStart reads where a subscription begins.
func parseStart(text string) (*sdk.Start, error) {
	kind, value, has := strings.Cut(text, ":")
	switch {
	case kind == "current" && !has:
		return sdk.FromCurrent(), nil
	case kind == "new" && !has:
		return sdk.FromNew(), nil
	case kind == "all" && !has:
		return sdk.FromAll(), nil
	case kind == "index":
		index, err := strconv.ParseUint(value, 10, 63)
		if err == nil {
			return sdk.FromIndex(index), nil
		}
	case kind == "time":
		at, err := parseTime(value)
		if err == nil {
			return sdk.FromTime(at), nil
		}
	}
	return nil, usageError(`--start is "current" (each record's present version, then changes), "new", "all", "index:N" (from a ledger index) or "time:2026-03-01T09:00:00+08:00", not %q`, text)
}

const startHelp = `where to begin: current, new, all, index:N or time:T`

func (a *app) subscriptionCreate() *cobra.Command {
	s := &exchangev1.Subscription{}
	var start string
	var ackWait, backoff, maxBackoff time.Duration
	var dry bool
	c := &cobra.Command{
		Use:   "create NAME --topic TOPIC",
		Short: "Create a subscription of the calling system",
		Example: `  huitong subscription create certificates --topic disability-certificate --start current
  huitong subscription receive certificates`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			var err error
			if s.Start, err = parseStart(start); err != nil {
				return err
			}
			s.Name = args[0]
			for _, d := range []struct {
				from time.Duration
				into **durationpb.Duration
			}{{ackWait, &s.AckWait}, {backoff, &s.Backoff}, {maxBackoff, &s.MaxBackoff}} {
				if d.from != 0 {
					*d.into = durationpb.New(d.from)
				}
			}
			resp, err := exchange(c).CreateSubscription(ctx, &exchangev1.CreateSubscriptionRequest{Subscription: s, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "subscription %s created", subscriptionID(c, args[0]))
		}),
	}
	f := c.Flags()
	f.StringVar(&s.Topic, "topic", "", "the topic")
	f.StringVar(&start, "start", "new", startHelp)
	f.Uint32Var(&s.Lanes, "lanes", 0, "how many members can share it, 1 to 64; 4 if 0")
	f.DurationVar(&ackWait, "ack-wait", 0, "how long a delivery may stay unacknowledged; 30s if 0")
	f.Uint32Var(&s.MaxAttempts, "max-attempts", 0, "attempts before a dead letter; 5 if 0")
	f.DurationVar(&backoff, "backoff", 0, "delay before the second attempt, doubled for each further one; 1s if 0")
	f.DurationVar(&maxBackoff, "max-backoff", 0, "largest such delay; 5m if 0")
	_ = c.MarkFlagRequired("topic")
	return dryRunFlag(c, &dry)
}

func (a *app) subscriptionList() *cobra.Command {
	var system, topic string
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "List subscriptions with their standing", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			if all {
				system = "*"
			}
			type S = *exchangev1.Subscription
			return list(a, pages(func(token string) ([]S, string, error) {
				resp, err := exchange(c).ListSubscriptions(ctx, &exchangev1.ListSubscriptionsRequest{System: system, Topic: topic, PageToken: token})
				return resp.GetSubscriptions(), resp.GetNextPageToken(), fault.FromStatus(err)
			}),
				column[S]{"SUBSCRIPTION", S.GetId}, column[S]{"TOPIC", S.GetTopic},
				column[S]{"STATE", func(s S) string { return enumText(s.GetState()) }},
				column[S]{"FLOOR", func(s S) string { return itoa(s.GetFloor()) }},
				column[S]{"PENDING", func(s S) string { return itoa(s.GetPending()) }},
				column[S]{"IN FLIGHT", func(s S) string { return itoa(s.GetInFlight()) }},
				column[S]{"DEAD LETTERS", func(s S) string { return itoa(s.GetDeadLetters()) }})
		}),
	}
	c.Flags().StringVar(&system, "system", "", "another system's, for operators")
	c.Flags().BoolVar(&all, "all", false, "of all systems, for operators")
	c.Flags().StringVar(&topic, "topic", "", "only on this topic")
	return c
}

func (a *app) subscriptionShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a subscription and its lanes", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			s, err := c.GetSubscription(ctx, args[0])
			if err != nil {
				return err
			}
			if err := a.show(s, pair{"subscription", s.GetId()}, pair{"topic", s.GetTopic()}, pair{"start", startText(s.GetStart())},
				pair{"state", enumText(s.GetState())}, pair{"reason", s.GetReason()}, pair{"created", when(s.GetCreatedAt())},
				pair{"settled", fmt.Sprintf("through %d of %d, %d pending, %d in flight", s.GetFloor(), s.GetLastSequence(), s.GetPending(), s.GetInFlight())},
				pair{"dead letters", itoa(s.GetDeadLetters())}, pair{"ack wait", s.GetAckWait().AsDuration().String()},
				pair{"attempts", fmt.Sprintf("%d, backoff %s to %s", s.GetMaxAttempts(), s.GetBackoff().AsDuration(), s.GetMaxBackoff().AsDuration())}); err != nil || a.json() {
				return err
			}
			a.printf("\n")
			t := newTable(a.out, "LANE", "FLOOR", "ABOVE", "DELAYED", "MEMBER")
			for _, l := range s.GetLaneState() {
				if err := t.row(itoa(l.GetNumber()), itoa(l.GetFloor()), itoa(l.GetAbove()), itoa(l.GetDelayed()), l.GetMember()); err != nil {
					return err
				}
			}
			return t.flush()
		}),
	}
}

func startText(s *exchangev1.Start) string {
	switch from := s.GetFrom().(type) {
	case *exchangev1.Start_Current:
		return "current"
	case *exchangev1.Start_All:
		return "all"
	case *exchangev1.Start_Index:
		return "index:" + itoa(from.Index)
	case *exchangev1.Start_Time:
		return "time:" + from.Time.AsTime().Format(time.RFC3339Nano)
	}
	return "new"
}

func (a *app) subscriptionPause() *cobra.Command {
	var reason string
	var dry bool
	c := &cobra.Command{
		Use: "pause NAME", Short: "Stop deliveries until they are resumed", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := exchange(c).PauseSubscription(ctx, &exchangev1.PauseSubscriptionRequest{Id: subscriptionID(c, args[0]), Reason: reason, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "subscription %s paused", args[0])
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}

func (a *app) subscriptionResume() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "resume NAME", Short: "Let a paused subscription go on", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := exchange(c).ResumeSubscription(ctx, &exchangev1.ResumeSubscriptionRequest{Id: subscriptionID(c, args[0]), ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "subscription %s resumed", args[0])
		}),
	}
	return dryRunFlag(c, &dry)
}

func (a *app) subscriptionReset() *cobra.Command {
	var start string
	var dry bool
	c := &cobra.Command{
		Use: "reset NAME --start WHERE", Short: "Move a subscription's position; nobody may be receiving", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			from, err := parseStart(start)
			if err != nil {
				return err
			}
			resp, err := exchange(c).ResetSubscription(ctx, &exchangev1.ResetSubscriptionRequest{Id: subscriptionID(c, args[0]), Start: from, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "subscription %s begins at %s", args[0], start)
		}),
	}
	c.Flags().StringVar(&start, "start", "", startHelp)
	_ = c.MarkFlagRequired("start")
	return dryRunFlag(c, &dry)
}

func (a *app) subscriptionDelete() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "delete NAME", Short: "Delete a subscription with its position and dead letters", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := exchange(c).DeleteSubscription(ctx, &exchangev1.DeleteSubscriptionRequest{Id: subscriptionID(c, args[0]), ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "subscription %s deleted", args[0])
		}),
	}
	return dryRunFlag(c, &dry)
}
