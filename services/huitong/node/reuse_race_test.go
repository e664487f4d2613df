package node_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
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

// TestNothingIsCollectedBehindItsEnd: a record that is suspended while it is
// collected and queried leaves before the suspension's entry or not at all, so that
// whoever relied on it hears.
func TestNothingIsCollectedBehindItsEnd(t *testing.T) {
	c := newCounter(t)
	issuer := c.issuers["identity"].Publisher(sdk.PublisherConfig{CallUnary: true})
	defer issuer.Close(t.Context())
	id := permitOf("identity", sample.PublicSecurity, 1, "").Identifier
	for round := range 20 {
		acting := c.acting
		acting.Case = fmt.Sprint("SF-2026-1", round)
		c.OpenCase(t, c.hall, acting.Case, subsidy, c.applicant)
		var all sync.WaitGroup
		var collected, queried, ended uint64
		var errs [3]error
		all.Go(func() {
			got, err := c.hall.Collect(t.Context(), sdk.Collect{Acting: acting, Applicant: c.applicant, Declined: []string{"residence"}})
			if errs[0] = err; err == nil && len(got.Copies) > 0 {
				collected = got.Copies[0].Receipt.Index
			}
		})
		all.Go(func() {
			got, err := c.hall.Query(t.Context(), sdk.Query{Topic: "identity", Acting: acting, By: sdk.BySubject(c.applicant)})
			if errs[1] = err; err == nil && len(got.Records) > 0 {
				queried = got.Release.Index
			}
		})
		all.Go(func() {
			r, err := issuer.Suspend(t.Context(), "identity", id, "核查")
			if errs[2] = err; err == nil {
				ended = r.Index
			}
		})
		all.Wait()
		for _, err := range errs {
			ok(t, err)
		}
		if collected > ended || queried > ended {
			t.Fatalf("round %d: suspended by entry %d, collected by %d, queried by %d", round, ended, collected, queried)
		}
		_, err := issuer.Resume(t.Context(), "identity", id, "核查完毕")
		ok(t, err)
	}
}

// TestAClosedCaseIsNotRemembered: a case that was asked for while it was open takes
// nothing once it is closed, and a material that comes too late is not published.
func TestAClosedCaseIsNotRemembered(t *testing.T) {
	c := newCounter(t)
	_, err := c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant})
	ok(t, err)
	_, err = c.hall.CloseCase(t.Context(), c.acting.Case, "clerk-017", "办结")
	ok(t, err)
	_, err = c.hall.Submit(t.Context(), sdk.Submission{Acting: c.acting, Material: &sdk.Publication{Topic: "papers", Message: paper(c.acting.Case)}})
	if rule := fault.RuleOf(err); rule != "case.closed" {
		t.Errorf("a submission to a closed case: %v of rule %q", err, rule)
	}
	_, err = c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant})
	if rule := fault.RuleOf(err); rule != "case.closed" {
		t.Errorf("a collection for a closed case: %v of rule %q", err, rule)
	}
	var published int
	ok(t, c.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM records WHERE topic = $1", journal.Number("papers")).Scan(&published))
	if published != 0 {
		t.Errorf("%d papers are published", published)
	}
}
