package node_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

func subsidyItem(evidence ...*recordsv1.Evidence) *recordsv1.ServiceItem {
	return sample.ServiceItem(sample.CivilAffairs.Code+"0007110040001", "困难残疾人生活补贴", sample.CivilAffairs,
		sample.IssuedMaterial("01", "结婚证", sample.CivilAffairs, evidence...))
}

// TestAServiceItemIsCheckedAgainstTheCatalogue: its contract alone cannot say
// which topics there are.
func TestAServiceItemIsCheckedAgainstTheCatalogue(t *testing.T) {
	x := nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "items")
	if err := x.CreateTopic(t.Context(), unconditional("service-items", "ServiceItem", sample.CivilAffairs)); err != nil {
		t.Fatal(err)
	}
	publisher := civil.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { _ = publisher.Close(t.Context()) })
	refused := func(evidence *recordsv1.Evidence, field, rule string) {
		t.Helper()
		_, err := publisher.Publish(t.Context(), "service-items", subsidyItem(evidence))
		wantRule(t, err, fault.Invalid, rule)
		var f *fault.Error
		if !asFault(err, &f) || len(f.Violations) != 1 || f.Violations[0].Field != field || f.Violations[0].Rule != rule {
			t.Errorf("%+v", err)
		}
	}
	good := &recordsv1.Evidence{Topic: "marriage", Condition: "r.state == 1"}
	refused(good, "materials[0].evidence[0].topic", "evidence.topic")
	marriageTopic(t, x)
	refused(&recordsv1.Evidence{Topic: "marriage", Condition: "r.states == 1"}, "materials[0].evidence[0].condition", "evidence.condition")
	if _, err := publisher.Publish(t.Context(), "service-items", subsidyItem(good)); err != nil {
		t.Error(err)
	}
}
