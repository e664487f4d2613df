package node_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
)

// TestSubmittedWhileTheCaseCloses: what is submitted is published and entered, or it
// is said that the case is closed, and nothing of it stands.
func TestSubmittedWhileTheCaseCloses(t *testing.T) {
	c := newCounter(t)
	for round := range 20 {
		acting := c.acting
		acting.Case = fmt.Sprint("SF-2026-2", round)
		c.OpenCase(t, c.hall, acting.Case, subsidy, c.applicant)
		m := paper(acting.Case)
		m.MaterialId = acting.Case
		size := c.Node.Journal.Head().Size
		var all sync.WaitGroup
		var submitted, closed error
		all.Go(func() {
			_, submitted = c.hall.Submit(t.Context(), sdk.Submission{Acting: acting, Material: &sdk.Publication{Topic: "papers", Message: m}})
		})
		all.Go(func() { _, closed = c.hall.CloseCase(t.Context(), acting.Case, "clerk-017", "办结") })
		all.Wait()
		ok(t, closed)
		published, entered := false, false
		for _, e := range entriesFrom(t, c.Exchange, size) {
			published = published || e.GetPublished().GetTopic() == "papers"
			entered = entered || e.GetSubmitted() != nil
		}
		if rule := fault.RuleOf(submitted); submitted != nil && rule != "case.closed" || published != entered || entered != (submitted == nil) {
			t.Fatalf("round %d: published %v, entered %v, answered %v", round, published, entered, submitted)
		}
	}
	fsck(t, c.Exchange)
}
