// Package departments holds sample department systems, written as a
// department's own engineers would write theirs: against the SDK and the
// standard records, and nothing else of the exchange.
//
// A source department publishes what it holds (PublicSecurity, CivilAffairs,
// …). The service hall (Hall) receives disability certificates by subscription
// and queries the other departments for a case.
package departments

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/sdk"
)

// Topics that the sample departments provide.
const (
	Persons      = "person"
	Households   = "household"
	Marriages    = "marriage"
	Incomes      = "income"
	Properties   = "real-estate"
	Enterprises  = "enterprise"
	Disabilities = "disability"
	Certificates = "disability-certificate"
)

// Published counts what a department published.
type Published struct {
	Records  int
	Warnings int
	// Topics counts records by topic.
	Topics map[string]int
	// Last is the receipt of the last record.
	Last *sdk.Receipt
}

func (p *Published) add(o Published) {
	p.Records += o.Records
	p.Warnings += o.Warnings
	for topic, n := range o.Topics {
		p.Topics[topic] += n
	}
	if o.Last != nil {
		p.Last = o.Last
	}
}

// publish publishes all records on a topic and fails with the first that is
// refused: what a department sends from its own register is to be in order.
func publish[M proto.Message](ctx context.Context, p *sdk.Publisher, topic string, records []M) (Published, error) {
	results, err := sdk.For[M](p, topic).PublishBatch(ctx, records)
	if err != nil {
		return Published{}, fmt.Errorf("publish %s: %w", topic, err)
	}
	done := Published{Topics: map[string]int{topic: 0}}
	for i, r := range results {
		if r.Err != nil {
			return done, fmt.Errorf("publish %s, record %d: %w", topic, i+1, r.Err)
		}
		done.Records, done.Warnings, done.Last = done.Records+1, done.Warnings+len(r.Receipt.Warnings), r.Receipt
		done.Topics[topic]++
	}
	return done, nil
}

// publishTwo publishes on two topics, one after the other.
func publishTwo[A, B proto.Message](ctx context.Context, p *sdk.Publisher, topicA string, a []A, topicB string, b []B) (Published, error) {
	done, err := publish(ctx, p, topicA, a)
	if err != nil {
		return done, err
	}
	more, err := publish(ctx, p, topicB, b)
	done.add(more)
	return done, err
}
