package subscription_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/bus"
	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/intake/intaketest"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/subscription"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

const topic = "person"

// idle makes readers sleep within tests.
const idle = 100 * time.Millisecond

// process is one exchange process over a database.
type process struct {
	*catalogtest.Exchange
	policy   *access.Policy
	cases    *cases.Cases
	refusals *access.Refusals
	bus      *bus.Bus
	in       *intake.Intake
	manager  *subscription.Manager
	index    *inspect.Index
	config   subscription.Config
}

// world is an exchange with a provider and a consumer that has a grant.
type world struct {
	*process
	security, civil *catalogtest.System
	grant           string
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start opens what subscriptions need on an exchange. An empty dir is a process
// without a stream of its own: its bus cannot start, and the journal is read.
func start(t testing.TB, x *catalogtest.Exchange, instance, dir string) *process {
	t.Helper()
	p := &process{Exchange: x}
	in := intaketest.Open(t, x)
	p.in, p.policy, p.refusals = in.Intake, in.Policy, in.Refused
	p.cases = cases.New(cases.Config{DB: x.DB, Journal: x.Journal, Catalogue: x.Catalogue, Keyring: x.Identity.Keyring})
	p.openBus(t, dir)
	var err error
	p.index, err = inspect.OpenIndex(t.Context(), inspect.IndexConfig{DB: x.DB, Journal: x.Journal, Keyring: x.Identity.Keyring})
	must(t, err)
	t.Cleanup(p.index.Close)
	p.config = subscription.Config{
		Index: p.index, Cases: p.cases,
		DB: x.DB, Journal: x.Journal, Bus: p.bus, Catalogue: x.Catalogue, Policy: p.policy, Refusals: p.refusals,
		Keyring: x.Identity.Keyring, Instance: instance, Lease: 600 * time.Millisecond, Idle: idle,
	}
	p.manager = subscription.Open(p.config)
	t.Cleanup(func() { p.close(p.manager) })
	p.cases.OnClose(func(ctx context.Context, tx store.Tx, slot journal.Slot, c *cases.Case) ([]journal.Entry, error) {
		return p.manager.CaseClosed(ctx, tx, slot, c.Token)
	})
	return p
}

func (p *process) close(m *subscription.Manager) {
	ctx, cancel := context.WithTimeout(context.Background(), catalogtest.Patience)
	defer cancel()
	m.Close(ctx)
}

// nowhere is the address of a NATS that is not there.
const nowhere = "nats://127.0.0.1:1"

func (p *process) openBus(t testing.TB, dir string) {
	c := bus.Config{Dir: dir, Journal: p.Journal, DB: p.DB}
	if dir == "" {
		c.URL = nowhere
	}
	p.bus = bus.Open(c)
	t.Cleanup(p.bus.Close)
}

func newWorld(t testing.TB) *world { return worldOn(t, "", t.TempDir()) }

func worldOn(t testing.TB, instance, dir string) *world {
	t.Helper()
	w := ungranted(t, instance, dir)
	w.grantUntil("")
	return w
}

// ungranted is a world whose consumer has no grant.
func ungranted(t testing.TB, instance, dir string) *world {
	t.Helper()
	x := catalogtest.New(t)
	w := &world{security: x.Enrol(catalogtest.Security, "hukou"), civil: x.Enrol(catalogtest.Civil, "relief")}
	x.Topic(topic, catalogtest.Security, cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL)
	w.process = start(t, x, instance, dir)
	return w
}

// grantUntil gives the consumer a grant until a day; without end if it is empty.
func (w *world) grantUntil(day string) {
	w.T.Helper()
	g, _, err := w.policy.Create(w.T.Context(), w.ByOperator(), &accessv1.Grant{
		Topic: topic, Consumer: catalogtest.Civil, Basis: "社会救助暂行办法 第58条", Fields: []string{"id_type", "id_number", "name"},
		ServiceItems: []string{item}, DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
		StandingPurpose: "低保动态核查", StandingLegalBasis: "社会救助暂行办法 第13条", ValidUntil: day,
	})
	must(w.T, err)
	w.grant = g.Id
}

const item = "11999900MB00000353000123456789A"

// person is a record of the provider's own numbering.
func person(key int, name string) *exchangev1.Publication {
	b, err := proto.Marshal(&recordsv1.Person{IdType: "999", IdNumber: fmt.Sprintf("K%d", key), Name: name, BirthDate: "1990-01-01"})
	if err != nil {
		panic(err)
	}
	return &exchangev1.Publication{Topic: topic, Content: &exchangev1.Publication_Protobuf{Protobuf: b}}
}

func operation(key int, op ledgerv1.Operation) *exchangev1.Publication {
	return &exchangev1.Publication{Topic: topic, Operation: op, Key: fmt.Sprintf("K%d", key), Reason: "依申请"}
}

// publish publishes and gives the indexes.
func (w *world) publish(publications ...*exchangev1.Publication) []uint64 {
	w.T.Helper()
	resp, err := w.in.Publish(context.Background(), w.security.Caller, &exchangev1.PublishRequest{Records: publications})
	must(w.T, err)
	var indexes []uint64
	for _, r := range resp.Results {
		if r.GetReceipt() == nil {
			w.T.Fatalf("not published: %v", r.GetProblem())
		}
		indexes = append(indexes, r.GetReceipt().Index)
	}
	return indexes
}

// create creates a subscription of the consumer with short waits.
func (w *world) create(name string, change ...func(*exchangev1.Subscription)) *exchangev1.Subscription {
	w.T.Helper()
	s := &exchangev1.Subscription{
		Name: name, Topic: topic, Start: &exchangev1.Start{From: &exchangev1.Start_All{All: true}},
		Backoff: durationpb.New(5 * time.Millisecond), MaxBackoff: durationpb.New(20 * time.Millisecond),
	}
	for _, c := range change {
		c(s)
	}
	made, commit, err := w.manager.Create(w.T.Context(), w.civil.Caller, s, false)
	must(w.T, err)
	if commit == nil || made.Id != w.civil.Caller.System+"/"+name {
		w.T.Fatalf("made %v", made)
	}
	return made
}

// member is a subscriber on a stream without transport. It checks what it
// receives as any receiver can.
type member struct {
	t        testing.TB
	system   *catalogtest.System
	id       string
	checks   *verify.CheckpointVerifier
	requests chan *exchangev1.SubscribeRequest
	cancel   context.CancelFunc
	ended    chan error

	mu      sync.Mutex
	opened  *exchangev1.SubscribeOpened
	got     []*exchangev1.Delivery
	details map[uint64][]byte
	// releaseOf has the release entry of each of got.
	releaseOf []uint64
	settled   map[uint64]*exchangev1.SubscribeSettled
	lapsed    []*exchangev1.SubscribeLapsed
	beats     []*exchangev1.SubscribeHeartbeat
	token     uint64
	blocked   chan struct{} // while it is there, Send waits for it
	onBatch   func([]*exchangev1.Delivery)
	released  []*ledgerv1.BatchReleased
}

// receive opens a stream.
func (p *process) receive(system *catalogtest.System, open *exchangev1.SubscribeOpen) *member {
	p.T.Helper()
	v, err := verify.NewCheckpointVerifier(p.Identity.Keyring.VerifierKey())
	must(p.T, err)
	m := &member{
		t: p.T, system: system, id: system.Caller.System + "/" + open.Subscription, checks: v,
		requests: make(chan *exchangev1.SubscribeRequest, 10), ended: make(chan error, 1),
		details: map[uint64][]byte{}, settled: map[uint64]*exchangev1.SubscribeSettled{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	p.T.Cleanup(cancel)
	manager := p.manager
	go func() { m.ended <- manager.Receive(ctx, system.Caller, open, m.requests, m) }()
	return m
}

func (w *world) open(name string, change ...func(*exchangev1.SubscribeOpen)) *member {
	w.T.Helper()
	o := &exchangev1.SubscribeOpen{Subscription: name}
	for _, c := range change {
		c(o)
	}
	m := w.receive(w.civil, o)
	m.within("opened", func() bool { return m.opened != nil })
	return m
}

// Send implements subscription.Sink.
func (m *member) Send(r *exchangev1.SubscribeResponse) error {
	m.mu.Lock()
	blocked := m.blocked
	m.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch x := r.Message.(type) {
	case *exchangev1.SubscribeResponse_Opened:
		m.opened = x.Opened
	case *exchangev1.SubscribeResponse_Batch:
		m.batch(x.Batch)
	case *exchangev1.SubscribeResponse_Settled:
		m.settled[x.Settled.Token] = x.Settled
	case *exchangev1.SubscribeResponse_Lapsed:
		m.lapsed = append(m.lapsed, x.Lapsed)
	case *exchangev1.SubscribeResponse_Heartbeat:
		m.beats = append(m.beats, x.Heartbeat)
	}
	return nil
}

// batch checks a batch: the entry is in the ledger, covers exactly these
// deliveries, and each record is cut from what was published.
func (m *member) batch(b *exchangev1.DeliveryBatch) {
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(b.Release.Leaf, &entry); err != nil {
		m.t.Error(err)
	}
	if _, err := verify.CheckRange(b.Proof, [][verify.HashSize]byte{verify.LeafHash(b.Release.Leaf)}, m.checks); err != nil {
		m.t.Errorf("release %d: %v", b.Release.Index, err)
	}
	released := entry.GetReleased()
	var hashes [][verify.HashSize]byte
	for _, d := range b.Deliveries {
		hashes = append(hashes, m.check(d))
		m.details[d.Sequence] = append([]byte(nil), hashes[len(hashes)-1][:]...)
	}
	root := verify.Root(hashes)
	if released.GetSubscription() != m.id || int(released.GetRecords()) != len(b.Deliveries) || string(released.GetDetailsRoot()) != string(root[:]) || len(hashes) > 256 {
		m.t.Errorf("entry %v is not of this batch", released)
	}
	m.released = append(m.released, released)
	for range b.Deliveries {
		m.releaseOf = append(m.releaseOf, b.Release.Index)
	}
	m.got = append(m.got, b.Deliveries...)
	if m.onBatch != nil {
		m.onBatch(b.Deliveries)
	}
}

func (m *member) check(d *exchangev1.Delivery) [verify.HashSize]byte {
	r := d.Record
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(r.Leaf, &entry); err != nil {
		m.t.Error(err)
	}
	detail := &ledgerv1.ReleaseDetail{Index: r.Index, Withheld: r.Withheld, Sequence: d.Sequence, Attempt: d.Attempt}
	if r.Cut != nil {
		withheld, err := verify.CheckCut(r.Contract, r.ContractVersion, r.Payload, r.Cut, entry.GetPublished().PayloadCommitment)
		if err != nil || !slices.Equal(withheld, r.Withheld) {
			m.t.Errorf("record %d: %v, withheld %v", r.Index, err, withheld)
		}
		detail.PayloadDigest = digest(r.Payload)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(detail)
	if err != nil {
		m.t.Error(err)
	}
	return verify.LeafHash(b)
}

// within waits for something about what was received.
func (m *member) within(what string, ok func() bool) {
	m.t.Helper()
	catalogtest.Within(m.t, catalogtest.Patience, what, func() bool {
		select {
		case err := <-m.ended:
			m.ended <- err
			m.t.Fatalf("%s: the stream ended: %v", what, err)
		default:
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		return ok()
	})
}

// receives waits until that many deliveries came, and gives them.
func (m *member) receives(n int) []*exchangev1.Delivery {
	m.t.Helper()
	m.within(fmt.Sprintf("%d deliveries", n), func() bool { return len(m.got) >= n })
	return m.all()
}

func (m *member) all() []*exchangev1.Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got)
}

func (m *member) caughtUp() {
	m.t.Helper()
	m.within("caught up", func() bool { return len(m.beats) > 0 && m.beats[len(m.beats)-1].CaughtUp })
}

// settle sends a settlement and waits for its confirmation.
func (m *member) settle(s *exchangev1.SubscribeSettle) *exchangev1.SubscribeSettled {
	m.t.Helper()
	token := m.send(s)
	m.within("settled", func() bool { return m.settled[token] != nil })
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settled[token]
}

func (m *member) send(s *exchangev1.SubscribeSettle) uint64 {
	m.mu.Lock()
	m.token++
	s.Token = m.token
	m.mu.Unlock()
	m.requests <- &exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Settle{Settle: s}}
	return s.Token
}

// ack acknowledges, signed, what nothing may be unknown of.
func (m *member) ack(sequences ...uint64) *exchangev1.SubscribeSettled {
	m.t.Helper()
	s := m.settle(m.signed(sequences...))
	if s.Problem != nil || len(s.Unknown) > 0 {
		m.t.Fatalf("settled %v", s)
	}
	return s
}

func (m *member) signed(sequences ...uint64) *exchangev1.SubscribeSettle {
	m.t.Helper()
	s := &exchangev1.SubscribeSettle{Acks: sequences}
	m.mu.Lock()
	for _, sequence := range sequences {
		s.DetailHashes = append(s.DetailHashes, m.details[sequence])
	}
	m.mu.Unlock()
	statement, err := verify.AckStatement(m.id, sequences, s.DetailHashes)
	must(m.t, err)
	s.Signature, err = verify.Sign(m.system.Key, statement)
	must(m.t, err)
	return s
}

// stop cuts the stream off and waits for its end.
func (m *member) stop() {
	m.t.Helper()
	m.cancel()
	m.end()
}

func (m *member) end() error {
	m.t.Helper()
	select {
	case err := <-m.ended:
		m.ended <- err
		return err
	case <-time.After(catalogtest.Patience):
		m.t.Fatal("the stream does not end")
		return nil
	}
}

func sequences(ds []*exchangev1.Delivery) []uint64 {
	var out []uint64
	for _, d := range ds {
		out = append(out, d.Sequence)
	}
	return out
}

func (w *world) get(name string) *exchangev1.Subscription {
	w.T.Helper()
	s, err := w.manager.Get(w.T.Context(), w.civil.Caller, name)
	must(w.T, err)
	return s
}

func (w *world) topic() *catalog.Topic {
	w.T.Helper()
	t, err := w.Catalogue.Topic(topic)
	must(w.T, err)
	return t
}

// checkReceived checks an entry about acknowledgements by its opening, as an
// auditor does.
func (w *world) checkReceived(r *ledgerv1.AcknowledgementsReceived, o *ledgerv1.ReadOpening, m *member) {
	w.T.Helper()
	var hashes [][verify.HashSize]byte
	for _, raw := range o.GetAcknowledgements() {
		hashes = append(hashes, verify.LeafHash(raw))
		a := &ledgerv1.Acknowledgement{}
		must(w.T, proto.Unmarshal(raw, a))
		statement, err := verify.AckStatement(r.Subscription, a.Sequences, a.DetailHashes)
		must(w.T, err)
		must(w.T, verify.CheckSignature(m.system.Certificate.PublicKey, statement, a.Signature))
	}
	if root := verify.Root(hashes); string(root[:]) != string(r.Root) || r.Consumer != w.civil.Caller.System || r.Provider != catalogtest.Security {
		w.T.Errorf("entry %v is not of its opening", r)
	}
}
