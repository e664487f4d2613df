package demo

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"time"

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
	// clock is how far the exchange's clock is ahead.
	clock *atomic.Int64
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
	clock := &atomic.Int64{}
	n, err := node.Open(ctx, node.Config{
		Dir: dir, Listen: "127.0.0.1:0", Clock: func() time.Time { return time.Now().Add(time.Duration(clock.Load())) },
	})
	if err != nil {
		return nil, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	e := &exchange{node: n, stop: stop, served: make(chan error, 1), clock: clock}
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
// now is the time on the exchange's clock.
func (s *story) now() time.Time {
	return time.Now().Add(time.Duration(s.exchange.clock.Load())).In(time.FixedZone("Asia/Shanghai", 8*60*60))
}

func (s *story) exchangeDir() string { return filepath.Join(s.dir, "exchange") }
