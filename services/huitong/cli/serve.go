package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/document"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

type serveFlags struct {
	node     node.Config
	logLevel string
	logJSON  bool
	ready    string
}

func (a *app) serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run an exchange",
		Long: `Runs the exchange of a data directory, and makes one there first if there is none.
Without flags everything is embedded: SQLite for the journal, NATS JetStream for
distribution.

When it takes calls it prints one line with its address on standard output; its log
goes to standard error. SIGTERM or SIGINT stop it in order, within 15 seconds; a
second one stops it at once. What was acknowledged is on disk either way.`,
		Example: `  huitong serve
  huitong serve --data /var/lib/huitong --listen 0.0.0.0:7443 --host exchange.example.gov.cn
  huitong serve --database postgres://huitong@db1:26257/huitong --nats nats://n1:4222,nats://n2:4222 --replicas 3`,
		Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error { return a.serve(ctx, &f) }),
	}
	fs := c.Flags()
	n := &f.node
	fs.StringVar(&n.Dir, "data", dataDefault(), "data directory [$HUITONG_DATA]")
	fs.StringVar(&n.Listen, "listen", node.DefaultListen, "address to listen on; port 0 takes a free one")
	fs.StringSliceVar(&n.Hosts, "host", nil, "further host names and addresses for the exchange's certificate")
	fs.StringVar(&n.Database, "database", os.Getenv("HUITONG_DATABASE"), "postgres://… of PostgreSQL or CockroachDB; SQLite in the data directory if not given [$HUITONG_DATABASE]")
	fs.StringVar(&n.NATS, "nats", os.Getenv("HUITONG_NATS"), "URL of an external NATS with JetStream; embedded if not given [$HUITONG_NATS]")
	fs.IntVar(&n.Replicas, "replicas", 1, "replicas of each stream in an external NATS")
	fs.StringVar(&n.Instance, "instance", "", "name of this process among those that share the database; made up if not given")
	fs.DurationVar(&n.Retention, "retention", 7*24*time.Hour, "how long JetStream keeps records; older ones are read from the journal")
	fs.Int64Var(&n.StreamBytes, "stream-bytes", 0, "most bytes that JetStream keeps of a partition, which an external NATS sets aside; older records are read from the journal (default 64 GiB, and 8 GiB in an external NATS)")
	fs.StringVar(&n.Erasures, "erasures", "", "after a restore: a list of erasures that was kept elsewhere; what it has is erased again")
	fs.IntVar(&n.MaxRecordBytes, "max-record-bytes", 256<<10, "largest record")
	fs.IntVar(&n.MaxCallRecords, "max-call-records", 1000, "most records of one call")
	fs.IntVar(&n.MaxCallBytes, "max-call-bytes", 8<<20, "most bytes of one call's records")
	fs.DurationVar(&n.DocumentKeep, "document-keep", document.DefaultKeep, "how long an upload that is not finished is kept after something of it came last")
	fs.DurationVar(&n.DocumentUnnamed, "document-unnamed", document.DefaultUnnamed, "how long a document is kept that no publication names")
	fs.Int64Var(&n.DocumentUnfinished, "document-unfinished", document.DefaultUnfinished, "most bytes of documents that a participant has begun to upload and not finished")
	fs.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	fs.BoolVar(&f.logJSON, "log-json", false, "write the log as JSON lines")
	fs.StringVar(&f.ready, "ready-file", "", "write the address to this file when ready")
	return c
}

func (a *app) serve(ctx context.Context, f *serveFlags) error {
	log, err := a.logger(f)
	if err != nil {
		return err
	}
	f.node.Log = log
	created, err := a.ensureExchange(ctx, f)
	if err != nil {
		return err
	}
	n, err := node.Open(ctx, f.node)
	if errors.Is(err, syscall.EADDRINUSE) {
		return advise(err, "another program listens there; choose another address with --listen")
	}
	if err != nil {
		return err
	}
	if created != nil {
		if err := a.keepAddress(created.Context, n.Address()); err != nil {
			return errors.Join(err, n.Close(ctx))
		}
	}
	if err := a.ready(n, f); err != nil {
		return errors.Join(err, n.Close(ctx))
	}
	if err := n.Serve(ctx); err != nil {
		return err
	}
	a.printf("huitong has stopped\n")
	return nil
}

func (a *app) logger(f *serveFlags) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, usageError("--log-level is debug, info, warn or error")
	}
	options := &slog.HandlerOptions{Level: level}
	if f.logJSON {
		return slog.New(slog.NewJSONHandler(a.err, options)), nil
	}
	return slog.New(slog.NewTextHandler(a.err, options)), nil
}

// ensureExchange makes an exchange with defaults where there is no data directory
// yet. One that is there and holds no exchange is refused: it may be a mount that
// is missing, or a name that is misspelt.
func (a *app) ensureExchange(ctx context.Context, f *serveFlags) (*made, error) {
	_, err := os.Stat(f.node.Dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		a.notef("%s does not exist: making a new exchange there\n", f.node.Dir)
	case err == nil && node.Unfinished(f.node.Dir):
		a.notef("%s holds an exchange that was not finished: finishing it\n", f.node.Dir)
	default:
		// An empty directory may be a disk that is not mounted: no exchange is
		// made there unasked.
		return nil, err
	}
	return a.makeExchange(ctx, &initFlags{
		data: f.node.Dir, database: f.node.Database, partitions: 1, system: defaultSystem, hosts: f.node.Hosts,
		context: "operator", address: f.node.Listen,
	})
}

// keepAddress lets a context find the exchange where it listens.
func (a *app) keepAddress(name, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	all, err := a.readContexts()
	if err != nil {
		return err
	}
	c := all.Contexts[name]
	c.Address = net.JoinHostPort(host, port)
	all.Contexts[name] = c
	return all.write()
}

// ready says that the exchange takes calls: what listens answers from here on.
func (a *app) ready(n *node.Node, f *serveFlags) error {
	data, err := filepath.Abs(f.node.Dir)
	if err != nil {
		return err
	}
	if f.ready != "" {
		if err := replaceFile(f.ready, []byte(n.Address()+"\n"), 0o644); err != nil {
			return err
		}
	}
	if a.json() {
		return a.printValue(map[string]string{"address": n.Address(), "data": data, "ledger_key": n.LedgerKey()})
	}
	_, err = fmt.Fprintf(a.out, "huitong serves on %s (data %s)\n", n.Address(), data)
	return err
}
