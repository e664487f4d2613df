package intake_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// TestTheLargestLeafFits: that of the first record of a call, of which all others
// were refused, about as many subjects as a record may have.
func TestTheLargestLeafFits(t *testing.T) {
	hash := make([]byte, verify.HashSize)
	call := &ledgerv1.CallPart{Back: 0, Position: 999, Statements: intake.DefaultMaxRecords, Signature: make([]byte, 128)}
	for i := range uint32(intake.DefaultMaxRecords - 1) {
		call.Omitted = append(call.Omitted, &ledgerv1.OmittedStatement{Position: i, LeafHash: hash})
	}
	published := &ledgerv1.RecordPublished{
		Topic: string(make([]byte, 96)), Contract: string(make([]byte, 255)), ContractVersion: 100, Operation: ledgerv1.Operation_OPERATION_ERASE,
		IdempotencyKey: make([]byte, verify.KeySize), KeyCommitment: hash, ReasonCommitment: hash, SuccessorCommitment: hash, PayloadCommitment: hash,
		SourceVersion: 1 << 62, IfIndexPlusOne: 1 << 62, EffectiveAtUs: 1 << 62, Sequence: 1 << 62, Call: call,
	}
	for range contract.MaxSubjects {
		published.SubjectCommitments = append(published.SubjectCommitments, hash)
	}
	size := proto.Size(&ledgerv1.LedgerEntry{
		Index: 1 << 62, AtUs: 1 << 62, Actor: string(make([]byte, 128)), ActorCertificate: hash,
		Body: &ledgerv1.LedgerEntry_Published{Published: published},
	})
	if size > verify.MaxLeaf {
		t.Errorf("%d bytes, and %d is the limit", size, verify.MaxLeaf)
	}
}
