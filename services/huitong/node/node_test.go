package node_test

import (
	"sync"
	"testing"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// marriageTopic lists a topic of marriages that civil affairs provides.
func marriageTopic(t *testing.T, x *nodetest.Exchange) {
	t.Helper()
	err := x.CreateTopic(t.Context(), &cataloguev1.Topic{
		Name: "marriage", Title: "婚姻登记信息", Provider: sample.CivilAffairs.Code, Contract: "huitong.records.v1.Marriage",
		SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "按事项授权",
		DeliveryModes:     []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY, cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
		SignatureRequired: true,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func marriages(people int) []*recordsv1.Marriage { return sample.NewCity(1, people).Marriages() }

func TestPublishedRecordsHaveReceiptsThatProveThemselves(t *testing.T) {
	x := nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	marriageTopic(t, x)
	p := civil.Publisher(sdk.PublisherConfig{})
	records := marriages(1500)
	if len(records) == 0 {
		t.Fatal("no records")
	}
	var wg sync.WaitGroup
	receipts := make([]*sdk.Receipt, len(records))
	for i, r := range records {
		wg.Go(func() {
			var err error
			if receipts[i], err = p.Publish(t.Context(), "marriage", r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	for _, r := range receipts {
		if r == nil {
			t.FailNow()
		}
		if err := r.Verify(x.Node.LedgerKey()); err != nil {
			t.Fatal(err)
		}
		if seen[r.Index] {
			t.Fatalf("entry %d stands for two records", r.Index)
		}
		seen[r.Index] = true
	}
}
