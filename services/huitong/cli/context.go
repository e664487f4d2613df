package cli

import (
	"context"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
)

const longContext = `A context is a named connection: the address of an exchange, a system's
certificate and key, and the CA by which the exchange is known.

The file is $HUITONG_CONFIG, or huitong/contexts.json in the user's configuration
directory. It names key files and holds no key. --context or $HUITONG_CONTEXT
choose for one call, "huitong context use" for all that follow.`

func (a *app) contextCommand() *cobra.Command {
	c := noun("context", "Keep named connections",
		a.contextList(), a.contextUse(), a.contextAdd(), a.contextShow(), a.contextRemove())
	c.Long = longContext
	return c
}

func (a *app) contextList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the named connections", Args: cobra.NoArgs,
		RunE: a.do(func(context.Context, []string) error {
			all, err := a.readContexts()
			if err != nil {
				return err
			}
			t := newTable(a.out, "", "NAME", "ADDRESS", "CERTIFICATE")
			for _, name := range all.names() {
				c := all.Contexts[name]
				if a.json() {
					if err := a.printValue(contextView{name, name == all.Current, c}); err != nil {
						return err
					}
					continue
				}
				mark := ""
				if name == all.Current {
					mark = "*"
				}
				if err := t.row(mark, name, c.Address, c.Certificate); err != nil {
					return err
				}
			}
			if a.json() {
				return nil
			}
			return t.flush()
		}),
	}
}

// contextView is a context as it is printed.
type contextView struct {
	Name    string `json:"name"`
	Current bool   `json:"current"`
	connection
}

func (a *app) contextUse() *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Choose the connection for the calls that follow", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeContext,
		RunE: a.do(func(_ context.Context, args []string) error {
			all, err := a.readContexts()
			if err != nil {
				return err
			}
			if all.Current, _, err = all.pick(args[0]); err != nil {
				return err
			}
			if err := all.write(); err != nil {
				return err
			}
			a.printf("calls now use the context %s\n", args[0])
			return nil
		}),
	}
}

func (a *app) contextAdd() *cobra.Command {
	var c connection
	var use, unchecked bool
	cmd := &cobra.Command{
		Use:   "add NAME --cert FILE --key FILE --ca FILE",
		Short: "Name a connection, or change what a name stands for",
		Example: `  huitong context add register --address exchange.example.gov.cn:7443 \
      --cert register.pem --key register.key --ca ca.pem`,
		Args: cobra.ExactArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			if !contextName.MatchString(args[0]) {
				return usageError("a context's name starts with a letter or digit and has letters, digits, and . _ @ -")
			}
			all, err := a.readContexts()
			if err != nil {
				return err
			}
			merged := mergeConnection(all.Contexts[args[0]], c, a.connection.Address)
			if err := absolute(&merged); err != nil {
				return err
			}
			if !unchecked {
				client, err := dial(ctx, merged)
				if err != nil {
					return err
				}
				if merged.LedgerKey == "" {
					merged.LedgerKey = client.LedgerKey()
				}
				a.printf("the exchange at %s knows this certificate as %s\n", merged.Address, client.System())
				_ = client.Close()
			}
			all.Contexts[args[0]] = merged
			if use || all.Current == "" {
				all.Current = args[0]
			}
			if err := all.write(); err != nil {
				return err
			}
			a.printf("context %s is kept in %s\n", args[0], all.path)
			return nil
		}),
	}
	f := cmd.Flags()
	f.StringVar(&c.Certificate, "cert", "", "the system's certificate, PEM")
	f.StringVar(&c.Key, "key", "", "its private key, PEM")
	f.StringVar(&c.CA, "ca", "", "the CA certificates by which the exchange is known, PEM")
	f.StringVar(&c.LedgerKey, "ledger-key", "", "the key that checkpoints are checked by; what the exchange names now, if not given")
	f.StringVar(&c.ServerName, "server-name", "", "the name in the exchange's certificate, where it is not the host of the address")
	f.BoolVar(&use, "use", false, "choose it for the calls that follow")
	f.BoolVar(&unchecked, "no-check", false, "do not call the exchange to see whether it works")
	return cmd
}

// mergeConnection puts what was given in the place of what was kept.
func mergeConnection(kept, given connection, address string) connection {
	if address != "" {
		given.Address = address
	}
	for _, f := range []struct {
		into *string
		from string
	}{
		{&kept.Address, given.Address}, {&kept.Certificate, given.Certificate}, {&kept.Key, given.Key},
		{&kept.CA, given.CA}, {&kept.LedgerKey, given.LedgerKey}, {&kept.ServerName, given.ServerName},
	} {
		if f.from != "" {
			*f.into = f.from
		}
	}
	if kept.Address == "" {
		kept.Address = defaultAddress
	}
	return kept
}

func absolute(c *connection) error {
	for name, path := range map[string]*string{"--cert": &c.Certificate, "--key": &c.Key, "--ca": &c.CA} {
		if *path == "" {
			return usageError("%s is needed", name)
		}
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) contextShow() *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME]", Short: "Show a connection, and who the exchange takes it for", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeContext,
		RunE: a.do(func(ctx context.Context, args []string) error {
			all, err := a.readContexts()
			if err != nil {
				return err
			}
			name := a.context
			if len(args) > 0 {
				name = args[0]
			}
			name, c, err := all.pick(name)
			if err != nil {
				return err
			}
			if a.connection.Address != "" {
				c.Address = a.connection.Address
			}
			if a.json() {
				return a.printValue(contextView{name, name == all.Current, c})
			}
			if err := a.pairs(pair{"name", name}, pair{"address", c.Address}, pair{"certificate", c.Certificate},
				pair{"key", c.Key}, pair{"ca", c.CA}, pair{"ledger key", c.LedgerKey}, pair{"server name", c.ServerName}); err != nil {
				return err
			}
			return a.introduce(ctx, c)
		}),
	}
}

// introduce prints who the exchange takes the caller for. An exchange that does
// not answer is no error of "show".
func (a *app) introduce(ctx context.Context, c connection) error {
	client, err := dial(ctx, c)
	if err != nil {
		if fault.KindOf(err) == fault.Unavailable {
			a.notef("the exchange at %s does not answer now\n", c.Address)
			return nil
		}
		return err
	}
	defer func() { _ = client.Close() }()
	who, err := client.Caller(ctx)
	if err != nil {
		return err
	}
	until := who.GetCertificate().GetNotAfter().AsTime()
	return a.pairs(pair{"system", who.GetSystem().GetId()}, pair{"roles", joined(who.GetSystem().GetRoles())},
		pair{"participant", who.GetParticipant().GetName()},
		pair{"valid until", clock(until) + remaining(time.Until(until))})
}

func remaining(d time.Duration) string {
	if days := int(d / (24 * time.Hour)); days < 30 {
		return " (renew it: huitong certificate renew)"
	}
	return ""
}

func (a *app) contextRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Forget a connection; certificate and key stay", Args: cobra.ExactArgs(1),
		ValidArgsFunction: a.completeContext,
		RunE: a.do(func(_ context.Context, args []string) error {
			all, err := a.readContexts()
			if err != nil {
				return err
			}
			if _, _, err := all.pick(args[0]); err != nil {
				return err
			}
			delete(all.Contexts, args[0])
			if all.Current == args[0] {
				all.Current = ""
			}
			if err := all.write(); err != nil {
				return err
			}
			a.printf("context %s is forgotten\n", args[0])
			return nil
		}),
	}
}

func (a *app) completeContext(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	all, err := a.readContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return all.names(), cobra.ShellCompDirectiveNoFileComp
}
