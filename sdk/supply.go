package sdk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// supplierRequests is the exchange's own topic of what suppliers are asked.
const supplierRequests = "huitong-fanout-requests"

// supplierAttempts is how often a request is handed to a supplier that fails: with
// the exchange's waits in between, for about an hour.
const supplierAttempts = 20

// Asked is what a supplier is asked: about one subject, for a case of another
// department.
type Asked struct {
	// ID names the request: the same each time it is handed over.
	ID    string
	Topic string
	// Consumer is the participant that asks, Purpose the service item and Case that
	// department's case number.
	Consumer, Purpose, Case string
	Subject                 Subject
	// Fields are those that may reach who asks; all if empty. The exchange cuts the
	// records to them.
	Fields []string
	// Deadline is until when who asks waits; LateUntil until when a late answer is
	// taken.
	Deadline, LateUntil time.Time
}

// Supplied is what a supplier answers; see Found, NotFound and Refused.
type Supplied struct {
	outcome recordsv1.SupplierOutcome
	records []proto.Message
	rule    string
}

// Found answers with 1 to 16 records of the topic's contract, about the subject.
// They are published on the topic, as by Publisher.
func Found(records ...proto.Message) *Supplied {
	return &Supplied{outcome: recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_FOUND, records: records}
}

// NotFound answers that the supplier holds nothing about the subject.
func NotFound() *Supplied {
	return &Supplied{outcome: recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_NOT_FOUND}
}

// Refused answers that the supplier does not say, by a rule of its own, such as
// "supplier.frozen"; it names no person.
func Refused(rule string) *Supplied {
	return &Supplied{outcome: recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_REFUSED, rule: rule}
}

// Supplier looks up what it is asked. It may be called again for a request that
// was not answered to the end; what it gave first stands. With an error it is
// called again later, so a system that is down for a while answers late.
type Supplier func(ctx context.Context, asked *Asked) (*Supplied, error)

// Supply answers requests to a topic of the calling department that is answered
// live, also those that came while nobody did, until the subscription that it
// returns ends. Several systems or members share the requests of one subscription
// only if they are one system: each system of a department is asked.
func (c *Client) Supply(ctx context.Context, topic string, supplier Supplier, opts ...SubscribeOption) (*Subscription, error) {
	resp, err := c.catalogue().GetTopic(ctx, &cataloguev1.GetTopicRequest{Name: topic})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	switch t := resp.GetTopic(); {
	case t.GetProvider() != c.Participant():
		return nil, fault.New(fault.Denied, "topic.owner", "only the topic's provider answers for it, and %s is another's", topic)
	case !t.GetAnsweredLive():
		return nil, fault.New(fault.Conflict, "sdk.supply", "the catalogue does not say that %s is answered live; change its entry, or publish its records", topic)
	}
	name := supplyName(topic)
	_, err = c.EnsureSubscription(ctx, NewSubscription{
		Name: name, Topic: supplierRequests, Start: FromCurrent(), AckWait: 2 * time.Minute, MaxAttempts: supplierAttempts,
	})
	if err != nil {
		return nil, err
	}
	s := &supply{client: c, topic: topic, supplier: supplier, publisher: c.Publisher(PublisherConfig{})}
	subscription, err := c.Subscribe(ctx, name, Handle(s.handle), opts...)
	if err != nil {
		_ = s.publisher.Close(ctx)
		return nil, err
	}
	go func() {
		<-subscription.Closed()
		_ = s.publisher.Close(context.WithoutCancel(ctx))
	}()
	return subscription, nil
}

// supplyName names the subscription of a topic's supplier.
func supplyName(topic string) string {
	if len(topic) > 48 {
		sum := sha256.Sum256([]byte(topic))
		topic = hex.EncodeToString(sum[:16])
	}
	return "supply-" + topic
}

// settled are the refusals of an answer that nobody waits for: another was given,
// or it is too late, or what was asked is erased.
var settled = []string{"answer.twice", "answer.too_late", "answer.request"}

type supply struct {
	client    *Client
	topic     string
	supplier  Supplier
	publisher *Publisher
}

func (s *supply) handle(ctx context.Context, _ *Delivery, r *recordsv1.SupplierRequest) error {
	if r == nil || r.Topic != s.topic || time.Now().After(time.UnixMicro(r.LateUntilUs)) {
		return nil
	}
	given, err := s.supplier(ctx, &Asked{
		ID: r.RequestId, Topic: r.Topic, Consumer: r.Consumer, Purpose: r.Purpose, Case: r.CaseNumber,
		Subject: Subject{Type: r.IdType, Number: r.IdNumber}, Fields: r.Fields,
		Deadline: microTime(r.DeadlineUs), LateUntil: microTime(r.LateUntilUs),
	})
	if err != nil {
		return err
	}
	if given == nil {
		given = NotFound()
	}
	answer := &exchangev1.AnswerRequestRequest{RequestId: r.RequestId, Outcome: given.outcome, Rule: given.rule}
	var bad error
	if answer.Records, bad = s.publish(ctx, r.RequestId, given.records); bad != nil {
		if fault.KindOf(bad) != fault.Invalid {
			return bad
		}
		// It will not become good by itself: who asks is not kept waiting.
		answer.Outcome, answer.Records, answer.Rule = recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_REFUSED, nil, "supplier.record"
	}
	_, err = exchangev1.NewFanOutServiceClient(s.client.Conn()).AnswerRequest(ctx, answer)
	switch err := fault.FromStatus(err); {
	case err == nil || slices.Contains(settled, fault.RuleOf(err)):
	case fault.KindOf(err).Retryable():
		return err
	default:
		return DeadLetter(err, "the answer was refused: "+fault.RuleOf(err))
	}
	if bad != nil {
		return DeadLetter(bad, "a record was refused: "+fault.RuleOf(bad))
	}
	return nil
}

// publish publishes what was found, each record under a key of the request: found
// again, it is the same publication.
func (s *supply) publish(ctx context.Context, request string, records []proto.Message) (entries []uint64, err error) {
	for i, m := range records {
		sum := sha256.Sum256(fmt.Appendf(nil, "huitong/supply/v1\x00%s\x00%d", request, i))
		receipt, err := s.publisher.Publish(ctx, s.topic, m, WithIdempotencyKey(IdempotencyKey(sum[:len(IdempotencyKey{})])))
		if err != nil {
			return nil, err
		}
		entries = append(entries, receipt.Index)
	}
	return entries, nil
}
