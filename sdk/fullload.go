package sdk

import (
	"context"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// FullLoad publishes the whole extract of a topic. Records that are held and that
// it does not mention are removed at its end, each by an entry of its own. It is
// safe for use by many goroutines.
//
// A record is mentioned by being published, whether it changed or not, and each
// publication is a version of it: a source that knows what changed publishes that
// alone, without a full load.
type FullLoad struct {
	publisher *Publisher
	topic     string
	begun     uint64
	// missed counts publications that mention nothing.
	missed atomic.Int64
}

// SnapshotInfo is a full load as the exchange keeps it.
type SnapshotInfo = exchangev1.Snapshot

// BeginFullLoad begins a full load. If one is under way already, it is refused as
// Conflict, rule "snapshot.under_way": see ResumeFullLoad.
func (p *Publisher) BeginFullLoad(ctx context.Context, topic string) (*FullLoad, error) {
	after := p.client.log.seen()
	resp, err := p.client.snapshots().BeginSnapshot(ctx, &exchangev1.BeginSnapshotRequest{Topic: topic})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	receipt, entry, err := p.client.log.release(resp.GetReceipt(), resp.GetProof())
	if err != nil {
		return nil, err
	}
	if entry.GetSnapshotBegun().GetTopic() != topic || entry.GetActor() != p.client.system || receipt.Index < after {
		return nil, unproven("entry %d is not the begin of this full load", receipt.Index)
	}
	return &FullLoad{publisher: p, topic: topic, begun: receipt.Index}, nil
}

// ResumeFullLoad goes on with the full load of a topic that is under way, begun
// by the calling system before it was interrupted; nil if there is none. What was
// published since it was begun is mentioned.
func (p *Publisher) ResumeFullLoad(ctx context.Context, topic string) (*FullLoad, error) {
	s, err := p.client.FullLoad(ctx, topic)
	if err != nil || s.GetState() != exchangev1.SnapshotState_SNAPSHOT_STATE_UNDER_WAY || s.GetSystem() != p.client.system {
		return nil, err
	}
	return &FullLoad{publisher: p, topic: topic, begun: s.GetBegun()}, nil
}

// FullLoad gives a topic's full load that was begun last; nil if there never was
// one. While it is under way it says what its end would remove now.
func (c *Client) FullLoad(ctx context.Context, topic string) (*SnapshotInfo, error) {
	resp, err := c.snapshots().GetSnapshot(ctx, &exchangev1.GetSnapshotRequest{Topic: topic})
	return resp.GetSnapshot(), fault.FromStatus(err)
}

// Begun is the ledger index from which on what is published is mentioned.
func (f *FullLoad) Begun() uint64 { return f.begun }

// Missed is how many publications were not accepted so far.
func (f *FullLoad) Missed() int64 { return f.missed.Load() }

// Publish publishes one record and waits for its receipt.
func (f *FullLoad) Publish(ctx context.Context, m proto.Message, opts ...PublishOption) (*Receipt, error) {
	return f.Do(ctx, Publication{Message: m}, opts...)
}

// Do publishes one publication on the load's topic and waits for its receipt.
func (f *FullLoad) Do(ctx context.Context, pub Publication, opts ...PublishOption) (*Receipt, error) {
	it, err := f.hand(ctx, ctx, &pub, opts)
	if err != nil {
		return nil, err
	}
	return it.Wait(ctx)
}

// PublishAsync hands a publication over and returns; see Publisher.PublishAsync.
func (f *FullLoad) PublishAsync(ctx context.Context, pub Publication, opts ...PublishOption) (*Pending, error) {
	it, err := f.hand(ctx, nil, &pub, opts)
	if err != nil {
		return nil, err
	}
	return &it.Pending, nil
}

func (f *FullLoad) hand(ctx, waiting context.Context, pub *Publication, opts []PublishOption) (*item, error) {
	pub.Topic, pub.load = f.topic, f
	it, err := f.publisher.hand(ctx, waiting, pub, opts)
	if err != nil {
		f.missed.Add(1)
	}
	return it, err
}

// answered counts what mentions nothing: a record that was refused, and one whose
// idempotency key is of before the load, for then nothing was published.
func (f *FullLoad) answered(r *Receipt, err error) {
	if err != nil || r.Index < f.begun {
		f.missed.Add(1)
	}
}

// EndOption tunes the end of a full load.
type EndOption func(*endOptions)

type endOptions struct {
	confirm       *uint64
	despiteMissed bool
}

// WithConfirmedRemovals states the exact number of records that the end is to
// remove. It is needed where that is more than the exchange lets go unasked: then
// End is refused as Conflict, rule "snapshot.share", and says the number.
func WithConfirmedRemovals(n uint64) EndOption {
	return func(o *endOptions) { o.confirm = &n }
}

// DespiteMissed ends the load although some of its publications were refused. If
// a record of one of these is held, it is removed.
func DespiteMissed() EndOption {
	return func(o *endOptions) { o.despiteMissed = true }
}

// End waits until everything that was handed over is answered, ends the load, and
// returns once every record that it did not mention is removed. It is refused
// here if publications of the load were not accepted, for what they stand for
// would be removed: publish them again in another load, or say DespiteMissed.
func (f *FullLoad) End(ctx context.Context, opts ...EndOption) (*SnapshotInfo, error) {
	var o endOptions
	for _, set := range opts {
		set(&o)
	}
	if err := f.publisher.Flush(ctx); err != nil {
		return nil, err
	}
	if n := f.missed.Load(); n > 0 && !o.despiteMissed {
		return nil, fault.New(fault.Conflict, "sdk.full_load", "%d publications of the full load were not accepted; abandon it, or end it despite them", n)
	}
	return f.end(ctx, false, o.confirm)
}

// Abandon ends the load and removes nothing. What it published stays.
func (f *FullLoad) Abandon(ctx context.Context) (*SnapshotInfo, error) {
	return f.end(ctx, true, nil)
}

func (f *FullLoad) end(ctx context.Context, abandon bool, confirm *uint64) (*SnapshotInfo, error) {
	c := f.publisher.client
	origin, _, _ := strings.Cut(c.log.key, "+")
	request := &exchangev1.EndSnapshotRequest{Topic: f.topic, Begun: f.begun, Abandon: abandon, ConfirmRemoved: confirm}
	if !f.publisher.cfg.Unsigned {
		var err error
		request.Signature, err = verify.Sign(c.id.signer, verify.SnapshotStatement(origin, c.system, f.topic, f.begun, abandon))
		if err != nil {
			return nil, fault.Wrap(fault.Internal, "sdk.sign", err, "the end of the full load could not be signed")
		}
	}
	resp, err := c.snapshots().EndSnapshot(ctx, request)
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	if resp.GetReceipt().GetRepeat() {
		return resp.GetSnapshot(), nil // it had ended already; the answer was lost
	}
	_, entry, err := c.log.release(resp.GetReceipt(), resp.GetProof())
	if err != nil {
		return nil, err
	}
	if e := entry.GetSnapshotEnded(); e.GetTopic() != f.topic || e.GetBegun() != f.begun || e.GetAbandoned() != abandon {
		return nil, unproven("entry %d is not the end of this full load", entry.GetIndex())
	}
	return resp.GetSnapshot(), nil
}

func (c *Client) snapshots() exchangev1.SnapshotServiceClient {
	return exchangev1.NewSnapshotServiceClient(c.Conn())
}
