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
	code := sample.CivilAffairs.Code
	return &recordsv1.ServiceItem{
		ImplementationCode: code + "0007110040001", BasicCode: "000711004000", Name: "困难残疾人生活补贴", DepartmentCode: code, DepartmentName: sample.CivilAffairs.Name,
		ServiceObjects: []recordsv1.ServiceObject{recordsv1.ServiceObject_SERVICE_OBJECT_PERSON}, LegalBases: []string{"国发〔2015〕52号"},
		Steps:      []*recordsv1.ServiceStep{{Name: "受理", Requirement: "核对材料是否齐全", Department: sample.CivilAffairs.Name, Limit: 1}},
		LegalLimit: 20, PromisedLimit: 10, LimitUnit: recordsv1.LimitUnit_LIMIT_UNIT_WORKING_DAYS, Fee: recordsv1.Fee_FEE_FREE,
		Contact: "0999-8800001", ComplaintChannel: "12345", Place: "示范市政务服务中心", Hours: "工作日9:00-17:00",
		Materials: []*recordsv1.ItemMaterial{{
			Code: "01", Name: "结婚证", Copies: 1, Medium: recordsv1.MaterialMedium_MATERIAL_MEDIUM_EITHER, Evidence: evidence,
			Necessity: recordsv1.Necessity_NECESSITY_REQUIRED, Source: recordsv1.MaterialSource_MATERIAL_SOURCE_DEPARTMENT,
		}},
		State: recordsv1.ItemState_ITEM_STATE_IN_USE,
	}
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
