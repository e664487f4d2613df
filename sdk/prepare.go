package sdk

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// item is a publication ready to be sent: its content is bytes, its commitments
// are made, and it is the same on every retry.
type item struct {
	Pending
	wire      *exchangev1.Publication
	statement [verify.HashSize]byte
	// order is equal for publications of one record.
	order uint64
	size  int
	// cost is what the item takes of the queue's bound.
	cost   int64
	source *exchangev1.SourcePosition
	// ctx is the waiting caller's; nil if nobody waits.
	ctx context.Context
	// load is the full load that it is part of; nil if none.
	load *FullLoad
}

// overhead is about what a publication takes on the wire beside its content.
const overhead = 128

// maxCallBytes is the exchange's largest setting for one call; a larger message
// would break the stream for everybody's records.
const maxCallBytes = 8 << 20

// prepare makes an item: it marshals or converts, draws the secret, and commits.
// It runs in the caller's goroutine, so the work spreads over them.
func (p *Publisher) prepare(ctx context.Context, pub *Publication) (*item, error) {
	if pub.Operation == 0 {
		pub.Operation = Put
	}
	if pub.IdempotencyKey == (IdempotencyKey{}) {
		pub.IdempotencyKey = NewIdempotencyKey()
	}
	it := &item{wire: &exchangev1.Publication{
		IdempotencyKey: pub.IdempotencyKey[:], Topic: pub.Topic, Operation: pub.Operation,
		Reason: pub.Reason, Successor: pub.Successor,
		SourceVersion: pub.SourceVersion, IfIndexPlusOne: pub.IfIndexPlusOne,
	}}
	it.done = make(chan struct{})
	it.source, it.load = position(pub), pub.load
	if !p.cfg.Unsigned || !p.cfg.Unverified {
		it.wire.Secret = secrets.take(verify.SecretSize)
	}
	s := &verify.Statement{
		IdempotencyKey: it.wire.IdempotencyKey, Topic: pub.Topic, Operation: pub.Operation,
		ReasonCommitment:    verify.CommitText(verify.Reason, 0, it.wire.Secret, pub.Reason),
		SuccessorCommitment: verify.CommitText(verify.Successor, 0, it.wire.Secret, pub.Successor),
		SourceVersion:       pub.SourceVersion, IfIndexPlusOne: pub.IfIndexPlusOne,
	}
	if !pub.EffectiveAt.IsZero() {
		s.EffectiveAtUs = pub.EffectiveAt.UnixMicro()
		it.wire.EffectiveAt = timestamppb.New(time.UnixMicro(s.EffectiveAtUs))
	}
	if err := p.fill(ctx, it, pub, s); err != nil {
		return nil, err
	}
	for _, d := range pub.Documents {
		it.wire.Documents = append(it.wire.Documents, d.GetId())
		it.size += verify.DocumentIDSize
	}
	if it.wire.Secret != nil {
		s.DocumentsCommitment = verify.CommitDocuments(it.wire.Secret, pub.Documents)
	}
	if it.size > maxCallBytes {
		return nil, fault.New(fault.TooLarge, "sdk.size", "one publication is at most %d bytes", maxCallBytes)
	}
	it.statement = s.LeafHash()
	if !p.cfg.Unsigned {
		it.wire.Statement = it.statement[:]
	}
	it.cost = min(max(int64(it.size), p.unit), int64(p.cfg.QueueBytes))
	return it, nil
}

func position(pub *Publication) *exchangev1.SourcePosition {
	if pub.Source == "" {
		return nil
	}
	return &exchangev1.SourcePosition{Source: pub.Source, Position: pub.Position}
}

// fill adds content or key, with its commitment, to item and statement.
func (p *Publisher) fill(ctx context.Context, it *item, pub *Publication, s *verify.Statement) error {
	if pub.Operation != Put {
		if pub.Message != nil || pub.Payload != nil || pub.JSON != nil {
			return fault.Field("content", "sdk.content", "only a put has content")
		}
		if pub.Key == "" {
			return fault.Field("key", "sdk.key", "name the record by its key")
		}
		it.wire.Key = pub.Key
		it.order = p.client.book.order(pub.Topic, []byte(pub.Key))
		it.size = overhead + len(pub.Key) + len(pub.Reason)
		s.KeyCommitment = verify.CommitText(verify.Key, 0, it.wire.Secret, pub.Key)
		return nil
	}
	c, payload, err := p.content(ctx, pub)
	if err != nil {
		return err
	}
	it.wire.Content = &exchangev1.Publication_Protobuf{Protobuf: payload}
	it.wire.ContractVersion = c.layout.Version
	it.order = p.client.book.order(pub.Topic, c.recordKey(payload))
	it.size = overhead + len(payload) + len(pub.Reason)
	if it.wire.Secret == nil {
		return nil
	}
	commitment, err := c.layout.Commitment(it.wire.Secret, payload)
	if err != nil {
		return fault.Wrap(fault.Invalid, "sdk.payload", err, "the payload does not fit %s version %d", c.layout.Contract, c.layout.Version)
	}
	s.PayloadCommitment = commitment[:]
	return nil
}

// content gives a put's bytes and the contract version they are written by.
func (p *Publisher) content(ctx context.Context, pub *Publication) (*contract, []byte, error) {
	book, want := p.client.book, binding{topic: pub.Topic, version: pub.ContractVersion}
	switch {
	case pub.Message != nil && pub.Payload == nil && pub.JSON == nil:
		want.message = pub.Message.ProtoReflect().Descriptor()
		c, err := book.find(ctx, want)
		if err != nil {
			return nil, nil, err
		}
		payload, err := proto.Marshal(pub.Message)
		if err != nil {
			return nil, nil, fault.Wrap(fault.Invalid, "sdk.message", err, "the message does not marshal")
		}
		return c, payload, nil
	case pub.Payload != nil && pub.Message == nil && pub.JSON == nil:
		c, err := book.find(ctx, want)
		return c, pub.Payload, err
	case pub.JSON != nil && pub.Message == nil && pub.Payload == nil:
		return book.fromJSON(ctx, want, pub.JSON)
	}
	return nil, nil, fault.Field("content", "sdk.content", "a put has content in exactly one of message, payload and JSON")
}
