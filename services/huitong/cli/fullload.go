package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
)

// fullFlags are what publish takes for a full load.
type fullFlags struct {
	on      bool
	despite bool
	confirm int64
}

func (f *fullFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.on, "full", false, "the file is everything that is held; remove what it does not mention")
	fs.Int64Var(&f.confirm, "confirm-removed", -1, "with --full: the exact number of records that are to be removed")
	fs.BoolVar(&f.despite, "despite-refused", false, "with --full: remove although lines were refused, what those stand for too")
}

func (f *fullFlags) check(p *publishFlags) error {
	switch {
	case !f.on && (f.confirm >= 0 || f.despite):
		return usageError("--confirm-removed and --despite-refused go with --full")
	case f.on && (p.dry || p.source != "" || p.template.operation != sdk.Put || p.key != ""):
		return usageError("--full publishes a whole file; it takes no --dry-run, --source, --operation or --key")
	}
	return nil
}

func (f *fullFlags) options() []sdk.EndOption {
	var options []sdk.EndOption
	if f.confirm >= 0 {
		options = append(options, sdk.WithConfirmedRemovals(uint64(f.confirm)))
	}
	if f.despite {
		options = append(options, sdk.DespiteMissed())
	}
	return options
}

// fullLoad is a full load under way.
type fullLoad struct {
	publisher *sdk.Publisher
	load      *sdk.FullLoad
	ended     *sdk.SnapshotInfo
}

// beginFull begins a full load, or goes on with one that was broken off. The file
// is read from its beginning either way: it is not known what became of the lines
// of a run that was broken off.
func (l *load) beginFull(ctx context.Context) (*fullLoad, error) {
	topic := l.template.topic
	f := &fullLoad{publisher: l.client.Publisher(sdk.PublisherConfig{Unsigned: l.unsigned})}
	var err error
	if f.load, err = f.publisher.ResumeFullLoad(ctx, topic); err == nil && f.load == nil {
		f.load, err = f.publisher.BeginFullLoad(ctx, topic)
	}
	if err != nil {
		return nil, errors.Join(err, f.publisher.Close(ctx))
	}
	return f, nil
}

// endFull ends a full load whose lines are all answered, and reports.
func (l *load) endFull(ctx context.Context, f *fullFlags, err error, rejects string) error {
	refused := l.counts.refused.Load()
	switch {
	case err != nil:
		return l.report(advise(err, "the full load stays under way and nothing was removed; the same command goes on with it"), rejects)
	case refused > 0 && !f.despite:
		if l.full.ended, err = l.full.load.Abandon(ctx); err == nil {
			l.app.notef("lines were refused, so nothing is removed; correct them and publish the whole file again\n")
		}
		return l.report(err, rejects)
	}
	l.full.ended, err = l.full.load.End(ctx, f.options()...)
	if rule := fault.RuleOf(err); rule == "snapshot.share" || rule == "snapshot.confirmed" {
		err = advise(err, "the full load stays under way: huitong full-load end %s --confirm-removed N, or huitong full-load abandon %s", l.template.topic, l.template.topic)
	}
	err = l.report(err, rejects)
	if s := l.full.ended; s != nil {
		l.app.printf("%d of %d records held were not mentioned; %d removed\n", s.GetUnmentioned(), s.GetHeld(), s.GetRemoved())
	}
	return err
}

func (a *app) fullLoadCommand() *cobra.Command {
	return noun("full-load", "Look at, end or abandon a topic's full load", a.fullLoadShow(), a.fullLoadEnd(), a.fullLoadAbandon())
}

func (a *app) fullLoadShow() *cobra.Command {
	return &cobra.Command{
		Use: "show TOPIC", Short: "Show the full load that was begun last, and what its end removes", Args: cobra.ExactArgs(1),
		Example: "  huitong --context register full-load show person",
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			s, err := c.FullLoad(ctx, args[0])
			if err != nil {
				return err
			}
			if s == nil {
				return fault.New(fault.NotFound, "snapshot.unknown", "the topic never had a full load")
			}
			return a.showFullLoad(s)
		}),
	}
}

func (a *app) showFullLoad(s *sdk.SnapshotInfo) error {
	ended := ""
	if s.GetEndedAt() != nil {
		ended = itoa(s.GetEnded())
	}
	return a.show(s, pair{"topic", s.GetTopic()}, pair{"system", s.GetSystem()}, pair{"state", enumText(s.GetState())},
		pair{"begun", when(s.GetBegunAt())}, pair{"begun by entry", itoa(s.GetBegun())}, pair{"ended", when(s.GetEndedAt())},
		pair{"ended by entry", ended}, pair{"records held", itoa(s.GetHeld())}, pair{"not mentioned", itoa(s.GetUnmentioned())},
		pair{"removed", itoa(s.GetRemoved())})
}

// underWay runs an action on the full load of a topic that is under way.
func (a *app) underWay(run func(ctx context.Context, load *sdk.FullLoad) (*sdk.SnapshotInfo, error)) func(*cobra.Command, []string) error {
	return a.connected(func(ctx context.Context, c *sdk.Client, args []string) error {
		p := c.Publisher(sdk.PublisherConfig{})
		defer func() { _ = p.Close(ctx) }()
		load, err := p.ResumeFullLoad(ctx, args[0])
		if err == nil && load == nil {
			err = fault.New(fault.NotFound, "snapshot.unknown", "no full load of the topic that this system began is under way")
		}
		if err != nil {
			return err
		}
		s, err := run(ctx, load)
		if err != nil {
			return err
		}
		return a.showFullLoad(s)
	})
}

func (a *app) fullLoadEnd() *cobra.Command {
	var f fullFlags
	c := &cobra.Command{
		Use: "end TOPIC", Short: "End a full load and remove what it did not mention", Args: cobra.ExactArgs(1),
		Example: "  huitong --context register full-load end person --confirm-removed 1250",
		RunE: a.underWay(func(ctx context.Context, load *sdk.FullLoad) (*sdk.SnapshotInfo, error) {
			return load.End(ctx, f.options()...)
		}),
	}
	c.Flags().Int64Var(&f.confirm, "confirm-removed", -1, "the exact number of records that are to be removed")
	return c
}

func (a *app) fullLoadAbandon() *cobra.Command {
	return &cobra.Command{
		Use: "abandon TOPIC", Short: "End a full load and remove nothing", Args: cobra.ExactArgs(1),
		Example: "  huitong --context register full-load abandon person",
		RunE: a.underWay(func(ctx context.Context, load *sdk.FullLoad) (*sdk.SnapshotInfo, error) {
			return load.Abandon(ctx)
		}),
	}
}
