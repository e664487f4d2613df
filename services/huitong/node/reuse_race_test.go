package node_test

import (
	"sync"
	"testing"

	"github.com/huitong-bus/huitong/sdk"
)

// TestCollectionsOfOneCaseAtOnce: one of them releases the copies, the others give
// these once more.
func TestCollectionsOfOneCaseAtOnce(t *testing.T) {
	c := newCounter(t)
	ask := sdk.Collect{Acting: c.acting, Applicant: c.applicant, Declined: []string{"residence"}}
	size := c.Node.Journal.Head().Size
	const callers = 8
	var all sync.WaitGroup
	receipts, errs := make([]uint64, callers), make([]error, callers)
	for n := range callers {
		all.Go(func() {
			got, err := c.hall.Collect(t.Context(), ask)
			if errs[n] = err; err == nil && len(got.Copies) == 1 {
				receipts[n] = got.Copies[0].Receipt.Index
			}
		})
	}
	all.Wait()
	for n := range callers {
		ok(t, errs[n])
		if receipts[n] == 0 || receipts[n] != receipts[0] {
			t.Fatalf("the copies are entered as %v", receipts)
		}
	}
	if n := c.entered(t, c.hall, size); n != 2 {
		t.Fatalf("%d entries: a copy and its collection are two", n)
	}
}
