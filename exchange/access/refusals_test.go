package access_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// refused reads all refusals of the ledger.
func (w *world) refused() (all []*ledgerv1.LedgerEntry) {
	w.T.Helper()
	rows, err := w.DB.Reader().QueryContext(context.Background(), "SELECT leaf FROM ledger ORDER BY idx")
	if err != nil {
		w.T.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var leaf []byte
		e := &ledgerv1.LedgerEntry{}
		if err := errors.Join(rows.Scan(&leaf), proto.Unmarshal(leaf, e)); err != nil {
			w.T.Fatal(err)
		}
		if e.GetRefused() != nil {
			all = append(all, e)
		}
	}
	return all
}

func TestRefusalsAreCountedAndTheFirstIsCommittedAtOnce(t *testing.T) {
	w := newWorld(t)
	r := access.NewRefusals(access.RefusalsConfig{Journal: w.Journal, Window: time.Hour})
	request := ask(w.civil, access.Query, "person")
	d := w.policy.Decide(request)
	if err := r.Refuse(t.Context(), request, d); err != nil {
		t.Fatal(err)
	}
	first := w.refused()
	if len(first) != 1 {
		t.Fatalf("%d entries before the answer", len(first))
	}
	e := first[0].GetRefused()
	if first[0].Actor != w.civil.Caller.System || e.Rule != "grant.required" || e.Topic != "person" || e.Provider != catalogtest.Security || e.Count != 1 || e.Action != "query" || e.Purpose != item {
		t.Errorf("entry %v", first[0])
	}
	var sealed []byte
	if err := w.DB.Reader().QueryRowContext(t.Context(), "SELECT body FROM sealed WHERE idx = $1", int64(first[0].Index)).Scan(&sealed); err != nil {
		t.Fatal(err)
	}
	opening, err := journal.OpenEntry(w.Identity.Keyring, w.Journal.Head().Origin, sealed)
	if err != nil {
		t.Fatal(err)
	}
	if c := verify.CommitText(verify.Person, 0, opening.Secret, "0231"); opening.Person != "0231" || !slices.Equal(c, e.PersonCommitment) {
		t.Error("the person is not committed to")
	}
	if c := verify.CommitText(verify.Case, 0, opening.Secret, "2026-17"); opening.CaseNumber != "2026-17" || !slices.Equal(c, e.CaseCommitment) {
		t.Error("the case is not committed to")
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 10 {
				if err := r.Refuse(t.Context(), request, d); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(w.refused()); n != 1 {
		t.Errorf("%d entries within the window", n)
	}
	r.Stop(t.Context())
	all := w.refused()
	if len(all) != 2 || all[1].GetRefused().Count != 200 {
		t.Errorf("after the stop %v", all)
	}
}

func TestAWindowEndsByItself(t *testing.T) {
	w := newWorld(t)
	r := access.NewRefusals(access.RefusalsConfig{Journal: w.Journal, Window: 50 * time.Millisecond})
	defer r.Stop(t.Context())
	request := ask(w.civil, access.Query, "person")
	d := w.policy.Decide(request)
	total := func() (n uint64) {
		for _, e := range w.refused() {
			n += e.GetRefused().Count
		}
		return n
	}
	for range 30 {
		if err := r.Refuse(t.Context(), request, d); err != nil {
			t.Fatal(err)
		}
	}
	catalogtest.Within(t, catalogtest.Patience, "all are in the ledger", func() bool { return total() == 30 })
}

func TestTenThousandDifferentRefusalsStayBounded(t *testing.T) {
	w := newWorld(t)
	r := access.NewRefusals(access.RefusalsConfig{Journal: w.Journal, Window: time.Hour})
	const different = 10_000
	var wg sync.WaitGroup
	const callers = 200
	for i := range callers {
		wg.Go(func() {
			for n := i; n < different; n += callers {
				d := access.Decision{Rule: fmt.Sprintf("rule.%d", n)}
				for range 2 {
					if err := r.Refuse(t.Context(), ask(w.civil, access.Query, "person"), d); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if n := r.Open(); n > 4096+callers {
		t.Errorf("%d windows are open", n)
	}
	r.Stop(t.Context())
	total := uint64(0)
	for _, e := range w.refused() {
		total += e.GetRefused().Count
	}
	if total != 2*different {
		t.Errorf("%d refusals in the ledger", total)
	}
}

func TestARefusalThatCannotBeWrittenIsAnError(t *testing.T) {
	w := newWorld(t)
	r := access.NewRefusals(access.RefusalsConfig{Journal: w.Journal})
	request := ask(w.civil, access.Query, "person")
	d := w.policy.Decide(request)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Refuse(gone, request, d); err == nil {
		t.Error("no error")
	}
	if err := r.Refuse(t.Context(), request, d); err != nil {
		t.Errorf("the next one: %v", err)
	}
	r.Stop(t.Context())
}

func TestTheLedgerHoldsNothingACallerMadeUp(t *testing.T) {
	w := newWorld(t)
	r := access.NewRefusals(access.RefusalsConfig{Journal: w.Journal})
	defer r.Stop(t.Context())
	for _, request := range []access.Request{
		ask(w.civil, access.Query, "11010519491231002X"),
		ask(w.civil, access.Query, "person", func(q *access.Request) { q.Purpose = "11010519491231002X" }),
		ask(w.civil, access.Query, "person", func(q *access.Request) { q.Purpose, q.Person = "张三", string([]byte{0xff, 'a'}) }),
	} {
		if err := r.Refuse(t.Context(), request, w.policy.Decide(request)); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range w.refused() {
		if m := e.GetRefused(); m.Purpose != "" && m.Purpose != item || m.Topic != "" && m.Topic != "person" {
			t.Errorf("entry %v", m)
		}
	}
}
