// Package cli is the command huitong: it makes and runs an exchange, and speaks
// to one.
//
// init, serve, ledger fsck and ledger rebuild open the data directory. Every
// other command is a client: it speaks gRPC with the certificate of a context (a
// named connection, see context.go) and can do no more than that certificate may.
//
// Results go to standard output, for people or, with --output json, one JSON
// document a line for programs. Errors and notes go to standard error and say
// what to do next. The exit code says how it ended; see exit.go.
package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/sdk"
)

// app is one run of the command.
type app struct {
	in       io.Reader
	out, err io.Writer

	output     string
	context    string
	config     string
	connection connection
	timeout    time.Duration

	// started says that the command line was understood and the work begun:
	// what fails before is a mistake in how the command was called.
	started bool
}

// Run runs the command and gives its exit code. The first SIGINT or SIGTERM ends
// it in order, a second one at once.
func Run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	a := &app{in: in, out: out, err: errs}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if !a.started && asksJSON(args) {
		// The command line may have been given up before that flag.
		a.output = "json"
	}
	return a.finish(err)
}

func asksJSON(args []string) bool {
	all := strings.Join(args, " ") + " "
	for _, flag := range []string{"-o json ", "-ojson ", "-o=json ", "--output json ", "--output=json "} {
		if strings.Contains(all, flag) {
			return true
		}
	}
	return false
}

const longRoot = `huitong runs an exchange between government departments, and uses one.

Start an exchange, in ./huitong-data, and look at it from a second terminal:

  huitong serve
  huitong participant list

Connect a department's system: make its key where it runs, have the data
authority sign the request, and name the connection:

  huitong system request 11999900MB0000019D/household-register
  huitong system enrol   11999900MB0000019D/household-register --request household-register.csr
  huitong context add register --address 127.0.0.1:7443 \
      --cert household-register.pem --key household-register.key --ca ca.pem

Exit codes: 0 done; 1 failed; 2 called wrongly; 3 refused by the exchange;
4 done in part, some records refused; 5 the exchange cannot be reached;
6 a check found something wrong.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "huitong",
		Short:         "An exchange bus between government departments",
		Long:          longRoot,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	f := root.PersistentFlags()
	f.StringVarP(&a.output, "output", "o", "table", `how to print results: "table" or "json"`)
	f.StringVar(&a.context, "context", os.Getenv("HUITONG_CONTEXT"), "the named connection to use [$HUITONG_CONTEXT]")
	f.StringVar(&a.config, "config", "", "file of named connections [$HUITONG_CONFIG]")
	f.StringVar(&a.connection.Address, "address", os.Getenv("HUITONG_ADDRESS"), "host:port of the exchange, instead of the context's [$HUITONG_ADDRESS]")
	f.DurationVar(&a.timeout, "timeout", time.Minute, "how long calls that answer at once may take")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = root.RegisterFlagCompletionFunc("context", a.completeContext)
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run an exchange:"},
		&cobra.Group{ID: "records", Title: "Exchange records:"},
		&cobra.Group{ID: "catalogue", Title: "Keep the catalogue:"},
		&cobra.Group{ID: "ledger", Title: "Prove what happened:"},
		&cobra.Group{ID: "client", Title: "This command itself:"},
	)
	a.add(root, "run", a.initCommand(), a.serveCommand(), a.demoCommand(), a.benchCommand())
	a.add(root, "records", a.publishCommand(), a.fullLoadCommand(), a.documentCommand(), a.itemCommand(), a.caseCommand(), a.consentCommand(), a.representationCommand(), a.disputeCommand(), a.queryCommand(), a.checkCommand(), a.fanOutCommand(), a.statusCommand(), a.statsCommand(), a.allowedCommand(), a.subscriptionCommand(), a.deadLetterCommand())

	a.add(root, "catalogue", a.catalogueCommand(), a.participantCommand(), a.systemCommand(), a.personCommand(), a.identityProviderCommand(), a.groupCommand(), a.certificateCommand(), a.contractCommand(), a.topicCommand(), a.grantCommand(),
		a.deadlineCommand(), a.calendarCommand(), a.settingsCommand())

	a.add(root, "ledger", a.ledgerCommand())
	a.add(root, "client", a.contextCommand(), a.rulesCommand(), a.keyCommand(), a.versionCommand())
	root.SetHelpCommandGroupID("client")
	root.SetCompletionCommandGroupID("client")
	return root
}

func (a *app) add(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

// do makes a command's action of a function; what fails in it is no longer a
// mistake of how the command was called.
func (a *app) do(run func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if a.output != "table" && a.output != "json" {
			return usageError(`--output is "table" or "json"`)
		}
		a.started = true
		return run(c.Context(), args)
	}
}

// with makes a command's action of a function that makes a call or a few; they
// have to be answered within the timeout.
func (a *app) with(run func(ctx context.Context, c *sdk.Client, args []string) error) func(*cobra.Command, []string) error {
	return a.connected(func(ctx context.Context, c *sdk.Client, args []string) error {
		ctx, cancel := context.WithTimeout(ctx, a.timeout)
		defer cancel()
		return run(ctx, c, args)
	})
}

// connected makes a command's action of a function that takes as long as it
// takes.
func (a *app) connected(run func(ctx context.Context, c *sdk.Client, args []string) error) func(*cobra.Command, []string) error {
	return a.do(func(ctx context.Context, args []string) error {
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		return run(ctx, c, args)
	})
}

// noun makes a command that only holds others.
func noun(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		_ = c.Help()
		return usageError("say what to do: %s COMMAND", c.CommandPath())
	}}
	c.AddCommand(commands...)
	return c
}
