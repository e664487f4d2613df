// Package notice is the exchange's notice board: what the exchange itself has to
// tell, it publishes as records on topics of its own, by the way of all records.
// So a notice has its place in the ledger and in the stream, is delivered until
// it is acknowledged, and is read again after a crash.
//
// "huitong-deadlines" tells of legal clocks that passed, were extended or were met
// late (huitong.records.v1.Deadline). "huitong-notices" tells a participant what
// happened to a record that it received (huitong.records.v1.Notice), on a
// subscription that every system has from its enrolment; one that none of the
// participant's systems acknowledges becomes a deadline that passed. The three
// "huitong-fanout-…" hold what suppliers are asked, what they answer, and what came
// of it for who asked. Each record names the participants that it is for as its
// subjects, and these read it without a grant.
package notice

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// The exchange's own topics.
const (
	Deadlines = deadline.Topic
	Notices   = verify.OwnPrefix + "notices"

	FanOutRequests = verify.FanOutPrefix + "requests"
	FanOutAnswers  = verify.FanOutPrefix + "answers"
	FanOutReports  = verify.FanOutPrefix + "reports"
)

// topics are how the catalogue lists them.
func topics() []*cataloguev1.Topic {
	own := func(name, title, contract string) *cataloguev1.Topic {
		return &cataloguev1.Topic{
			Name: name, Title: title, Contract: contract,
			SharingClass:  cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL,
			Conditions:    "由交换平台自动发布；各部门只订阅到与本部门有关的记录，无需申请",
			LegalBasis:    "政务数据共享条例",
			UpdateCycle:   cataloguev1.UpdateCycle_UPDATE_CYCLE_REAL_TIME,
			DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
		}
	}
	return []*cataloguev1.Topic{
		own(Deadlines, "办理时限", "huitong.records.v1.Deadline"),
		own(Notices, "告知", "huitong.records.v1.Notice"),
		own(FanOutRequests, "协查请求", "huitong.records.v1.SupplierRequest"),
		own(FanOutAnswers, "协查答复", "huitong.records.v1.SupplierAnswer"),
		own(FanOutReports, "并行核查报告", "huitong.records.v1.FanOutReport"),
	}
}

// Board publishes the exchange's own records. It is safe for concurrent use.
type Board struct{ intake *intake.Intake }

// Open lists the topics in the catalogue if they are not there yet.
func Open(ctx context.Context, c *catalog.Catalogue, in *intake.Intake) (*Board, error) {
	if err := c.FoundOwn(ctx, topics()...); err != nil {
		return nil, err
	}
	return &Board{intake: in}, nil
}

// Publish publishes a record on a topic of the exchange's own. The key makes it
// single: under a key that was published before nothing changes, so whoever is
// not sure publishes again. After an error it may yet be published.
func (b *Board) Publish(ctx context.Context, topic string, idempotencyKey [verify.KeySize]byte, m proto.Message) error {
	_, err := b.Put(ctx, topic, idempotencyKey, m)
	return err
}

// PublishWith is Publish, and writes in the entry's transaction what goes with the
// record, the first time.
func (b *Board) PublishWith(ctx context.Context, topic string, idempotencyKey [verify.KeySize]byte, m proto.Message, with journal.With) error {
	_, err := b.PutWith(ctx, topic, idempotencyKey, m, with)
	return err
}

// Put is Publish, and gives the index of the record's entry: that of the first
// time, if there was one.
func (b *Board) Put(ctx context.Context, topic string, idempotencyKey [verify.KeySize]byte, m proto.Message) (index uint64, err error) {
	return b.intake.PublishOwn(ctx, topic, idempotencyKey, m)
}

// PutWith is Put, and writes in the entry's transaction what goes with the record,
// the first time. Where that is refused as Stale, nothing is published.
func (b *Board) PutWith(ctx context.Context, topic string, idempotencyKey [verify.KeySize]byte, m proto.Message, with journal.With) (index uint64, err error) {
	return b.intake.PublishOwnWith(ctx, topic, idempotencyKey, m, with)
}

// PutVersion is PutWith with a growing version of the record: one that is not
// larger than the record's is refused as Stale.
func (b *Board) PutVersion(ctx context.Context, topic string, idempotencyKey [verify.KeySize]byte, version uint64, m proto.Message, with journal.With) (index uint64, err error) {
	return b.intake.PublishOwnVersion(ctx, topic, idempotencyKey, version, m, with)
}

// Erase erases records of the exchange's own, as intake.EraseOwn does.
func (b *Board) Erase(ctx context.Context, system, reason string, erasures []intake.OwnErasure) (index uint64, err error) {
	return b.intake.EraseOwn(ctx, system, reason, erasures)
}
