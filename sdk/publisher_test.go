package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// publishAll publishes each record from a goroutine of its own.
func publishAll(t *testing.T, p *sdk.Publisher, records []*recordsv1.Marriage) []*sdk.Receipt {
	t.Helper()
	receipts := make([]*sdk.Receipt, len(records))
	var wg sync.WaitGroup
	for i, r := range records {
		wg.Go(func() {
			var err error
			if receipts[i], err = p.Publish(soon(t), marriages, r); err != nil {
				t.Errorf("record %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return receipts
}

func closePublisher(t *testing.T, p *sdk.Publisher) {
	t.Helper()
	if err := p.Close(soon(t)); err != nil {
		t.Error(err)
	}
}

// TestConcurrentCallersShareCalls: what many goroutines publish at once travels
// in a few calls, each under one signature.
func TestConcurrentCallersShareCalls(t *testing.T) {
	x := open(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	p := civil.Publisher(sdk.PublisherConfig{})
	defer closePublisher(t, p)
	const n = 600
	publishAll(t, p, some(n))
	calls := 0
	for _, e := range published(t, x) {
		if c := e.GetCall(); c.GetBack() == 0 {
			calls++
			if len(c.GetSignature()) == 0 {
				t.Error("a call is not signed")
			}
		}
	}
	if calls == 0 || calls > n/4 {
		t.Errorf("%d records came in %d calls", n, calls)
	}
}

// TestFullQueueBlocks: while the exchange does not answer, publishing waits for
// room, and gives up with its context; nothing given up was sent.
func TestFullQueueBlocks(t *testing.T) {
	x := open(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	const room = 8
	p := civil.Publisher(sdk.PublisherConfig{QueueRecords: room, CallRecords: 2, CallsInFlight: 1})
	defer closePublisher(t, p)
	records := some(room + 1)
	release := make(chan struct{})
	x.Node.DB.Journal.Fail(store.Faults{BeforeCommit: func() error { <-release; return nil }})
	var pending []*sdk.Pending
	for _, r := range records[:room] {
		w, err := p.PublishAsync(soon(t), sdk.Publication{Topic: marriages, Message: r})
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, w)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := p.PublishAsync(short, sdk.Publication{Topic: marriages, Message: records[room]})
	if !errors.Is(err, &fault.Error{Kind: fault.Timeout, Rule: "sdk.queue"}) || errors.Is(err, sdk.ErrUnanswered) {
		t.Errorf("a full queue answered %v", err)
	}
	close(release)
	for _, w := range pending {
		if _, err := w.Wait(soon(t)); err != nil {
			t.Error(err)
		}
	}
	if n := len(published(t, x)); n != room {
		t.Errorf("%d records were committed, not %d", n, room)
	}
}

// TestNothingIsLostOrDoubledOverRestarts: the exchange stops and starts again
// twice while 16 goroutines publish; each record is committed once.
func TestNothingIsLostOrDoubledOverRestarts(t *testing.T) {
	for name, config := range map[string]sdk.PublisherConfig{"stream": {}, "unary": {CallUnary: true}} {
		t.Run(name, func(t *testing.T) { overRestarts(t, config) })
	}
}

func overRestarts(t *testing.T, config sdk.PublisherConfig) {
	dir, database := t.TempDir(), storetest.URL(t)
	x, err := nodetest.Open(t.Context(), dir, node.Config{Database: database})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	list(t, x, topic(marriages, "Marriage"))
	civil := x.Join(t, sample.CivilAffairs, "registry")
	p := civil.Publisher(config)
	defer closePublisher(t, p)
	records := some(1200)
	var next, done atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(records); i = next.Add(1) - 1 {
				r, err := p.Publish(soon(t), marriages, records[i])
				if err == nil && !r.Repeat {
					err = r.Verify(civil.LedgerKey())
				}
				if err != nil {
					t.Errorf("record %d: %v", i, err)
					return
				}
				done.Add(1)
			}
		})
	}
	for _, at := range []int64{200, 700} {
		await(t, fmt.Sprintf("%d records are published", at), func() bool { return t.Failed() || done.Load() >= at })
		address := x.Node.Address()
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := nodetest.Reopen(t.Context(), dir, node.Config{Listen: address, Database: database})
		if err != nil {
			t.Fatal(err)
		}
		x = again
	}
	wg.Wait()
	keys := map[string]int{}
	for _, e := range published(t, x) {
		keys[string(e.GetIdempotencyKey())]++
	}
	if len(keys) != len(records) {
		t.Errorf("%d publications are in the ledger, not %d", len(keys), len(records))
	}
	for key, n := range keys {
		if n != 1 {
			t.Errorf("publication %x is %d entries", key, n)
		}
	}
}

// TestPublisherResumesFromItsSource: what was given as source position is read
// back after a restart of the publisher, and stands for everything before it.
func TestPublisherResumesFromItsSource(t *testing.T) {
	x := open(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	if _, found, err := civil.LastPosition(soon(t), "registry.csv"); err != nil || found {
		t.Fatalf("found %v, %v", found, err)
	}
	records := some(40)
	// The first run breaks off after 25 lines.
	publishLines(t, civil, records, 0, 25)
	position, found, err := civil.LastPosition(soon(t), "registry.csv")
	if err != nil || !found || string(position) != "25" {
		t.Fatalf("position %q, found %v, %v", position, found, err)
	}
	publishLines(t, civil, records, 25, len(records))
	if n := len(published(t, x)); n != len(records) {
		t.Errorf("%d publications, not %d", n, len(records))
	}
	if _, found, err := civil.LastPosition(soon(t), "another"); err != nil || found {
		t.Errorf("another source: %v, %v", found, err)
	}
}

func publishLines(t *testing.T, c *sdk.Client, records []*recordsv1.Marriage, from, until int) {
	t.Helper()
	p := c.Publisher(sdk.PublisherConfig{})
	defer closePublisher(t, p)
	for from < until {
		n := min(10, until-from)
		pubs := make([]sdk.Publication, n)
		for i := range pubs {
			pubs[i] = sdk.Publication{Topic: marriages, Message: records[from+i]}
		}
		from += n
		results, err := p.PublishBatch(soon(t), pubs, sdk.WithSourcePosition("registry.csv", fmt.Append(nil, from)))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
}

// TestOneBadRecordOfABatch: it alone is refused, with field and rule, and the
// call's signature holds for the others.
func TestOneBadRecordOfABatch(t *testing.T) {
	x := open(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	p := civil.Publisher(sdk.PublisherConfig{})
	defer closePublisher(t, p)
	batch := some(5)
	batch[2] = proto.CloneOf(batch[2])
	batch[2].PartyANumber = "999999199001010017"
	results, err := sdk.For[*recordsv1.Marriage](p, marriages).PublishBatch(soon(t), batch)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if i == 2 {
			var f *fault.Error
			if !errors.As(r.Err, &f) || f.Kind != fault.Invalid || f.Rule != "identifier.resident_id" || f.Violations[0].Field != "party_a_number" {
				t.Errorf("the bad record: %v", r.Err)
			}
			continue
		}
		if r.Err != nil {
			t.Errorf("record %d: %v", i, r.Err)
		} else if err := r.Receipt.Verify(civil.LedgerKey()); err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
}

// TestWarningsComeWithTheReceipt: a certificate identifier with a wrong check
// character is taken and warned of; so is it when nothing is written.
func TestWarningsComeWithTheReceipt(t *testing.T) {
	x := nodetest.Start(t)
	list(t, x, topic("certificate", "Certificate"))
	civil := x.Join(t, sample.CivilAffairs, "registry")
	p := civil.Publisher(sdk.PublisherConfig{})
	defer closePublisher(t, p)
	c := proto.CloneOf(sample.NewCity(2, 40).Certificates()[0])
	c.Identifier = c.Identifier[:len(c.Identifier)-1] + "*"
	for i, check := range []string{"Q", "R"} {
		c.Identifier = c.Identifier[:len(c.Identifier)-1] + check
		dry, err := p.Validate(soon(t), []sdk.Publication{{Topic: "certificate", Message: c}})
		if err != nil || dry[0].Err != nil {
			t.Fatal(err, dry[0].Err)
		}
		receipt, err := p.Publish(soon(t), "certificate", c)
		if err != nil {
			t.Fatal(err)
		}
		if len(dry[0].Receipt.Warnings) != len(receipt.Warnings) {
			t.Errorf("warned of %v before and of %v after", dry[0].Receipt.Warnings, receipt.Warnings)
		}
		if len(receipt.Warnings) == 0 && i == 0 {
			continue // by chance the right one
		}
		if len(receipt.Warnings) != 1 || receipt.Warnings[0].Field != "identifier" || receipt.Warnings[0].Rule != "identifier.certificate_id" {
			t.Errorf("warnings: %v", receipt.Warnings)
		}
	}
	if n := len(published(t, x)); n != 2 {
		t.Errorf("%d publications, not 2", n)
	}
}

// TestVersionsAndPreconditions: repeats change nothing, stale versions and
// preconditions that do not hold are refused.
func TestVersionsAndPreconditions(t *testing.T) {
	x := open(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	p := civil.Publisher(sdk.PublisherConfig{})
	defer closePublisher(t, p)
	m, key := some(1)[0], sdk.NewIdempotencyKey()
	first, err := p.Publish(soon(t), marriages, m, sdk.WithIdempotencyKey(key), sdk.WithSourceVersion(5), sdk.WithIfNew())
	if err != nil {
		t.Fatal(err)
	}
	later, err := p.Publish(soon(t), marriages, m, sdk.WithSourceVersion(6), sdk.WithIfIndex(first.Index))
	if err != nil {
		t.Fatal(err)
	}
	// The first, whose answer is lost, is sent again: the later stays current.
	again, err := p.Publish(soon(t), marriages, m, sdk.WithIdempotencyKey(key), sdk.WithSourceVersion(5), sdk.WithIfNew())
	if err != nil || !again.Repeat || again.Index != first.Index {
		t.Fatalf("a repeat: %+v, %v", again, err)
	}
	for name, c := range map[string]struct {
		opt  sdk.PublishOption
		kind fault.Kind
	}{
		"stale":    {sdk.WithSourceVersion(6), fault.Stale},
		"not new":  {sdk.WithIfNew(), fault.Conflict},
		"replaced": {sdk.WithIfIndex(first.Index), fault.Conflict},
	} {
		if _, err := p.Publish(soon(t), marriages, m, c.opt); fault.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.Publish(soon(t), marriages, m, sdk.WithSourceVersion(7), sdk.WithIfIndex(later.Index)); err != nil {
		t.Error(err)
	}
}
