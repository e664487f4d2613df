package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

// defaultAddress is where an exchange listens if nothing else is said.
const defaultAddress = node.DefaultListen

const (
	defaultData   = "huitong-data"
	defaultSystem = "operator"
)

// initFlags are what a new exchange is made from.
type initFlags struct {
	data, participant, name, region, system, title string
	database                                       string
	partitions                                     int
	hosts                                          []string
	caBundle, serverCert, serverKey, operatorCert  string
	context, address                               string
}

func dataDefault() string { return orElse(os.Getenv("HUITONG_DATA"), defaultData) }

func (a *app) initCommand() *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use:   "init",
		Short: "Make a new exchange in a data directory",
		Long: `Makes a data directory with a private CA, the keyring and the operator's
certificate, an empty ledger, and a context by which this command is the operator.

The participant's code becomes part of the ledger's name, for good. Without
--participant a fictional data authority is used: good for trying things out.

An outside CA takes the private one's place with --ca-bundle, --server-cert,
--server-key and --operator-cert; certificates are then issued by that CA, and
"huitong system enrol --certificate" takes them in.`,
		Example: `  huitong init
  huitong init --data /var/lib/huitong --participant 11999900MB0000086B \
      --participant-name 示范市数据局 --region 999999 --host exchange.example.gov.cn`,
		Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			made, err := a.makeExchange(ctx, &f)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printValue(made)
			}
			a.printf("an exchange is made in %s\n", made.Data)
			if err := a.pairs(pair{"operator", made.Operator}, pair{"ledger key", made.LedgerKey}, pair{"context", made.Context}); err != nil {
				return err
			}
			a.printf("next: huitong serve%s\n", made.serveFlags)
			return nil
		}),
	}
	fs := c.Flags()
	fs.StringVar(&f.data, "data", dataDefault(), "data directory [$HUITONG_DATA]")
	fs.StringVar(&f.participant, "participant", "", "unified social credit code of the data authority that operates the exchange")
	fs.StringVar(&f.name, "participant-name", "", "its name")
	fs.StringVar(&f.region, "region", "", "its administrative division, GB/T 2260")
	fs.StringVar(&f.system, "system", defaultSystem, "name of the operator's system")
	fs.StringVar(&f.title, "title", "", "name of that system, for people")
	fs.StringVar(&f.database, "database", "", "postgres://… (PostgreSQL or CockroachDB); SQLite in the data directory if not given")
	fs.IntVar(&f.partitions, "partitions", 1, "how many streams the topics are dealt into, for good")
	fs.StringSliceVar(&f.hosts, "host", nil, "host names and addresses of the exchange, beside localhost")
	fs.StringVar(&f.caBundle, "ca-bundle", "", "certificates of an outside CA, PEM")
	fs.StringVar(&f.serverCert, "server-cert", "", "with an outside CA: the exchange's certificate, PEM")
	fs.StringVar(&f.serverKey, "server-key", "", "with an outside CA: its private key, PEM")
	fs.StringVar(&f.operatorCert, "operator-cert", "", "with an outside CA: the operator's certificate, PEM")
	fs.StringVar(&f.context, "context-name", "operator", "name of the operator's context")
	fs.StringVar(&f.address, "context-address", defaultAddress, "where the operator's context finds the exchange")
	c.MarkFlagsRequiredTogether("ca-bundle", "server-cert", "server-key", "operator-cert")
	return c
}

// made says what init made.
type made struct {
	Data      string `json:"data"`
	Operator  string `json:"operator"`
	LedgerKey string `json:"ledger_key"`
	Context   string `json:"context,omitempty"`

	serveFlags string
}

func (a *app) makeExchange(ctx context.Context, f *initFlags) (*made, error) {
	data, err := filepath.Abs(f.data)
	if err != nil {
		return nil, err
	}
	if f.participant == "" {
		a.notef("note: no --participant given, so the exchange is made for %s %s, which does not exist.\n"+
			"      That is good for trying things out; the ledger's name holds the code for good.\n",
			sample.DataAuthority.Name, sample.DataAuthority.Code)
		f.participant = sample.DataAuthority.Code
		f.name, f.region = orElse(f.name, sample.DataAuthority.Name), orElse(f.region, sample.Region)
	}
	options := node.InitOptions{
		Dir: data, Database: f.database, Partitions: f.partitions,
		ParticipantName: orElse(f.name, f.participant), Region: f.region, OperatorTitle: f.title,
		Identity: identity.Options{Operator: identity.Name{Participant: f.participant, System: f.system}, Hosts: f.hosts},
	}
	if err := f.outside(&options.Identity); err != nil {
		return nil, err
	}
	d, err := node.Init(ctx, options)
	if err != nil {
		return nil, err
	}
	m := &made{Data: data, Operator: d.Operator.String(), LedgerKey: d.Keyring.VerifierKey()}
	if f.data != defaultData {
		m.serveFlags += " --data " + f.data
	}
	if f.database != "" {
		m.serveFlags += " --database …"
	}
	if f.caBundle != "" {
		// The operator's key never was here.
		a.notef("note: name the operator's connection yourself: huitong context add %s --cert … --key … --ca %s\n",
			f.context, filepath.Join(data, identity.CAFile))
		return m, nil
	}
	m.Context, err = a.keepOperator(f, data, m.LedgerKey)
	return m, err
}

// outside reads the files of an outside CA.
func (f *initFlags) outside(o *identity.Options) error {
	for _, file := range []struct {
		path string
		into *[]byte
	}{
		{f.caBundle, &o.CABundle}, {f.serverCert, &o.ServerCertificate},
		{f.serverKey, &o.ServerKey}, {f.operatorCert, &o.OperatorCertificate},
	} {
		if file.path == "" {
			continue
		}
		var err error
		if *file.into, err = os.ReadFile(file.path); err != nil {
			return err
		}
	}
	return nil
}

// keepOperator writes the operator's context and chooses it. A context of that
// name that belongs to another exchange is left alone. The exchange is made by
// then: that a context cannot be kept does not undo it.
func (a *app) keepOperator(f *initFlags, data, ledgerKey string) (string, error) {
	all, err := a.readContexts()
	if err != nil {
		return "", a.noContext(err)
	}
	c := connection{
		Address:     orElse(a.connection.Address, f.address),
		Certificate: filepath.Join(data, identity.OperatorFile), Key: filepath.Join(data, identity.OperatorKey),
		CA: filepath.Join(data, identity.CAFile), LedgerKey: ledgerKey,
	}
	name := f.context
	for n := 2; ; n++ {
		kept, taken := all.Contexts[name]
		if !taken || kept.Certificate == c.Certificate {
			break
		}
		name = f.context + "-" + itoa(n)
	}
	if all.Current != "" && all.Current != name {
		a.notef("note: calls used the context %s until now; back with huitong context use %s\n", all.Current, all.Current)
	}
	all.Contexts[name], all.Current = c, name
	return name, a.noContext(all.write())
}

func (a *app) noContext(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(errors.New("the exchange is made, but its context was not kept"), err)
}
