package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	. "github.com/huitong-bus/huitong/exchange/journal/journaltest"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const topic = "security.person"

// present reads the present version of a record.
func present(t *testing.T, l *Ledger, r *journal.Record) *journal.Present {
	t.Helper()
	found, err := journal.PresentOf(t.Context(), l.DB.Journal, l.DB.Reader(), journal.Number(r.Leaf.Topic), [][]byte{r.KeyToken})
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := found[string(r.KeyToken)]; ok {
		return &p
	}
	return nil
}

func refused(t *testing.T, o journal.Outcome, kind fault.Kind, rule string) {
	t.Helper()
	if fault.KindOf(o.Err) != kind || fault.RuleOf(o.Err) != rule {
		t.Fatalf("got %v; wanted %v of rule %s", o.Err, kind, rule)
	}
}

func TestEveryReceiptProvesItself(t *testing.T) {
	l := New(t, 3)
	l.Audit()
	for n := range 40 {
		var records []*journal.Record
		for i := range n % 7 {
			records = append(records, l.Put(fmt.Sprintf("topic.%d", i%4), fmt.Sprintf("%d-%d", n, i), "甲"))
		}
		if len(records) == 0 {
			continue
		}
		commit := l.Publish(records...)
		for i, o := range commit.Records {
			if o.Err != nil || o.Repeat || o.Index != commit.Index+uint64(i) || !bytes.Equal(o.Leaf, commit.Leaves[i]) {
				t.Fatalf("record %d: %+v", i, o)
			}
		}
		if size := l.Audit(); size != l.Journal.Head().Size {
			t.Fatalf("%d entries, the head knows %d", size, l.Journal.Head().Size)
		}
	}
}

// TestRetryAfterALaterVersion: version 1 is committed but its answer is lost,
// version 2 follows, and version 1 is sent again. Version 2 stays current and
// nothing is written, so nobody is told anything.
func TestRetryAfterALaterVersion(t *testing.T) {
	l := New(t, 1)
	first := l.Put(topic, "a", "1", Idempotent("first"))
	one := l.One(first)
	two := l.One(l.Put(topic, "a", "2", Idempotent("second")))
	size := l.Journal.Head().Size
	for range 3 {
		// A client that made its call anew sends other salts, so another record.
		again := l.One(l.Put(topic, "a", "1", Idempotent("first")))
		if !again.Repeat || again.Index != one.Index || again.At != one.At || !bytes.Equal(again.Leaf, one.Leaf) {
			t.Fatalf("first %+v, again %+v", one, again)
		}
		if p := present(t, l, first); p.Index != two.Index || p.Version != 2 {
			t.Fatalf("%+v", p)
		}
		if l.Audit() != size {
			t.Fatal("the retry wrote something")
		}
	}
	// A key is of its system: another's is none of its business.
	other, err := l.Journal.Submit(t.Context(), CallOf("11999900MB00000353/register", l.Put(topic, "b", "1", Idempotent("first"))))
	if err != nil || other.Records[0].Repeat {
		t.Fatal(err, other.Records[0])
	}
	l.Audit()
}

func TestRepeatIsRecognisedBeforePreconditions(t *testing.T) {
	l := New(t, 1)
	one := l.One(l.Put(topic, "a", "1", Idempotent("1"), IfNone(), Source(7)))
	l.One(l.Put(topic, "a", "2", Source(8)))
	if again := l.One(l.Put(topic, "a", "1", Idempotent("1"), IfNone(), Source(7))); !again.Repeat || again.Index != one.Index {
		t.Fatalf("%+v", again)
	}
}

func TestDuplicateKeyInOneCall(t *testing.T) {
	l := New(t, 1)
	commit := l.Publish(l.Put(topic, "a", "1", Idempotent("x")), l.Put(topic, "b", "1", Idempotent("x")), l.Put(topic, "c", "1"))
	refused(t, commit.Records[1], fault.Invalid, "idempotency_key.duplicate")
	if commit.Records[0].Err != nil || commit.Records[2].Err != nil || len(commit.Leaves) != 2 {
		t.Fatalf("%+v", commit.Records)
	}
	if l.Audit() != 2 {
		t.Fatal("not two entries")
	}
	omitted(t, commit.Leaves[0], 1)
}

// omitted checks that the first leaf of a call names the statements that made no
// entry, so that the call's signature can still be checked.
func omitted(t *testing.T, leaf []byte, positions ...uint32) {
	t.Helper()
	var e ledgerv1.LedgerEntry
	if err := proto.Unmarshal(leaf, &e); err != nil {
		t.Fatal(err)
	}
	got := e.GetPublished().GetCall().GetOmitted()
	if len(got) != len(positions) {
		t.Fatalf("%d omitted, not %v", len(got), positions)
	}
	for i, o := range got {
		if o.Position != positions[i] || len(o.LeafHash) != verify.HashSize {
			t.Fatalf("omitted %v", o)
		}
	}
}

func TestSourceVersionsAndPreconditions(t *testing.T) {
	l := New(t, 1)
	one := l.One(l.Put(topic, "a", "1", Source(10)))
	stale := l.Publish(l.Put(topic, "a", "0", Source(10)), l.Put(topic, "a", "0", Source(9)), l.Put(topic, "a", "2", Source(11)))
	refused(t, stale.Records[0], fault.Stale, "source_version")
	refused(t, stale.Records[1], fault.Stale, "source_version")
	two := stale.Records[2]
	if two.Err != nil || two.Index != one.Index+1 {
		t.Fatalf("%+v", two)
	}
	omitted(t, stale.Leaves[0], 0, 1)
	l.One(l.Put(topic, "a", "3")) // no source version: not stale, and does not reset
	refused(t, l.Publish(l.Put(topic, "a", "0", Source(11))).Records[0], fault.Stale, "source_version")
	refused(t, l.Publish(l.Put(topic, "a", "4", If(two.Index))).Records[0], fault.Conflict, "if_index")
	refused(t, l.Publish(l.Put(topic, "a", "4", IfNone())).Records[0], fault.Conflict, "if_index")
	refused(t, l.Publish(l.Put(topic, "b", "4", If(1))).Records[0], fault.Conflict, "if_index")
	three := l.One(l.Put(topic, "a", "4", If(two.Index+1))) // that of source version 0
	// Within one call the second stands on the first.
	chain := l.Publish(l.Put(topic, "a", "5", If(three.Index)), l.Put(topic, "a", "6", If(three.Index+1)), l.Put(topic, "c", "1", IfNone()), l.Put(topic, "c", "2", IfNone()))
	for i, o := range chain.Records[:3] {
		if o.Err != nil {
			t.Fatal(i, o.Err)
		}
	}
	refused(t, chain.Records[3], fault.Conflict, "if_index")
	l.Audit()
}

func TestOperationsAndStatuses(t *testing.T) {
	const (
		put, remove, suspend, resume = ledgerv1.Operation_OPERATION_PUT, ledgerv1.Operation_OPERATION_REMOVE, ledgerv1.Operation_OPERATION_SUSPEND, ledgerv1.Operation_OPERATION_RESUME
		revoke, cancel, supersede    = ledgerv1.Operation_OPERATION_REVOKE, ledgerv1.Operation_OPERATION_CANCEL, ledgerv1.Operation_OPERATION_SUPERSEDE
		erase                        = ledgerv1.Operation_OPERATION_ERASE
		active, removed, suspended   = exchangev1.Status_STATUS_ACTIVE, exchangev1.Status_STATUS_REMOVED, exchangev1.Status_STATUS_SUSPENDED
		revoked, cancelled           = exchangev1.Status_STATUS_REVOKED, exchangev1.Status_STATUS_CANCELLED
		superseded, none             = exchangev1.Status_STATUS_SUPERSEDED, exchangev1.Status_STATUS_UNSPECIFIED
	)
	l := New(t, 1)
	for _, c := range []struct {
		name   string
		before []ledgerv1.Operation
		op     ledgerv1.Operation
		status exchangev1.Status
		rule   string
	}{
		{"new", nil, put, active, ""},
		{"again", []ledgerv1.Operation{put}, put, active, ""},
		{"remove", []ledgerv1.Operation{put}, remove, removed, ""},
		{"remove twice", []ledgerv1.Operation{put, remove}, remove, removed, "record.status"},
		{"back after removal", []ledgerv1.Operation{put, remove}, put, active, ""},
		{"suspend", []ledgerv1.Operation{put}, suspend, suspended, ""},
		{"suspend twice", []ledgerv1.Operation{put, suspend}, suspend, suspended, "record.status"},
		{"resume", []ledgerv1.Operation{put, suspend}, resume, active, ""},
		{"resume what is active", []ledgerv1.Operation{put}, resume, active, "record.status"},
		{"revoke", []ledgerv1.Operation{put}, revoke, revoked, ""},
		{"revoke what is suspended", []ledgerv1.Operation{put, suspend}, revoke, revoked, ""},
		{"resume what is revoked", []ledgerv1.Operation{put, revoke}, resume, revoked, "record.status"},
		{"content for what is revoked", []ledgerv1.Operation{put, revoke}, put, revoked, "record.ended"},
		{"cancel", []ledgerv1.Operation{put}, cancel, cancelled, ""},
		{"content for what is cancelled", []ledgerv1.Operation{put, cancel}, put, cancelled, "record.ended"},
		{"supersede", []ledgerv1.Operation{put}, supersede, superseded, ""},
		{"content for what is superseded", []ledgerv1.Operation{put, supersede}, put, superseded, "record.ended"},
		{"remove what is revoked", []ledgerv1.Operation{put, revoke}, remove, removed, ""},
		{"suspend what is unknown", nil, suspend, none, "record.unknown"},
		{"erase what is unknown", nil, erase, none, "record.unknown"},
		{"erase", []ledgerv1.Operation{put, put}, erase, none, ""},
		{"new after erasure", []ledgerv1.Operation{put, erase}, put, active, ""},
		{"revoke after erasure", []ledgerv1.Operation{put, erase}, revoke, none, "record.unknown"},
		{"no such operation", []ledgerv1.Operation{put}, 99, active, "operation.unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// One by one, then all in one call: that gives the same.
			one, all := c.name, c.name+" in one call"
			var records []*journal.Record
			for _, op := range c.before {
				l.One(l.Record(topic, one, op, "x"))
				records = append(records, l.Record(topic, all, op, "x"))
			}
			last := l.Record(topic, one, c.op, "x")
			records = append(records, l.Record(topic, all, c.op, "x"))
			outcomes := append(l.Publish(last).Records, l.Publish(records...).Records...)
			for _, o := range []journal.Outcome{outcomes[0], outcomes[len(outcomes)-1]} {
				if got := fault.RuleOf(o.Err); got != c.rule {
					t.Fatalf("got %v, wanted rule %q", o.Err, c.rule)
				}
			}
			for _, r := range []*journal.Record{last, records[0]} {
				if p := present(t, l, r); c.status == none && p != nil || c.status != none && (p == nil || p.Status != c.status) {
					t.Fatalf("present %+v, wanted %v", p, c.status)
				}
			}
			l.Audit()
		})
	}
}

func TestEraseClearsAllVersions(t *testing.T) {
	l := New(t, 2)
	erase := ledgerv1.Operation_OPERATION_ERASE
	var indexes []uint64
	for i := range 5 {
		indexes = append(indexes, l.One(l.Put(topic, "a", fmt.Sprint(i))).Index)
		l.One(l.Put(topic, "b", "stays"))
	}
	gone := l.One(l.Record(topic, "a", erase, ""))
	l.Audit()
	for _, i := range indexes {
		row, err := journal.ByIndex(t.Context(), l.DB.Reader(), i)
		if err != nil || row.Body != nil || row.KeyToken != nil {
			t.Fatalf("entry %d: %v, %+v", i, err, row)
		}
	}
	// The erasure has an entry of its own beside the operation's.
	var leaf []byte
	if err := l.DB.Reader().QueryRowContext(t.Context(), "SELECT leaf FROM ledger WHERE idx = $1", int64(gone.Index)+1).Scan(&leaf); err != nil {
		t.Fatal(err)
	}
	var e ledgerv1.LedgerEntry
	if err := proto.Unmarshal(leaf, &e); err != nil || e.GetErased().GetRequestedBy() != gone.Index || e.GetErased().GetVersions() != 6 {
		t.Fatal(err, &e)
	}
	// A record of that key is a new one, and its erasure reaches no further back.
	again := l.One(l.Put(topic, "a", "anew"))
	if p := present(t, l, l.Put(topic, "a", "")); p.Index != again.Index || p.Version != 1 {
		t.Fatalf("%+v", p)
	}
	// Everything in one call: erased, made anew, erased, made anew.
	all := l.Publish(l.Record(topic, "a", erase, ""), l.Put(topic, "a", "1"), l.Record(topic, "a", erase, ""), l.Put(topic, "a", "2"))
	for i, o := range all.Records {
		if o.Err != nil {
			t.Fatal(i, o.Err)
		}
	}
	if p := present(t, l, l.Put(topic, "a", "")); p.Index != all.Records[3].Index || p.Version != 1 {
		t.Fatalf("%+v", p)
	}
	l.Audit()
}

func TestSourcePositions(t *testing.T) {
	l := New(t, 1)
	at := func(source string, position []byte, records ...*journal.Record) {
		t.Helper()
		c := Call(records...)
		c.Publish.Position = &exchangev1.SourcePosition{Source: source, Position: position}
		if _, err := l.Journal.Submit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	read := func(system, source string) []byte {
		t.Helper()
		p, _, err := journal.LastPosition(t.Context(), l.DB.Reader(), system, source)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if read(Provider, "a.csv") != nil {
		t.Fatal("a position that nobody gave")
	}
	at("a.csv", []byte("row 1"), l.Put(topic, "a", "1"))
	at("b.csv", []byte("row 9"))
	at("a.csv", []byte("row 2"), l.Put(topic, "a", "2"))
	if string(read(Provider, "a.csv")) != "row 2" || string(read(Provider, "b.csv")) != "row 9" || read("other/system", "a.csv") != nil {
		t.Fatal("positions got mixed up")
	}
	at("b.csv", nil)
	if p := read(Provider, "b.csv"); len(p) != 0 {
		t.Fatalf("position %q", p)
	}
	l.Audit()
}

func TestOrderOfOneCaller(t *testing.T) {
	l := New(t, 2)
	const callers, each = 8, 60
	var done sync.WaitGroup
	for c := range callers {
		done.Go(func() {
			var calls []*journal.Pending
			for n := range each {
				p, err := l.Journal.Begin(t.Context(), CallOf(fmt.Sprintf("%s-%d", Provider, c), l.Put(topic, fmt.Sprint("r", c), fmt.Sprint(n))))
				if err != nil {
					t.Error(err)
					return
				}
				calls = append(calls, p)
			}
			last := uint64(0)
			for n, p := range calls {
				commit, err := p.Wait(t.Context())
				if err != nil || commit.Records[0].Err != nil || n > 0 && commit.Index <= last {
					t.Errorf("caller %d, call %d: %v, index %d after %d", c, n, err, commit.Index, last)
					return
				}
				l.CheckProof(commit)
				last = commit.Index
			}
		})
	}
	done.Wait()
	if l.Audit() != callers*each {
		t.Fatal("entries are missing")
	}
	for c := range callers {
		if p := present(t, l, l.Put(topic, fmt.Sprint("r", c), "")); p.Version != each {
			t.Fatalf("caller %d: %+v", c, p)
		}
	}
}

func TestClockGoingBackwards(t *testing.T) {
	l := New(t, 1)
	one := l.One(l.Put(topic, "a", "1"))
	l.Move(-48 * time.Hour)
	many := l.Publish(l.Put(topic, "a", "2"), l.Put(topic, "b", "1"), l.Put(topic, "c", "1"))
	for i, o := range many.Records {
		if o.At != one.At+int64(i)+1 {
			t.Fatalf("record %d at %d; the first was at %d", i, o.At, one.At)
		}
	}
	l.Move(96 * time.Hour)
	if o := l.One(l.Put(topic, "a", "3")); o.At < one.At+int64(47*time.Hour/time.Microsecond) {
		t.Fatal("the clock's time is not taken")
	}
	l.Audit()
}

func TestAFullTileAndMore(t *testing.T) {
	l := New(t, 1)
	for n := 0; n < 700; n += 233 {
		var records []*journal.Record
		for i := range 233 {
			records = append(records, l.Put(topic, fmt.Sprint(i), fmt.Sprint(n)))
		}
		l.Publish(records...)
		l.Audit()
	}
}

func TestEndOfContext(t *testing.T) {
	l := New(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	p, err := l.Journal.Begin(ctx, Call(l.Put(topic, "a", "1", Idempotent("k"))))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := p.Wait(ctx); err != nil && fault.KindOf(err) != fault.Canceled || errors.Is(err, journal.ErrPolicyMoved) {
		t.Fatal(err)
	}
	// It may have been committed: the retry tells.
	l.One(l.Put(topic, "a", "1", Idempotent("k")))
	if l.Audit() != 1 {
		t.Fatal("not one entry")
	}
}
