package cli

import (
	"context"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
)

// connectWithin bounds how long the first call may take.
const connectWithin = 15 * time.Second

// chosen gives the connection to use: the context's, with what flags and
// environment put in its place.
func (a *app) chosen() (connection, error) {
	all, err := a.readContexts()
	if err != nil {
		return connection{}, err
	}
	_, c, err := all.pick(a.context)
	if err != nil {
		return connection{}, err
	}
	if a.connection.Address != "" {
		c.Address = a.connection.Address
	}
	return c, nil
}

func (a *app) connect(ctx context.Context) (*sdk.Client, error) {
	c, err := a.chosen()
	if err != nil {
		return nil, err
	}
	return dial(ctx, c)
}

func dial(ctx context.Context, c connection) (*sdk.Client, error) {
	within, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	client, err := sdk.Connect(within, sdk.Config{
		Address: c.Address, CertFile: c.Certificate, KeyFile: c.Key, CAFile: c.CA,
		ServerName: c.ServerName, LedgerKey: c.LedgerKey,
	})
	if k := fault.KindOf(err); err != nil && (k == fault.Unavailable || k == fault.Timeout) {
		err = fault.Wrap(k, "", err, "the exchange at %s cannot be reached, so what it holds is unknown", c.Address)
		return nil, advise(err, "is the exchange running at %s? start it with huitong serve, or choose another with --context or --address", c.Address)
	}
	return client, err
}
