package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"time"

	"github.com/spf13/cobra"
)

// Defaults of the flags.
const (
	defaultRecords  = 100_000
	defaultDuration = 10 * time.Second
)

// settings are the command's flags.
type settings struct {
	dir      string
	records  int
	duration time.Duration
	output   string
	profile  string
}

// table is one of the bench's tables.
type table struct {
	name, short string
	run         func(ctx context.Context) (*Report, error)
}

func (s *settings) tables() []table {
	return []table{
		{"publish", "Publish records, alone, many at once and in batches", s.publish},
		{"deliver", "Receive by subscription: time to the handler, and catching up", s.deliver},
		{"suspend", "Suspend a grant under running subscriptions", s.suspend},
		{"decide", "Decide who may do what, among ten thousand grants", s.decide},
		{"query", "Query and check records for a case", s.query},
		{"reuse", "Prepare cases and collect what is held of them", s.reuse},
		{"document", "Bring a large document and fetch it again", s.document},
		{"ledger", "Enter, prove and export entries without payload", s.ledger},
		{"start", "Start an exchange that holds records, also after a crash", s.start},
	}
}

// Command is `huitong bench`.
func Command() *cobra.Command {
	s := &settings{}
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure an exchange on this machine",
		Long: `Measure what an exchange bears on this machine and disk, beside JetStream and gRPC
without anything of the exchange.

Everything runs in this process on an exchange of its own, made in --dir and
removed afterwards. It needs about 4 GiB there and takes some minutes. How much is
in before matters little to most tables; "bench reuse --records 1000000" measures
preparations for 200,000 people, and takes some minutes to bring their records in.`,
	}
	flags := c.PersistentFlags()
	flags.StringVar(&s.dir, "dir", ".", "directory on the disk to measure")
	flags.IntVar(&s.records, "records", defaultRecords, "records that are in before the cases are measured")
	flags.DurationVar(&s.duration, "duration", defaultDuration, "how long each case runs")
	flags.StringVar(&s.profile, "cpuprofile", "", "file for a profile of the processor over all tables; go tool pprof reads it")
	flags.StringVarP(&s.output, "output", "o", "table", "table or json")
	tables := s.tables()
	for _, t := range tables {
		c.AddCommand(s.command(t.name, t.short, []table{t}))
	}
	c.AddCommand(s.command("all", "Measure everything", tables))
	return c
}

func (s *settings) command(name, short string, tables []table) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs, SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.validate(); err != nil {
				return err
			}
			stop, err := s.startProfile()
			if err != nil {
				return err
			}
			return errors.Join(s.runTables(c.Context(), c.OutOrStdout(), tables), stop())
		},
	}
}

func (s *settings) runTables(ctx context.Context, out io.Writer, tables []table) error {
	for _, t := range tables {
		r, err := t.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if s.output == "json" {
			err = r.writeJSON(out)
		} else {
			err = r.write(out)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// startProfile starts the profile that is asked for; what it gives ends it.
func (s *settings) startProfile() (stop func() error, err error) {
	if s.profile == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(s.profile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

func (s *settings) validate() error {
	switch {
	case s.records < 1000:
		return errors.New("--records: at least 1000")
	case s.duration < 100*time.Millisecond:
		return errors.New("--duration: at least 100ms")
	case s.output != "table" && s.output != "json":
		return errors.New("--output: table or json")
	}
	return nil
}
