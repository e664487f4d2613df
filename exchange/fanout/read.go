package fanout

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/predicate"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// maxTopicName bounds the name of a topic, in bytes.
const maxTopicName = 96

// read checks what is asked and gives it normalised; who may ask is not decided
// here.
func read(r *exchangev1.AskAllRequest) (*exchangev1.AskAllRequest, error) {
	switch {
	case len(r.Key) != verify.KeySize:
		return nil, fault.Field("key", "fan_out.key", "needs %d bytes; make it once, and send it again to go on", verify.KeySize)
	case len(r.Sources) == 0 || len(r.Sources) > MaxSources:
		return nil, fault.Field("sources", "fan_out.sources", "names 1 to %d sources, not %d", MaxSources, len(r.Sources))
	}
	n := &exchangev1.AskAllRequest{Key: r.Key, Acting: r.Acting, Json: r.Json}
	if n.Acting == nil {
		n.Acting = &exchangev1.Acting{}
	}
	for i, s := range r.Sources {
		source, err := readSource(s)
		if err != nil {
			return nil, err
		}
		for _, before := range n.Sources[:i] {
			if sameQuestion(before, source) {
				return nil, fault.Field("sources", "fan_out.twice", "asks %s twice about one subject; ask once", source.Topic)
			}
		}
		n.Sources = append(n.Sources, source)
	}
	return n, nil
}

func readSource(s *exchangev1.Source) (*exchangev1.Source, error) {
	switch {
	case s.GetTopic() == "" || len(s.Topic) > maxTopicName:
		return nil, fault.Field("sources.topic", "topic.required", "names the topic to ask")
	case s.Check != "" && !predicate.NameFormat.MatchString(s.Check):
		return nil, fault.Field("sources.check", "check.name", "names a check of the grant")
	case s.Threshold != "" && (s.Check == "" || !predicate.NameFormat.MatchString(s.Threshold)):
		return nil, fault.Field("sources.threshold", "check.threshold", "names a threshold of the check, or is empty where it has none")
	case s.Wait != nil && (s.Wait.CheckValid() != nil || s.Wait.AsDuration() < time.Millisecond || s.Wait.AsDuration() > MaxWait):
		return nil, fault.Field("sources.wait", "fan_out.wait", "is 1 ms to %v", MaxWait)
	case len(s.Subject.GetRole()) > 64:
		return nil, fault.Field("sources.subject.role", "subject.role", "has more than 64 bytes")
	}
	number, err := contract.Normalise(s.Subject.GetType(), s.Subject.GetNumber())
	if err != nil {
		return nil, fault.Field("sources.subject.number", fault.RuleOf(err), "%s", fault.Status(err).Message())
	}
	n := proto.CloneOf(s)
	n.Subject = &ledgerv1.Subject{Type: s.Subject.Type, Number: number, Role: s.Subject.Role}
	return n, nil
}

func sameQuestion(a, b *exchangev1.Source) bool {
	return a.Topic == b.Topic && a.Check == b.Check && a.Threshold == b.Threshold &&
		a.Subject.Type == b.Subject.Type && a.Subject.Number == b.Subject.Number
}

// sameRequest says whether two requests ask the same.
func sameRequest(a, b *exchangev1.AskAllRequest) bool {
	a, b = proto.CloneOf(a), proto.CloneOf(b)
	a.Json, b.Json = false, false
	return proto.Equal(a, b)
}

func waitOf(s *exchangev1.Source) time.Duration {
	if s.Wait == nil {
		return DefaultWait
	}
	return s.Wait.AsDuration()
}
