package node

import (
	"github.com/huitong-bus/huitong/exchange/fanout"
	"github.com/huitong-bus/huitong/exchange/reuse"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/services/rpc"
)

// serveReading serves what reads records for a case: queries, checks, and the
// once-only step over them; and the service items, which whoever is enrolled reads.
func (n *Node) serveReading() {
	exchangev1.RegisterExchangeServiceServer(n.server, &rpc.ExchangeService{
		SubscriptionService: rpc.SubscriptionService{Subscriptions: n.subscriptions}, DB: n.DB, Intake: n.intake, Queries: n.queries,
	})
	fanOuts := fanout.New(fanout.Config{
		DB: n.DB, Topics: n.Catalogue, Queries: n.queries, Policy: n.Policy, Refusals: n.refusals, Board: n.Board,
		Cases: n.Cases, Keyring: n.Identity.Keyring, Clock: n.Clock, Log: n.Log,
	})
	exchangev1.RegisterFanOutServiceServer(n.server, &rpc.FanOutService{FanOuts: fanOuts})
	once := reuse.New(reuse.Config{
		Queries: n.queries, Index: n.Index, Topics: n.Catalogue, Policy: n.Policy, Conditions: &reuse.Conditions{}, Publisher: n.intake,
		Suppliers: fanOuts, Clock: n.Clock,
	})
	exchangev1.RegisterReuseServiceServer(n.server, &rpc.ReuseService{Reuse: once})
	exchangev1.RegisterItemServiceServer(n.server, &rpc.ItemService{Reuse: once})
}
