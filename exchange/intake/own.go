package intake

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// EraseAgainKey is the idempotency key of a publication that erases again what an
// entry erased, which is of a later ledger than the one restored.
func EraseAgainKey(origin string, entry uint64, keyToken []byte) [verify.KeySize]byte {
	b := binary.BigEndian.AppendUint64([]byte("huitong/erase-again/v1"+origin), entry)
	sum := sha256.Sum256(append(b, keyToken...))
	return [verify.KeySize]byte(sum[:verify.KeySize])
}

// PublishOwn publishes a record of the exchange's own, on a topic of its own, and
// gives the index of its entry. It goes the way of all records; its entry has no
// actor and no signature. Publishing again under the same key changes nothing.
func (in *Intake) PublishOwn(ctx context.Context, topic string, key [verify.KeySize]byte, m proto.Message) (uint64, error) {
	return in.publishOwn(ctx, topic, key, 0, m, nil)
}

// PublishOwnWith is PublishOwn, and writes in the entry's transaction what goes
// with the record, unless the key was published before.
func (in *Intake) PublishOwnWith(ctx context.Context, topic string, key [verify.KeySize]byte, m proto.Message, with journal.With) (uint64, error) {
	return in.publishOwn(ctx, topic, key, 0, m, with)
}

// PublishOwnVersion is PublishOwnWith with a growing version of the record's own:
// one that is not larger than the record's is refused as Stale.
func (in *Intake) PublishOwnVersion(ctx context.Context, topic string, key [verify.KeySize]byte, version uint64, m proto.Message, with journal.With) (uint64, error) {
	return in.publishOwn(ctx, topic, key, version, m, with)
}

func (in *Intake) publishOwn(ctx context.Context, topic string, key [verify.KeySize]byte, version uint64, m proto.Message, with journal.With) (uint64, error) {
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return 0, err
	}
	p, err := in.begin(ctx, nil, &exchangev1.PublishRequest{Records: []*exchangev1.Publication{{
		Topic: topic, IdempotencyKey: key[:], SourceVersion: version, Content: &exchangev1.Publication_Protobuf{Protobuf: payload},
	}}}, with)
	if err != nil {
		return 0, err
	}
	answer, err := p.Wait(ctx)
	if err != nil {
		return 0, err
	}
	if problem := answer.Results[0].GetProblem(); problem != nil {
		if fault.ParseKind(problem.Kind) == fault.Stale {
			return 0, fault.New(fault.Stale, problem.Rule, "%s", problem.Message)
		}
		return 0, fault.New(fault.Internal, problem.Rule, "a record of the exchange on %s was refused: %s %v", topic, problem.Message, problem.Violations)
	}
	return answer.Results[0].GetReceipt().GetIndex(), nil
}

// OwnErasure erases a record of the exchange's own.
type OwnErasure struct {
	Topic, Key  string
	Idempotency [verify.KeySize]byte
	// With is that of the erasure; see journal.Record.
	With journal.With
}

// EraseOwn erases records of the exchange's own in one call, which a system asked
// for, and gives the entry of the first. Its error is that of the first that was
// refused; the others may be erased, unless what goes with each refuses them too.
func (in *Intake) EraseOwn(ctx context.Context, system, reason string, erasures []OwnErasure) (uint64, error) {
	call := &journal.Publish{For: system, Statements: len(erasures)}
	for i, e := range erasures {
		t, err := in.Topics.Topic(e.Topic)
		if err != nil {
			return 0, err
		}
		r, err := Own(in.Keys, in.Journal.Head().Origin, &ledgerv1.RecordPublished{
			Topic: e.Topic, Operation: ledgerv1.Operation_OPERATION_ERASE, Partition: t.Partition, IdempotencyKey: e.Idempotency[:],
		}, e.Key, reason)
		if err != nil {
			return 0, err
		}
		r.Position, r.With, call.Provider = uint32(i), e.With, t.Provider
		call.Records = append(call.Records, r)
	}
	commit, err := in.Journal.Submit(ctx, &journal.Call{From: system, Publish: call})
	if err != nil {
		return 0, err
	}
	for _, o := range commit.Records {
		if o.Err != nil {
			return 0, o.Err
		}
	}
	return commit.Records[0].Index, nil
}

// CheckReason refuses what is no reason of an erasure.
func CheckReason(reason string) error {
	switch {
	case reason == "":
		return fault.Field("reason", "reason.required", "says why it is erased")
	case len(reason) > maxReason:
		return fault.Field("reason", "reason.size", "has at most %d bytes of UTF-8", maxReason)
	case !contract.Lines(reason):
		return fault.Field("reason", "reason.text", "is no printable text; write it without control characters")
	}
	return nil
}
