// Package nodetest runs a whole exchange in the test's process, behind its real
// gRPC server on a loopback port, and enrols systems in it.
package nodetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

// Patience bounds every wait of a test.
const Patience = 30 * time.Second

// Operator is the participant code of the sample data authority.
var Operator = sample.DataAuthority.Code

// Exchange is a running exchange and its operator.
type Exchange struct {
	*authority.Authority
	Node *node.Node
	Dir  string

	stop   context.CancelFunc
	served chan error
}

// Open makes an exchange in an empty directory, if it holds none yet, and serves
// it; Close ends it. A config's directory and address are filled in.
func Open(ctx context.Context, dir string, c node.Config) (*Exchange, error) {
	_, err := node.Init(ctx, node.InitOptions{
		Dir: dir, Database: c.Database, ParticipantName: sample.DataAuthority.Name, Region: sample.Region, OperatorTitle: "运营",
		Identity: identity.Options{Operator: identity.Name{Participant: Operator, System: "console"}},
	})
	if err != nil {
		return nil, err
	}
	return Reopen(ctx, dir, c)
}

// Reopen serves the exchange that a directory holds.
func Reopen(ctx context.Context, dir string, c node.Config) (*Exchange, error) {
	c.Dir = dir
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	n, err := node.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	serving, stop := context.WithCancel(context.Background())
	x := &Exchange{Node: n, Dir: dir, stop: stop, served: make(chan error, 1)}
	go func() { x.served <- n.Serve(serving) }()
	if x.Authority, err = authority.Connect(ctx, dir, n.Address(), n.LedgerKey()); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

// Close ends the exchange in order.
func (x *Exchange) Close() error {
	var err error
	if x.Authority != nil {
		err = x.Authority.Close()
	}
	x.stop()
	return errors.Join(err, <-x.served)
}

// Start is Open for a test, whose end closes the exchange. Its database is the
// one that tests run on.
func Start(t testing.TB, configs ...node.Config) *Exchange {
	t.Helper()
	var c node.Config
	if len(configs) > 0 {
		c = configs[0]
	}
	if c.Database == "" {
		c.Database = storetest.URL(t)
	}
	x, err := Open(t.Context(), t.TempDir(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// OpenCase opens a case for a department of the test.
func (x *Exchange) OpenCase(t testing.TB, c *sdk.Client, number, item string, subjects ...sdk.Subject) *sdk.Case {
	t.Helper()
	opened, err := c.OpenCase(t.Context(), sdk.NewCase{Number: number, Item: item, Person: "clerk-017", Subjects: subjects})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// Join registers a sample department, enrols a system of it and connects.
func (x *Exchange) Join(t testing.TB, d sample.Department, system string, roles ...cataloguev1.Role) *sdk.Client {
	t.Helper()
	if err := x.Register(t.Context(), &cataloguev1.Participant{Code: d.Code, Name: d.Name, Region: sample.Region}); err != nil {
		t.Fatal(err)
	}
	if len(roles) == 0 {
		roles = []cataloguev1.Role{cataloguev1.Role_ROLE_DEPARTMENT}
	}
	c, err := x.Enrol(t.Context(), &cataloguev1.System{Participant: d.Code, Name: system, Title: d.Name, Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
