package node_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestHiddenTexts sends texts that people cannot see as they are, in a call and on
// a stream.
func TestHiddenTexts(t *testing.T) {
	x := nodetest.Start(t, node.Config{})
	civil := x.Join(t, sample.CivilAffairs, "registry")
	before := x.Node.Journal.Head().Size
	_, err := accessv1.NewDeadlineServiceClient(civil.Conn()).ListDeadlines(t.Context(), &accessv1.ListDeadlinesRequest{Kind: "a\u202eb"})
	if err := fault.FromStatus(err); fault.RuleOf(err) != "kind.text" {
		t.Errorf("a call: %v", err)
	}
	stream, err := exchangev1.NewExchangeServiceClient(civil.Conn()).Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	open := &exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Open{Open: &exchangev1.SubscribeOpen{Subscription: "s", Member: "a\nb"}}}
	if err := stream.Send(open); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	if err := fault.FromStatus(err); fault.RuleOf(err) != "member.text" {
		t.Errorf("a stream: %v", err)
	}
	if now := x.Node.Journal.Head().Size; now != before {
		t.Errorf("%d entries", now-before)
	}
}
