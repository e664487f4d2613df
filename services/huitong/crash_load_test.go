package main_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

const publishers = 4

// load publishes and receives while exchanges die.
type load struct {
	t      *testing.T
	hall   *sdk.Client
	sub    *sdk.Subscription
	events chan struct{}
	// bound is a floor that the exchange had confirmed before it was killed
	// last.
	bound atomic.Uint64

	publishing sync.WaitGroup
	enough     chan struct{}

	mu         sync.Mutex
	receipts   []*sdk.Receipt
	deliveries []delivery
	failed     map[uint64]bool
}

type delivery struct {
	sequence, index uint64
	release         *sdk.Receipt
}

func (c *city) load() *load {
	t := c.t
	t.Helper()
	ctx := t.Context()
	a, err := authority.Connect(ctx, c.dir, c.processes[0].address, "")
	must(t, err)
	defer a.Close()
	police, err := join(ctx, a, sample.PublicSecurity)
	must(t, err)
	hall, err := join(ctx, a, sample.ServiceHall)
	must(t, err)
	must(t, a.CreateTopic(ctx, &cataloguev1.Topic{
		Name: "person", Title: "人口", Provider: sample.PublicSecurity.Code, Contract: "huitong.records.v1.Person",
		SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "补贴审核",
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
	}))
	_, err = a.CreateGrant(ctx, &accessv1.Grant{
		Topic: "person", Consumer: sample.ServiceHall.Code, Basis: "办法第五条", Scenario: "补贴审核", Fields: []string{"id_number", "name", "telephone"},
		StandingPurpose: "SUBSIDY-01", StandingLegalBasis: "办法第五条",
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
	})
	must(t, err)
	l := &load{t: t, events: make(chan struct{}, 1<<20), enough: make(chan struct{}), failed: map[uint64]bool{}}
	l.hall = c.connect(hall, len(c.processes)-1)
	l.within("the subscription is created", func() bool {
		_, err = l.hall.EnsureSubscription(ctx, sdk.NewSubscription{
			Name: "people", Topic: "person", Start: sdk.FromAll(), Lanes: 2, MaxAttempts: 100,
			Backoff: 10 * time.Millisecond, MaxBackoff: 50 * time.Millisecond, AckWait: 5 * time.Second,
		})
		// Another process hears of the topic and of the grant within a second.
		return fault.KindOf(err) != fault.NotFound && fault.RuleOf(err) != "grant.required"
	})
	must(t, err)
	l.sub, err = l.hall.Subscribe(ctx, "people", l.handle)
	must(t, err)
	people := sample.NewCity(7, 300).Persons()
	for n := range publishers {
		client := c.connect(police, n%len(c.processes))
		p := client.Publisher(sdk.PublisherConfig{CallUnary: n == 0})
		l.publishing.Go(func() { l.publish(p, n, people) })
	}
	return l
}

// join registers a department and certifies a system of it.
func join(ctx context.Context, a *authority.Authority, d sample.Department) (*sdk.Config, error) {
	if err := a.Register(ctx, &cataloguev1.Participant{Code: d.Code, Name: d.Name, Region: sample.Region}); err != nil {
		return nil, err
	}
	return a.Certify(ctx, &cataloguev1.System{
		Participant: d.Code, Name: "crash", Title: d.Name, Roles: []cataloguev1.Role{cataloguev1.Role_ROLE_DEPARTMENT},
	})
}

// connect connects to one of the processes, once that has heard of the
// certificate.
func (c *city) connect(config *sdk.Config, process int) *sdk.Client {
	c.t.Helper()
	to := *config
	to.Address = c.processes[process].address
	var client *sdk.Client
	var err error
	for deadline := time.Now().Add(patience); ; <-time.After(20 * time.Millisecond) {
		client, err = sdk.Connect(c.t.Context(), to)
		if err == nil || fault.KindOf(err) != fault.Unauthenticated || time.Now().After(deadline) {
			break
		}
	}
	must(c.t, err)
	c.t.Cleanup(func() { client.Close() })
	return client
}

// publish publishes versions of its own people until there are enough, each when
// the one before has its receipt, but for short runs all at once.
func (l *load) publish(p *sdk.Publisher, n int, people []*recordsv1.Person) {
	defer p.Close(context.Background())
	ctx := l.t.Context()
	for i := 0; ; i++ {
		select {
		case <-l.enough:
			return
		default:
		}
		var runs sync.WaitGroup
		for j := range 1 + 7*(i%3/2) {
			m := proto.CloneOf(people[(n+publishers*(8*i+j))%len(people)/publishers*publishers+n])
			m.Telephone = "138" + strconv.Itoa(10_000_000+i)
			runs.Go(func() {
				r, err := p.Publish(ctx, "person", m)
				if err != nil {
					l.t.Errorf("publisher %d: %v", n, err)
					return
				}
				l.mu.Lock()
				l.receipts = append(l.receipts, r)
				l.mu.Unlock()
				l.event()
			})
		}
		runs.Wait()
		if l.t.Failed() {
			return
		}
	}
}

var errOnce = errors.New("once more, please")

// handle takes a delivery; now and then it wants one a second time.
func (l *load) handle(_ context.Context, d *sdk.Delivery) error {
	if bound := l.bound.Load(); d.Sequence <= bound {
		l.t.Errorf("sequence %d is delivered, though all up to %d was settled before the last crash", d.Sequence, bound)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deliveries = append(l.deliveries, delivery{d.Sequence, d.Index, d.Release})
	if d.Sequence%97 == 0 && !l.failed[d.Sequence] {
		l.failed[d.Sequence] = true
		return errOnce
	}
	l.event()
	return nil
}

func (l *load) event() {
	select {
	case l.events <- struct{}{}:
	default:
	}
}

// await waits for n more receipts or deliveries.
func (l *load) await(n int) {
	l.t.Helper()
	for len(l.events) > 0 {
		<-l.events
	}
	deadline := time.After(patience)
	for range n {
		select {
		case <-l.events:
		case <-l.sub.Closed():
			l.t.Fatalf("the subscription ended: %v", l.sub.Err())
		case <-deadline:
			l.t.Fatalf("nothing is published or delivered any more: %d and %d were, floor %d", l.published(), l.delivered(), l.floor())
		}
	}
}

// awaitDelivery waits for one more delivery.
func (l *load) awaitDelivery() {
	l.t.Helper()
	before := l.delivered()
	l.within("something is delivered", func() bool { return l.delivered() > before })
}

// within fails the test unless ok comes true in time.
func (l *load) within(what string, ok func() bool) {
	l.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			l.t.Fatalf("not within %v: %s; %d published, %d delivered", patience, what, l.published(), l.delivered())
		}
	}
}

// moment lets a few milliseconds pass.
func (l *load) moment(ms int) { <-time.After(time.Duration(ms) * time.Millisecond) }

func (l *load) floor() uint64 { return l.sub.Floor() }

// killed notes what the exchange had confirmed before it died.
func (l *load) killed(floor uint64) { l.bound.Store(floor) }

func (l *load) published() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.receipts)
}

func (l *load) delivered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.deliveries)
}

// finish ends publishing, and receiving once everything is settled.
func (l *load) finish() {
	l.t.Helper()
	close(l.enough)
	l.publishing.Wait()
	last := uint64(0)
	for _, r := range l.receipts {
		last = max(last, publishedIn(l.t, r.Leaf).Sequence)
	}
	// By the exchange's rows: the member hears of a floor only when it settles.
	l.within("everything is settled", func() bool {
		s, err := l.hall.GetSubscription(l.t.Context(), "people")
		return err == nil && s.GetFloor() >= last
	})
	l.sub.Drain()
	<-l.sub.Closed()
	must(l.t, l.sub.Err())
}

func publishedIn(t *testing.T, leaf []byte) *ledgerv1.RecordPublished {
	t.Helper()
	var e ledgerv1.LedgerEntry
	must(t, proto.Unmarshal(leaf, &e))
	if e.GetPublished() == nil {
		t.Fatalf("entry %d is no publication", e.Index)
	}
	return e.GetPublished()
}
