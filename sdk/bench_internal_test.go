package sdk

import (
	"context"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"
	"time"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// BenchmarkPublisherShare is what the SDK itself spends on a record of 1 KiB in
// calls of 1,000: content, commitments and signature, and the check of the
// answer.
func BenchmarkPublisherShare(b *testing.B) {
	t := &testing.T{}
	p := unconnected(t)
	l := newTree(t)
	l.t = t
	p.client.log = l.view()
	m := certificate("1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0")
	m.TypeName, m.Number, m.IssuerName, m.IssuerCode = "不动产权证书", "京(2025)不动产权第0000001号", "某市自然资源和规划局", "11999900MB0000019D"
	m.HolderName, m.IssueDate, m.ValidFrom, m.Region = "张三", "2025-05-22", "2025-05-22", "999999"
	m.Remarks = string(make([]byte, 700))
	b.ReportAllocs()
	const n = 1000
	for b.Loop() {
		a := &answered{tree: &tree{t: t, signer: l.signer, key: l.key}, p: p, c: &call{}, resp: &exchangev1.PublishResponse{}}
		for range n {
			it, err := p.prepare(context.Background(), &Publication{Topic: testTopic, Message: m})
			if err != nil {
				b.Fatal(err)
			}
			a.c.items = append(a.c.items, it)
		}
		if err := p.seal(a.c); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		for i, it := range a.c.items {
			layout := p.client.book.bound[binding{topic: testTopic}].layout
			commitment, _ := layout.Commitment(it.wire.GetSecret(), it.wire.GetProtobuf())
			part := &ledgerv1.CallPart{Position: uint32(i), Back: uint32(i)}
			if i == 0 {
				part.Signature = a.c.request.GetSignature()
			}
			e := &ledgerv1.LedgerEntry{Actor: testSystem, ActorCertificate: make([]byte, 32), Body: &ledgerv1.LedgerEntry_Published{Published: &ledgerv1.RecordPublished{
				Topic: testTopic, Operation: Put, IdempotencyKey: it.wire.GetIdempotencyKey(), PayloadCommitment: commitment[:], Call: part,
				KeyCommitment: make([]byte, 32), SubjectCommitments: [][]byte{make([]byte, 32)}, Contract: "huitong.records.v1.Certificate", ContractVersion: 3,
			}}}
			leaf := a.append(e)
			a.resp.Results = append(a.resp.Results, &exchangev1.PublicationResult{Outcome: &exchangev1.PublicationResult_Receipt{
				Receipt: &exchangev1.Receipt{Index: e.GetIndex(), At: timestamppb.New(time.UnixMicro(e.GetAtUs())), Leaf: leaf},
			}})
		}
		a.resp.Proof = a.prove(0, n)
		a.c.after, p.client.log.largest.Size = 0, 0
		b.StartTimer()
		if _, err := p.receipts(a.c, a.resp); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
}
