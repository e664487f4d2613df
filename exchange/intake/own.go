package intake

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
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
