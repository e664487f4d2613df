package snapshot_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/intake/intaketest"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/snapshot"
	"github.com/huitong-bus/huitong/exchange/store"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

const topic = "people"

type bench struct {
	*catalogtest.Exchange
	intake   *intaketest.Intake
	config   snapshot.Config
	security *catalogtest.System
	civil    *catalogtest.System
}

func newBench(t *testing.T) *bench {
	b := &bench{Exchange: catalogtest.New(t)}
	b.intake = intaketest.Open(t, b.Exchange)
	b.config = snapshot.Config{DB: b.DB, Journal: b.Journal, Topics: b.Catalogue, Access: b.intake.Policy, Refusals: b.intake.Refused, Keys: b.Identity.Keyring}
	b.security = b.Enrol(catalogtest.Security, "residents")
	b.civil = b.Enrol(catalogtest.Civil, "subsidies")
	b.Topic(topic, catalogtest.Security, cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL)
	return b
}

func (b *bench) open(share int) *snapshot.Loads {
	b.config.Share = func() int { return share }
	l := snapshot.Open(b.config)
	b.T.Cleanup(l.Close)
	return l
}

// publish publishes people by their numbers.
func (b *bench) publish(from, to int) {
	b.T.Helper()
	for ; from < to; from += 500 {
		req := &exchangev1.PublishRequest{}
		for n := from; n < min(to, from+500); n++ {
			raw, err := proto.Marshal(&recordsv1.Person{IdType: "999", IdNumber: fmt.Sprint("N", n), Name: "王芳"})
			must(b.T, err)
			req.Records = append(req.Records, &exchangev1.Publication{Topic: topic, Content: &exchangev1.Publication_Protobuf{Protobuf: raw}})
		}
		b.send(req)
	}
}

func (b *bench) operate(op ledgerv1.Operation, n int) {
	b.T.Helper()
	b.send(&exchangev1.PublishRequest{Records: []*exchangev1.Publication{{Topic: topic, Operation: op, Key: fmt.Sprint("N", n), Reason: "登记有误"}}})
}

func (b *bench) send(req *exchangev1.PublishRequest) {
	b.T.Helper()
	resp, err := b.intake.Publish(b.T.Context(), b.security.Caller, req)
	if err != nil {
		b.T.Error(err)
		return
	}
	for _, r := range resp.Results {
		if r.GetProblem() != nil {
			b.T.Error(r.GetProblem())
		}
	}
}

func (b *bench) begin(l *snapshot.Loads) uint64 {
	b.T.Helper()
	r, err := l.Begin(b.T.Context(), b.security.Caller, &exchangev1.BeginSnapshotRequest{Topic: topic})
	must(b.T, err)
	return r.Receipt.Index
}

// check runs the whole check of the database and gives how many records have a
// status.
func (b *bench) check(status exchangev1.Status) (n int) {
	b.T.Helper()
	report, err := inspect.Check(b.T.Context(), b.DB, b.Identity.Keyring, inspect.CheckOptions{})
	must(b.T, err)
	if report.Wrong != nil {
		b.T.Fatal(report.Wrong)
	}
	must(b.T, b.DB.Reader().QueryRowContext(b.T.Context(), "SELECT count(*) FROM records WHERE status = $1", int64(status)).Scan(&n))
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantRule(t *testing.T, err error, kind fault.Kind, rule string) {
	t.Helper()
	if fault.KindOf(err) != kind || fault.RuleOf(err) != rule {
		t.Errorf("%v of %s, not %v of %s: %v", fault.KindOf(err), fault.RuleOf(err), kind, rule, err)
	}
}

// TestWhatAnEndRemoves: what is held and older than the begin, and nothing else.
func TestWhatAnEndRemoves(t *testing.T) {
	b := newBench(t)
	l := b.open(10)
	b.publish(0, 40)
	b.operate(ledgerv1.Operation_OPERATION_REVOKE, 0)  // ended: stays revoked
	b.operate(ledgerv1.Operation_OPERATION_REMOVE, 1)  // removed already
	b.operate(ledgerv1.Operation_OPERATION_ERASE, 2)   // is no record any more
	b.operate(ledgerv1.Operation_OPERATION_SUSPEND, 3) // held, not mentioned
	b.operate(ledgerv1.Operation_OPERATION_SUSPEND, 4)
	begun := b.begin(l)
	b.publish(6, 45)
	b.operate(ledgerv1.Operation_OPERATION_RESUME, 4) // mentions it
	// N3 and N5 were not mentioned; 37 of 40 are held, and five are new.
	end := &exchangev1.EndSnapshotRequest{Topic: topic, Begun: begun}
	dry := proto.CloneOf(end)
	dry.ValidateOnly = true
	r, err := l.End(t.Context(), b.security.Caller, dry)
	must(t, err)
	if s := r.Snapshot; s.Held != 42 || s.Unmentioned != 2 || s.State != exchangev1.SnapshotState_SNAPSHOT_STATE_UNDER_WAY || r.Receipt != nil {
		t.Fatal(r)
	}
	r, err = l.End(t.Context(), b.security.Caller, end)
	must(t, err)
	if s := r.Snapshot; s.Held != 42 || s.Unmentioned != 2 || s.Removed != 2 || s.State != exchangev1.SnapshotState_SNAPSHOT_STATE_ENDED {
		t.Fatal(r)
	}
	again, err := l.End(t.Context(), b.security.Caller, end)
	must(t, err)
	if !again.Receipt.Repeat || again.Receipt.Index != r.Receipt.Index || !proto.Equal(again.Snapshot, r.Snapshot) {
		t.Fatal(again)
	}
	if n := b.check(exchangev1.Status_STATUS_REMOVED); n != 3 {
		t.Errorf("%d records are removed", n)
	}
	if n := b.check(exchangev1.Status_STATUS_REVOKED); n != 1 {
		t.Errorf("%d records are revoked", n)
	}
}

// TestALargeShareIsAskedFor: more than the share goes only by the exact number.
func TestALargeShareIsAskedFor(t *testing.T) {
	b := newBench(t)
	l := b.open(10)
	b.publish(0, 30)
	begun := b.begin(l)
	b.publish(0, 26)
	_, err := l.End(t.Context(), b.security.Caller, &exchangev1.EndSnapshotRequest{Topic: topic, Begun: begun})
	wantRule(t, err, fault.Conflict, "snapshot.share")
	for _, n := range []uint64{0, 3, 5} {
		_, err := l.End(t.Context(), b.security.Caller, &exchangev1.EndSnapshotRequest{Topic: topic, Begun: begun, ConfirmRemoved: &n})
		wantRule(t, err, fault.Conflict, "snapshot.confirmed")
	}
	_, err = l.Begin(t.Context(), b.security.Caller, &exchangev1.BeginSnapshotRequest{Topic: topic})
	wantRule(t, err, fault.Conflict, "snapshot.under_way")
	r, err := l.End(t.Context(), b.security.Caller, &exchangev1.EndSnapshotRequest{Topic: topic, Begun: begun, ConfirmRemoved: proto.Uint64(4)})
	must(t, err)
	if r.Snapshot.Removed != 4 {
		t.Fatal(r)
	}
	b.check(exchangev1.Status_STATUS_REMOVED)
}

// TestEndsThatMakeNoSense: each is refused by name and leaves nothing.
func TestEndsThatMakeNoSense(t *testing.T) {
	b := newBench(t)
	l := b.open(100)
	b.publish(0, 3)
	end := func(by *catalogtest.System, change func(*exchangev1.EndSnapshotRequest)) error {
		r := &exchangev1.EndSnapshotRequest{Topic: topic}
		change(r)
		_, err := l.End(t.Context(), by.Caller, r)
		return err
	}
	wantRule(t, end(b.security, func(*exchangev1.EndSnapshotRequest) {}), fault.Invalid, "snapshot.unknown")
	begun := b.begin(l)
	before := b.Journal.Head().Size
	wantRule(t, end(b.security, func(r *exchangev1.EndSnapshotRequest) { r.Begun = begun - 1 }), fault.Invalid, "snapshot.unknown")
	wantRule(t, end(b.security, func(r *exchangev1.EndSnapshotRequest) { r.Begun, r.Topic = begun, "nothing" }), fault.NotFound, "topic.unknown")
	for name, statement := range map[string][]byte{
		"to abandon":   verify.SnapshotStatement(b.Journal.Head().Origin, b.security.Caller.System, topic, begun, true),
		"other load":   verify.SnapshotStatement(b.Journal.Head().Origin, b.security.Caller.System, topic, begun-1, false),
		"other ledger": verify.SnapshotStatement("elsewhere", b.security.Caller.System, topic, begun, false),
	} {
		signature, err := verify.Sign(b.security.Key, statement)
		must(t, err)
		t.Log(name)
		wantRule(t, end(b.security, func(r *exchangev1.EndSnapshotRequest) { r.Begun, r.Signature = begun, signature }), fault.Invalid, "signature.wrong")
	}
	if size := b.Journal.Head().Size; size != before {
		t.Errorf("%d entries were made", size-before)
	}
	wantRule(t, end(b.civil, func(r *exchangev1.EndSnapshotRequest) { r.Begun = begun }), fault.Denied, "topic.owner")
	if size := b.Journal.Head().Size; size != before+1 {
		t.Errorf("%d entries were made by a refusal", size-before)
	}
	must(t, end(b.security, func(r *exchangev1.EndSnapshotRequest) { r.Begun, r.Abandon = begun, true }))
	wantRule(t, end(b.security, func(r *exchangev1.EndSnapshotRequest) { r.Begun = begun }), fault.Conflict, "snapshot.ended")
	if n := b.check(exchangev1.Status_STATUS_REMOVED); n != 0 {
		t.Errorf("%d records are removed", n)
	}
}

// TestPublishedDuringTheEnd: a record that is published while removals are made
// is held in the end, whichever came first.
func TestPublishedDuringTheEnd(t *testing.T) {
	b := newBench(t)
	l := b.open(100)
	const n = 2000
	b.publish(0, n)
	begun := b.begin(l)
	var publishing sync.WaitGroup
	for part := range 4 {
		publishing.Go(func() {
			for at := part * n / 4; at < (part+1)*n/4; at += 50 {
				b.publish(at, at+50)
			}
		})
	}
	r, err := l.End(t.Context(), b.security.Caller, &exchangev1.EndSnapshotRequest{Topic: topic, Begun: begun})
	must(t, err)
	publishing.Wait()
	t.Logf("%d of %d removed, and published again", r.Snapshot.Removed, r.Snapshot.Unmentioned)
	if held := b.check(exchangev1.Status_STATUS_ACTIVE); held != n {
		t.Errorf("%d of %d records are held", held, n)
	}
}

// TestAnEndThatWasCutOff: whatever was left undone is done by whoever opens, once.
func TestAnEndThatWasCutOff(t *testing.T) {
	b := newBench(t)
	l := b.open(100)
	const n = 1700
	b.publish(0, n)
	begun := b.begin(l)
	b.publish(0, 10)
	// The end is committed, and one batch; then the database refuses.
	var commits atomic.Int64
	broken := errors.New("the disk is full")
	b.DB.Journal.Fail(store.Faults{BeforeCommit: func() error {
		if commits.Add(1) > 2 {
			return broken
		}
		return nil
	}})
	_, err := l.End(t.Context(), b.security.Caller, &exchangev1.EndSnapshotRequest{Topic: topic, Begun: begun})
	if err == nil {
		t.Fatal("the end was answered")
	}
	l.Close()
	b.DB.Journal.Fail(store.Faults{})
	if some := b.check(exchangev1.Status_STATUS_REMOVED); some == 0 || some == n-10 {
		t.Fatalf("%d are removed by now", some)
	}
	l = b.open(100)
	catalogtest.Within(t, catalogtest.Patience, "the end is finished", func() bool {
		s, err := l.Get(t.Context(), b.security.Caller, topic)
		must(t, err)
		return s.State == exchangev1.SnapshotState_SNAPSHOT_STATE_ENDED && s.Removed == n-10
	})
	if some := b.check(exchangev1.Status_STATUS_REMOVED); some != n-10 {
		t.Fatalf("%d are removed in the end", some)
	}
	b.begin(l)
}
