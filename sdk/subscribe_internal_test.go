package sdk

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

func TestDetailIsDeterministicProtobuf(t *testing.T) {
	for _, in := range []*ledgerv1.ReleaseDetail{
		{},
		{Index: 7, Sequence: 1, Attempt: 1, PayloadDigest: []byte("p")},
		{Index: 1 << 40, Sequence: 1 << 50, Attempt: 300, Withheld: []uint32{1, 127, 128, 70000}, PayloadDigest: []byte("p")},
		{Index: 3, Withheld: []uint32{2}},
	} {
		released := &exchangev1.ReleasedRecord{Index: in.GetIndex(), Withheld: in.GetWithheld()}
		if in.PayloadDigest != nil {
			released.Cut, released.Payload = &ledgerv1.CutProof{}, in.PayloadDigest
			digest := sha(in.PayloadDigest)
			in.PayloadDigest = digest
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendDetail(nil, released, in.GetSequence(), in.GetAttempt()); !bytes.Equal(got, want) {
			t.Errorf("%v: %x, want %x", in, got, want)
		}
	}
}

// released is a record as it leaves: cut to identifier and name.
func released(t *testing.T, l *tree) *exchangev1.ReleasedRecord {
	t.Helper()
	contract, err := readContract(certificateContract(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := proto.Marshal(certificate("A"))
	if err != nil {
		t.Fatal(err)
	}
	secret := bytes.Repeat([]byte{5}, verify.SecretSize)
	commitment, err := contract.layout.Commitment(secret, payload)
	if err != nil {
		t.Fatal(err)
	}
	cut, proof, err := contract.layout.Cut(secret, payload, []uint32{1, 4})
	if err != nil {
		t.Fatal(err)
	}
	e := &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Published{Published: &ledgerv1.RecordPublished{
		Topic: testTopic, Operation: Put, Contract: contract.layout.Contract, ContractVersion: 3, PayloadCommitment: commitment[:],
	}}}
	leaf := l.append(e)
	withheld, err := verify.CheckCut(contract.layout.Contract, 3, cut, proof, commitment[:])
	if err != nil {
		t.Fatal(err)
	}
	return &exchangev1.ReleasedRecord{
		Index: e.GetIndex(), Topic: testTopic, Operation: Put, Contract: contract.layout.Contract, ContractVersion: 3,
		Payload: cut, Cut: proof, Withheld: withheld, Leaf: leaf, At: timestamppb.New(time.UnixMicro(e.GetAtUs())),
	}
}

func TestReleasedRecordProvesItself(t *testing.T) {
	var r Record
	readRecord(&r, released(t, newTree(t)))
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	m, err := As[*recordsv1.Certificate](&r)
	if err != nil {
		t.Fatal(err)
	}
	if m.GetName() != "不动产权证书" || m.GetHolderNumber() != "" || !r.IsWithheld(10) || r.IsWithheld(4) {
		t.Errorf("got %v, withheld %v", m, r.Withheld)
	}
	if _, err := As[*recordsv1.Person](&r); err == nil {
		t.Error("decoded as a message of another contract")
	}
	for name, lie := range map[string]func(in *exchangev1.ReleasedRecord){
		"payload":           func(in *exchangev1.ReleasedRecord) { in.Payload[len(in.Payload)-1] ^= 1 },
		"field dropped":     func(in *exchangev1.ReleasedRecord) { in.Payload = in.Payload[:3] },
		"withheld hidden":   func(in *exchangev1.ReleasedRecord) { in.Withheld = in.Withheld[1:] },
		"proof dropped":     func(in *exchangev1.ReleasedRecord) { in.Cut = nil },
		"salt":              func(in *exchangev1.ReleasedRecord) { in.Cut.SaltsOrHashes[0][0] ^= 1 },
		"another topic":     func(in *exchangev1.ReleasedRecord) { in.Topic = "other" },
		"another operation": func(in *exchangev1.ReleasedRecord) { in.Operation = Revoke },
		"another time":      func(in *exchangev1.ReleasedRecord) { in.At.Seconds-- },
		"another version":   func(in *exchangev1.ReleasedRecord) { in.ContractVersion = 2 },
		"leaf":              func(in *exchangev1.ReleasedRecord) { in.Leaf[len(in.Leaf)-1] ^= 1 },
	} {
		in := released(t, newTree(t))
		lie(in)
		readRecord(&r, in)
		if err := r.check(); !errors.Is(err, ErrUnproven) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// batchOf is a delivery batch with its release entry.
func batchOf(t *testing.T, l *tree, s *Subscription) *exchangev1.DeliveryBatch {
	t.Helper()
	record := released(t, l)
	detail := detailHash(record, 9, 1)
	root := verify.Root([][verify.HashSize]byte{detail})
	e := &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Released{Released: &ledgerv1.BatchReleased{
		Subscription: s.id, Consumer: testSystem, Records: 1, DetailsRoot: root[:],
	}}}
	leaf := l.append(e)
	l.pad(3)
	return &exchangev1.DeliveryBatch{
		Deliveries: []*exchangev1.Delivery{{Sequence: 9, Record: record, Attempt: 1}},
		Release:    &exchangev1.Receipt{Index: e.GetIndex(), Leaf: leaf},
		Proof:      l.prove(e.GetIndex(), 1),
	}
}

func unconnectedSubscription(t *testing.T, l *tree) *Subscription {
	t.Helper()
	c := unconnected(t).client
	c.log = l.view()
	s := &Subscription{client: c, id: testSystem + "/estates", work: newDispatcher(), settler: newSettler()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	t.Cleanup(s.cancel)
	return s
}

func TestDeliveryBatchProvesItself(t *testing.T) {
	l := newTree(t)
	s := unconnectedSubscription(t, l)
	if err := s.batch(batchOf(t, l, s)); err != nil {
		t.Fatal(err)
	}
	if p := s.work.take(1)[0]; p.Sequence != 9 || p.Release.Verify(l.key) != nil {
		t.Errorf("got %+v", p)
	}
	for name, lie := range map[string]func(b *exchangev1.DeliveryBatch){
		"attempt":           func(b *exchangev1.DeliveryBatch) { b.Deliveries[0].Attempt = 2 },
		"sequence":          func(b *exchangev1.DeliveryBatch) { b.Deliveries[0].Sequence = 10 },
		"payload":           func(b *exchangev1.DeliveryBatch) { b.Deliveries[0].Record.Payload[3] ^= 1 },
		"one more":          func(b *exchangev1.DeliveryBatch) { b.Deliveries = append(b.Deliveries, b.Deliveries[0]) },
		"release entry":     func(b *exchangev1.DeliveryBatch) { b.Release.Leaf[9] ^= 1 },
		"no release":        func(b *exchangev1.DeliveryBatch) { b.Release = nil },
		"another's release": func(b *exchangev1.DeliveryBatch) { s.id = "other" },
	} {
		l := newTree(t)
		s = unconnectedSubscription(t, l)
		b := batchOf(t, l, s)
		lie(b)
		if err := s.batch(b); !errors.Is(err, ErrUnproven) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func sequences(m *exchangev1.SubscribeSettle) []uint64 {
	return m.GetAcks()
}

func arrive(s *settler, sequence uint64) (p *parcel, fresh bool) {
	p = &parcel{Delivery: Delivery{Sequence: sequence}}
	return p, s.arrived(p)
}

func TestAcknowledgementsTravelTogether(t *testing.T) {
	s := newSettler()
	var all []*parcel
	for n := range uint64(200) {
		p, fresh := arrive(s, n)
		if !fresh {
			t.Fatal("a new delivery is taken for a known one")
		}
		all = append(all, p)
	}
	s.ack(all[0])
	first, err := s.next(nil)
	if err != nil || !slices.Equal(sequences(first), []uint64{0}) {
		t.Fatalf("a lone acknowledgement waits: %v, %v", first, err)
	}
	for _, p := range all[1:10] {
		s.ack(p)
	}
	if m, _ := s.next(nil); m != nil {
		t.Fatal("a few acknowledgements do not wait for the confirmation before them")
	}
	for _, p := range all[10:] {
		s.ack(p)
	}
	second, _ := s.next(nil)
	if len(sequences(second)) != 199 {
		t.Fatalf("%d acknowledgements in one message", len(sequences(second)))
	}
	if err := s.confirmed(&exchangev1.SubscribeSettled{Token: first.GetToken(), Floor: 1}); err != nil {
		t.Fatal(err)
	}
	if s.floorNow() != 1 {
		t.Errorf("floor is %d", s.floorNow())
	}
	if err := s.confirmed(&exchangev1.SubscribeSettled{Token: second.GetToken(), Problem: &exchangev1.Problem{Kind: "INVALID"}}); err == nil {
		t.Error("a refused acknowledgement goes unnoticed")
	}
}

func TestWhatWasHandledIsNotHandledAgain(t *testing.T) {
	s := newSettler()
	s.opened(3)
	handled, _ := arrive(s, 5)
	running, _ := arrive(s, 6)
	failed, _ := arrive(s, 7)
	s.ack(handled)
	s.nack(failed, &answer{})
	if m, _ := s.next(nil); len(m.GetAcks()) != 1 || len(m.GetNacks()) != 1 {
		t.Fatalf("sends %v", m)
	}
	s.opened(3) // the confirmation is lost with the connection
	for sequence, want := range map[uint64]bool{5: false, 6: false, 7: true} {
		if _, fresh := arrive(s, sequence); fresh != want {
			t.Errorf("sequence %d is to be handled: %v", sequence, fresh)
		}
	}
	s.ack(running)
	m, _ := s.next(nil)
	if got := slices.Sorted(slices.Values(sequences(m))); !slices.Equal(got, []uint64{5, 6}) {
		t.Errorf("acknowledges %v", got)
	}
	if err := s.confirmed(&exchangev1.SubscribeSettled{Token: m.GetToken(), Floor: 6}); err != nil {
		t.Fatal(err)
	}
	s.opened(0) // reset: everything is to be done again
	if _, fresh := arrive(s, 5); !fresh {
		t.Error("after a reset, a record is not handled again")
	}
}

func TestRecordsStayInOrderAndDoNotBlockOthers(t *testing.T) {
	d := newDispatcher()
	for _, v := range []struct{ lane, sequence uint64 }{{1, 1}, {1, 2}, {2, 3}, {1, 4}} {
		d.put(&parcel{Delivery: Delivery{Sequence: v.sequence}, lane: v.lane})
	}
	took := d.take(10)
	if len(took) != 2 || took[0].Sequence != 1 || took[1].Sequence != 3 {
		t.Fatalf("took %v", took)
	}
	for _, want := range []uint64{2, 4} {
		d.done(took[0])
		if took = append(d.take(1), took[1:]...); took[0].Sequence != want {
			t.Fatalf("then took %d, not %d", took[0].Sequence, want)
		}
	}
	for _, p := range took {
		d.done(p)
	}
	if !d.idle() {
		t.Error("something is left")
	}
	d.close()
	if d.take(1) != nil {
		t.Error("a closed dispatcher gives more")
	}
}

func TestAcknowledgementSignature(t *testing.T) {
	l := newTree(t)
	s := unconnectedSubscription(t, l)
	p, _ := arrive(s.settler, 4)
	p.detail = verify.LeafHash([]byte("detail"))
	s.settler.ack(p)
	m, err := s.settler.next(s.signAcks)
	if err != nil {
		t.Fatal(err)
	}
	statement, err := verify.AckStatement(s.id, []uint64{4}, [][]byte{p.detail[:]})
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.CheckSignature(s.client.id.signer.Public(), statement, m.GetSignature()); err != nil {
		t.Error(err)
	}
}
