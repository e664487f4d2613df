package rpc

import (
	"context"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// TestCallsOfOneSystemAreBounded: past the bound a system's calls are refused,
// and no other's; each that ends makes room for one.
func TestCallsOfOneSystemAreBounded(t *testing.T) {
	var c calls
	const watch, list = "/huitong.ledger.v1.LedgerService/WatchEntries", "/huitong.ledger.v1.LedgerService/ListEntries"
	ctx, cancel := context.WithCancel(t.Context())
	first, end := context.WithCancel(t.Context())
	if err := c.begin(first, "a", watch); err != nil {
		t.Fatal(err)
	}
	for range maxWatches - 1 {
		if err := c.begin(ctx, "a", watch); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.begin(ctx, "a", watch); fault.KindOf(err) != fault.Limited || fault.RuleOf(err) != "calls.number" {
		t.Errorf("one too many gave %v", err)
	}
	for _, other := range [][2]string{{"b", watch}, {"a", list}} {
		if err := c.begin(ctx, other[0], other[1]); err != nil {
			t.Errorf("%v: %v", other, err)
		}
	}
	end()
	within(t, func() bool { return c.begin(ctx, "a", watch) == nil })
	cancel()
	within(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.under) == 0
	})
}

func within(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("not within ten seconds")
		}
	}
}
