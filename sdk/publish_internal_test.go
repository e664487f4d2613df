package sdk

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

const (
	testTopic  = "real-estate"
	testSystem = "11999900MB0000019D/register"
)

// certificateContract gives the standard pack's certificate as the catalogue
// does.
func certificateContract(t *testing.T, version uint32) *cataloguev1.Contract {
	t.Helper()
	d := (&recordsv1.Certificate{}).ProtoReflect().Descriptor()
	set := &descriptorpb.FileDescriptorSet{}
	var add func(f protoreflect.FileDescriptor)
	seen := map[string]bool{}
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	add(d.ParentFile())
	b, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return &cataloguev1.Contract{Name: string(d.FullName()), Version: version, DescriptorSet: b, Key: "identifier"}
}

// unconnected is a publisher that knows the certificate contract and never
// sends.
func unconnected(t *testing.T) *Publisher {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{system: testSystem, id: &identity{signer: key.Signer()}, log: newTree(t).view()}
	c.book = newContractBook(c)
	contract, err := readContract(certificateContract(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	c.book.bound[binding{topic: testTopic}] = contract
	c.book.bound[binding{topic: testTopic, message: (&recordsv1.Certificate{}).ProtoReflect().Descriptor()}] = contract
	p := c.Publisher(PublisherConfig{CallUnary: true})
	p.cfg.CallUnary = false // queue, but send nothing
	return p
}

func certificate(identifier string) *recordsv1.Certificate {
	return &recordsv1.Certificate{Identifier: identifier, Name: "不动产权证书", HolderType: "111", HolderNumber: "999999199001010016"}
}

func prepared(t *testing.T, p *Publisher, pub Publication) *item {
	t.Helper()
	if pub.Topic == "" {
		pub.Topic = testTopic
	}
	it, err := p.prepare(context.Background(), &pub)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

func TestIdempotencyKeysGrowAndCarryTheirTime(t *testing.T) {
	before := time.Now().UnixMilli()
	last := IdempotencyKey{}
	for range 10_000 {
		k := NewIdempotencyKey()
		if bytes.Compare(last[:], k[:]) >= 0 {
			t.Fatalf("%v does not follow %v", k, last)
		}
		if k[6]>>4 != 7 || k[8]>>6 != 2 {
			t.Fatalf("%v is no UUID version 7", k)
		}
		last = k
	}
	ms := int64(last[0])<<40 | int64(last[1])<<32 | int64(last[2])<<24 | int64(last[3])<<16 | int64(last[4])<<8 | int64(last[5])
	if ms < before || ms > time.Now().UnixMilli()+10 {
		t.Errorf("time in the key is %d, made after %d", ms, before)
	}
}

func TestPreparedItemStatesWhatIsSent(t *testing.T) {
	p := unconnected(t)
	at := time.Date(2026, 3, 1, 8, 0, 0, 123456789, time.UTC)
	it := prepared(t, p, Publication{Message: certificate("A"), EffectiveAt: at, SourceVersion: 7, IfIndexPlusOne: 12})
	if it.wire.GetContractVersion() != 3 || len(it.wire.GetSecret()) != verify.SecretSize || it.wire.GetOperation() != Put {
		t.Errorf("sends %v", it.wire)
	}
	layout := p.client.book.bound[binding{topic: testTopic}].layout
	commitment, err := layout.Commitment(it.wire.GetSecret(), it.wire.GetProtobuf())
	if err != nil {
		t.Fatal(err)
	}
	want := (&verify.Statement{
		IdempotencyKey: it.wire.GetIdempotencyKey(), Topic: testTopic, Operation: Put, PayloadCommitment: commitment[:],
		EffectiveAtUs: at.UnixMicro(), SourceVersion: 7, IfIndexPlusOne: 12,
	}).LeafHash()
	if it.statement != want {
		t.Error("the statement is not over what is sent")
	}
	if it.wire.GetEffectiveAt().AsTime().UnixMicro() != at.UnixMicro() {
		t.Error("the effective time is not the one stated")
	}
}

func TestContentIsTheSameHoweverItComes(t *testing.T) {
	p := unconnected(t)
	payload, err := proto.Marshal(certificate("A"))
	if err != nil {
		t.Fatal(err)
	}
	message := prepared(t, p, Publication{Message: certificate("A")})
	raw := prepared(t, p, Publication{Payload: payload})
	json := prepared(t, p, Publication{JSON: []byte(`{"identifier":"A","name":"不动产权证书","holderType":"111","holder_number":"999999199001010016"}`)})
	for _, it := range []*item{raw, json} {
		if !bytes.Equal(it.wire.GetProtobuf(), message.wire.GetProtobuf()) {
			t.Error("content differs by the way it came")
		}
		if it.order != message.order {
			t.Error("the same record has another order")
		}
	}
	if other := prepared(t, p, Publication{Operation: Revoke, Key: "A", Reason: "forged"}); other.order != message.order {
		t.Error("an operation by key has another order than the record")
	}
	if other := prepared(t, p, Publication{Message: certificate("B")}); other.order == message.order {
		t.Error("two records have one order")
	}
}

func TestRefusedBeforeSending(t *testing.T) {
	p := unconnected(t)
	for name, c := range map[string]struct {
		pub  Publication
		rule string
	}{
		"no content":         {Publication{}, "sdk.content"},
		"two contents":       {Publication{Message: certificate("A"), JSON: []byte("{}")}, "sdk.content"},
		"operation, no key":  {Publication{Operation: Revoke, Reason: "x"}, "sdk.key"},
		"operation, content": {Publication{Operation: Revoke, Key: "A", Message: certificate("A")}, "sdk.content"},
		"unknown JSON field": {Publication{JSON: []byte(`{"identifer":"999999199001010016"}`), ContractVersion: 3}, "sdk.json"},
		"wrong wire bytes":   {Publication{Payload: []byte{0x0a, 0xff}}, "sdk.payload"},
		"unknown field":      {Publication{Payload: []byte{0xf8, 0x7f, 0x01}}, "sdk.payload"},
		"too large":          {Publication{Message: &recordsv1.Certificate{Remarks: string(make([]byte, maxCallBytes))}}, "sdk.size"},
	} {
		c.pub.Topic = testTopic
		p.client.book.bound[binding{topic: testTopic, version: 3}] = p.client.book.bound[binding{topic: testTopic}]
		_, err := p.prepare(context.Background(), &c.pub)
		if fault.RuleOf(err) != c.rule {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil && bytes.Contains([]byte(err.Error()), []byte("999999199001010016")) {
			t.Errorf("%s: the error quotes the record: %v", name, err)
		}
	}
}

func identifiers(c *call) (all []string) {
	if c == nil {
		return nil
	}
	for _, it := range c.items {
		m := &recordsv1.Certificate{}
		if proto.Unmarshal(it.wire.GetProtobuf(), m) == nil {
			all = append(all, m.GetIdentifier()+m.GetRemarks())
		}
	}
	return all
}

func TestPublicationsOfOneRecordNeverFlyTogether(t *testing.T) {
	p := unconnected(t)
	for _, v := range []string{"A", "B"} {
		p.queue.push(prepared(t, p, Publication{Message: certificate(v)}))
	}
	first, _, _ := p.take()
	for _, v := range []string{"C", "A", "D"} {
		p.queue.push(prepared(t, p, Publication{Message: certificate(v)}))
	}
	second, _, _ := p.take()
	third, _, _ := p.take()
	if !slices.Equal(identifiers(first), []string{"A", "B"}) || !slices.Equal(identifiers(second), []string{"C"}) || third != nil {
		t.Fatalf("calls are %v, %v, %v", identifiers(first), identifiers(second), identifiers(third))
	}
	p.flight.lost()
	p.flight.due = time.Time{}
	if c, _, _ := p.take(); c != first {
		t.Fatal("after a broken stream, something else than the first call is sent first")
	}
	if c, _, _ := p.take(); c != second {
		t.Fatal("after a broken stream, calls change their order")
	}
	p.flight.answered()
	if c, _, _ := p.take(); !slices.Equal(identifiers(c), []string{"A", "D"}) {
		t.Fatalf("after the answer, %v is sent", identifiers(c))
	}
}

func TestASourcePositionFliesAlone(t *testing.T) {
	p := unconnected(t)
	p.queue.push(prepared(t, p, Publication{Message: certificate("A")}))
	if c, _, _ := p.take(); len(c.items) != 1 {
		t.Fatal("nothing is sent")
	}
	p.queue.push(prepared(t, p, Publication{Message: certificate("B"), Source: "log", Position: []byte("2")}))
	p.queue.push(prepared(t, p, Publication{Message: certificate("C"), Source: "log", Position: []byte("3")}))
	p.queue.push(prepared(t, p, Publication{Message: certificate("D"), Source: "file", Position: []byte("1")}))
	if c, _, _ := p.take(); c != nil {
		t.Fatalf("%v is sent before the answer to what came before", identifiers(c))
	}
	p.flight.answered()
	c, _, _ := p.take()
	if !slices.Equal(identifiers(c), []string{"B", "C"}) || string(c.source.GetPosition()) != "3" {
		t.Fatalf("sent %v with position %v", identifiers(c), c.source)
	}
	if c, _, _ := p.take(); c != nil {
		t.Fatal("two positions fly at once")
	}
}

func TestWhoGaveUpIsNotSent(t *testing.T) {
	p := unconnected(t)
	ctx, cancel := context.WithCancel(context.Background())
	it := prepared(t, p, Publication{Message: certificate("A")})
	it.ctx = ctx
	p.queue.push(it)
	p.queue.push(prepared(t, p, Publication{Message: certificate("B")}))
	cancel()
	c, dropped, _ := p.take()
	if !slices.Equal(identifiers(c), []string{"B"}) || len(dropped) != 1 {
		t.Errorf("sent %v, dropped %d", identifiers(c), len(dropped))
	}
}

// answered is a call with the answer that a truthful exchange gives.
type answered struct {
	*tree
	p    *Publisher
	c    *call
	resp *exchangev1.PublishResponse
}

func answeredCall(t *testing.T) *answered {
	t.Helper()
	a := &answered{tree: newTree(t), p: unconnected(t), c: &call{}, resp: &exchangev1.PublishResponse{}}
	a.p.client.log = a.view()
	a.pad(5)
	for _, v := range []string{"A", "B", "C"} {
		it := prepared(t, a.p, Publication{Message: certificate(v), SourceVersion: 4})
		if err := a.p.acquire(context.Background(), it.cost); err != nil {
			t.Fatal(err)
		}
		a.c.items = append(a.c.items, it)
	}
	if err := a.p.seal(a.c); err != nil {
		t.Fatal(err)
	}
	for i, it := range a.c.items {
		if i == 1 {
			a.resp.Results = append(a.resp.Results, &exchangev1.PublicationResult{Outcome: &exchangev1.PublicationResult_Problem{
				Problem: &exchangev1.Problem{Kind: "INVALID", Rule: "identifier.resident_id", Violations: []*exchangev1.Violation{{Field: "holder_number"}}},
			}})
			continue
		}
		a.add(it, uint32(i))
	}
	a.pad(9)
	a.resp.Proof = a.prove(5, 2)
	return a
}

func (a *answered) add(it *item, position uint32) {
	layout := a.p.client.book.bound[binding{topic: testTopic}].layout
	commitment, err := layout.Commitment(it.wire.GetSecret(), it.wire.GetProtobuf())
	if err != nil {
		a.t.Fatal(err)
	}
	part := &ledgerv1.CallPart{Position: position}
	if position == 0 {
		part.Statements, part.Signature = 3, a.c.request.GetSignature()
	} else {
		part.Back = 1
	}
	e := &ledgerv1.LedgerEntry{Actor: testSystem, Body: &ledgerv1.LedgerEntry_Published{Published: &ledgerv1.RecordPublished{
		Topic: testTopic, Operation: Put, IdempotencyKey: it.wire.GetIdempotencyKey(), PayloadCommitment: commitment[:],
		SourceVersion: 4, Call: part,
	}}}
	leaf := a.append(e)
	a.resp.Results = append(a.resp.Results, &exchangev1.PublicationResult{Outcome: &exchangev1.PublicationResult_Receipt{
		Receipt: &exchangev1.Receipt{Index: e.GetIndex(), At: timestamppb.New(time.UnixMicro(e.GetAtUs())), Leaf: leaf},
	}})
}

func TestTruthfulAnswerIsProven(t *testing.T) {
	a := answeredCall(t)
	a.p.settle(a.c, a.resp)
	for i, it := range a.c.items {
		r := it.Result()
		if i == 1 {
			if !errors.Is(r.Err, &fault.Error{Kind: fault.Invalid, Rule: "identifier.resident_id"}) {
				t.Errorf("refused record: %v", r.Err)
			}
			continue
		}
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if err := r.Receipt.Verify(a.key); err != nil {
			t.Errorf("receipt %d: %v", i, err)
		}
		if err := r.Receipt.Verify(newTree(t).key); !errors.Is(err, ErrUnproven) {
			t.Errorf("another ledger's key: %v", err)
		}
		r.Receipt.Leaf = append([]byte(nil), r.Receipt.Leaf...)
		r.Receipt.Leaf[4] ^= 1
		if err := r.Receipt.Verify(a.key); !errors.Is(err, ErrUnproven) {
			t.Errorf("changed leaf: %v", err)
		}
	}
}

func TestUntruthfulAnswersAreFound(t *testing.T) {
	receipt := func(a *answered, i int) *exchangev1.Receipt { return a.resp.GetResults()[i].GetReceipt() }
	for name, lie := range map[string]func(a *answered){
		"a byte of a leaf":         func(a *answered) { receipt(a, 0).Leaf[40] ^= 1 },
		"another index":            func(a *answered) { receipt(a, 0).Index++ },
		"another time":             func(a *answered) { receipt(a, 0).At.Nanos += 1000 },
		"receipts changed places":  func(a *answered) { a.resp.Results[0], a.resp.Results[2] = a.resp.Results[2], a.resp.Results[0] },
		"one answer missing":       func(a *answered) { a.resp.Results = a.resp.Results[:2] },
		"an answer without either": func(a *answered) { a.resp.Results[0] = &exchangev1.PublicationResult{} },
		"no proof":                 func(a *answered) { a.resp.Proof = nil },
		"a proof of other entries": func(a *answered) { a.resp.Proof = a.prove(4, 2) },
		"a left hash":              func(a *answered) { a.resp.Proof.Left[0][0] ^= 1 },
		"another ledger's checkpoint": func(a *answered) {
			other := newTree(a.t)
			other.leaves = a.leaves
			a.resp.Proof.Checkpoint = other.checkpoint()
		},
		"a ledger without the entries": func(a *answered) {
			a.leaves = a.leaves[:5]
			a.pad(11)
			a.resp.Proof.Checkpoint = a.checkpoint()
		},
		"a repeat of another publication": func(a *answered) {
			r := receipt(a, 0)
			r.Leaf, r.Index, r.At, r.Repeat = receipt(a, 2).Leaf, receipt(a, 2).Index, receipt(a, 2).At, true
		},
		"another signature kept": func(a *answered) { a.c.request.Signature = []byte("another") },
		"a statement not made":   func(a *answered) { a.c.items[0].statement[0] ^= 1 },
		"an entry in the past":   func(a *answered) { a.c.after = 6 },
		"a forked ledger": func(a *answered) {
			fork := *a.tree
			fork.leaves = append(slices.Clone(a.leaves[:15]), []byte("another last entry"))
			c, err := a.p.client.log.verifier.Open([]byte(fork.checkpoint()))
			if err != nil {
				a.t.Fatal(err)
			}
			if err := a.p.client.log.see(c); err != nil {
				a.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := answeredCall(t)
			lie(a)
			a.p.settle(a.c, a.resp)
			if r := a.c.items[0].Result(); !errors.Is(r.Err, ErrUnproven) || r.Receipt != nil {
				t.Errorf("got %+v, %v", r.Receipt, r.Err)
			}
		})
	}
}

func TestContractIsTheOneTheGoTypeWasMadeFrom(t *testing.T) {
	c, err := readContract(certificateContract(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(c.layout.Fields) || c.layout.Fields[0] != 1 {
		t.Errorf("fields are %v", c.layout.Fields)
	}
	got, err := newContractBook(nil).writtenBy(context.Background(), c, (&recordsv1.Certificate{}).ProtoReflect().Descriptor())
	if err != nil || got != c {
		t.Errorf("got %v, %v", got, err)
	}
	twice := append([]byte("\x0a\x01A"), "\x12\x01x\x0a\x02BC"...)
	if key := c.recordKey(twice); string(key) != "BC" {
		t.Errorf("key of a field that comes twice is %q", key)
	}
}
