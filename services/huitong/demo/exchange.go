package demo

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

// exchange is the running exchange and the data authority's connection to it.
type exchange struct {
	*authority.Authority
	node   *node.Node
	stop   context.CancelFunc
	served chan error
}

// start makes an exchange in an empty directory and serves it on a free port of
// this machine.
func start(ctx context.Context, dir string) (*exchange, error) {
	_, err := node.Init(ctx, node.InitOptions{
		Dir: dir, ParticipantName: sample.DataAuthority.Name, Region: sample.Region, OperatorTitle: "运营",
		Identity: identity.Options{Operator: identity.Name{Participant: sample.DataAuthority.Code, System: "console"}},
	})
	if err != nil {
		return nil, err
	}
	n, err := node.Open(ctx, node.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	e := &exchange{node: n, stop: stop, served: make(chan error, 1)}
	go func() { e.served <- n.Serve(serving) }()
	if e.Authority, err = authority.Connect(ctx, dir, n.Address(), n.LedgerKey()); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// close stops the exchange in order.
func (e *exchange) close() error {
	var err error
	if e.Authority != nil {
		err = e.Authority.Close()
	}
	e.stop()
	return errors.Join(err, <-e.served)
}

// exchangeDir is the exchange's data directory.
func (s *story) exchangeDir() string { return filepath.Join(s.dir, "exchange") }
