package rpc

import (
	"context"
	"strings"
	"sync"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// How many calls of one system may be under way, over all its connections. Each
// may bring a message of MaxMessage into memory before anybody looks at it, and
// connections are cheap; so one system's mistake, or malice, has a bound that the
// others do not feel.
const (
	// maxCalls is of all calls but those below.
	maxCalls = 1024
	// maxSubscribe is of subscriptions that are received from.
	maxSubscribe = 20_000
	// maxWatches is of ledger watches and exports, each of which reads on and on.
	maxWatches = 32
	// maxDocuments is of documents that are brought or given out, each of which has
	// a few chunks in memory.
	maxDocuments = 16
	// maxFanOuts is of fan-outs that are asked or looked at, each of which waits for
	// many and holds what they give.
	maxFanOuts = 64
)

// calls counts calls under way by system and sort.
type calls struct {
	mu    sync.Mutex
	under map[callsOf]int
}

type callsOf struct {
	system string
	sort   sort
}

type sort struct {
	name  string
	limit int
}

func sortOf(method string) sort {
	switch method[strings.LastIndexByte(method, '/')+1:] {
	case "Subscribe":
		return sort{"subscribe", maxSubscribe}
	case "WatchEntries", "ExportEntries":
		return sort{"watch", maxWatches}
	case "Upload", "Download":
		return sort{"document", maxDocuments}
	case "AskAll", "GetFanOut":
		return sort{"fan-out", maxFanOuts}
	}
	return sort{"call", maxCalls}
}

// begin counts a call until ctx, which is the call's, ends; or refuses it.
func (c *calls) begin(ctx context.Context, system, method string) error {
	of := callsOf{system, sortOf(method)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.under == nil {
		c.under = map[callsOf]int{}
	}
	if c.under[of] >= of.sort.limit {
		return fault.New(fault.Limited, "calls.number", "the system has %d calls of this sort under way; end some first", of.sort.limit)
	}
	c.under[of]++
	context.AfterFunc(ctx, func() { c.end(of) })
	return nil
}

func (c *calls) end(of callsOf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.under[of]--; c.under[of] == 0 {
		delete(c.under, of)
	}
}
