package node_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/huitong-bus/huitong/exchange/contract"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	contractv1 "github.com/huitong-bus/huitong/proto/gen/huitong/contract/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

const unnamedIncome = "example.unnamed.v1.Income"

// unnamedContract is the standard contract of incomes under another name, without
// saying which field names the person.
func unnamedContract(t *testing.T) []byte {
	t.Helper()
	all := contract.Standard()
	at := slices.IndexFunc(all, func(k *contract.Contract) bool { return k.Name() == "huitong.records.v1.Income" })
	// The same length, so that the wire form stays whole.
	raw := bytes.ReplaceAll(all[at].DescriptorSet(), []byte("huitong.records.v1"), []byte("example.unnamed.v1"))
	set := &descriptorpb.FileDescriptorSet{}
	ok(t, proto.Unmarshal(raw, set))
	for _, f := range set.File {
		for _, m := range f.MessageType {
			if f.GetPackage()+"."+m.GetName() != unnamedIncome {
				continue
			}
			o := proto.GetExtension(m.Options, contractv1.E_Record).(*contractv1.RecordOptions)
			o.Subjects[0].NamePath = ""
			proto.SetExtension(m.Options, contractv1.E_Record, o)
		}
	}
	raw, err := proto.Marshal(set)
	ok(t, err)
	return raw
}

// TestSeveralRecordsOfNobodyNamedAreNotCollected: where the contract does not say
// which field names the person, one record stands in and of two none is guessed,
// though their names are the same.
func TestSeveralRecordsOfNobodyNamedAreNotCollected(t *testing.T) {
	c := newCounter(t)
	payroll := c.Join(t, sample.HumanResources, "payroll")
	_, err := cataloguev1.NewCatalogueServiceClient(payroll.Conn()).RegisterContract(t.Context(), &cataloguev1.RegisterContractRequest{
		Name: unnamedIncome, DescriptorSet: unnamedContract(t),
	})
	ok(t, err)
	topic := unconditional("unnamed", "Income", sample.HumanResources)
	topic.Contract = unnamedIncome
	ok(t, c.CreateTopic(t.Context(), topic))
	item := counterItem()
	for _, m := range item.Materials {
		if m.Code == "birth" {
			m.Evidence = []*recordsv1.Evidence{{Topic: "unnamed"}}
		}
	}
	c.publish(t, c.hall, "items", item)
	publisher := payroll.Publisher(sdk.PublisherConfig{CallUnary: true})
	t.Cleanup(func() { _ = publisher.Close(t.Context()) })
	for n, want := range []sdk.MaterialState{sdk.MaterialHeld, sdk.MaterialAmbiguous} {
		json, err := protojson.Marshal(income(earner, n))
		ok(t, err)
		_, err = publisher.PublishJSON(t.Context(), "unnamed", json)
		ok(t, err)
		if m := c.states(t)["birth"]; m.State != want {
			t.Fatalf("%d records make it %v", n+1, m)
		}
	}
	m := c.states(t)["birth"]
	if m.Rule != "material.ambiguous" || !strings.Contains(m.Reason, "does not say which field names the person") || len(m.Shows) != 0 {
		t.Errorf("it is %v", m)
	}
	got, err := c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant})
	ok(t, err)
	if slices.ContainsFunc(got.Copies, func(one sdk.Copy) bool { return one.Material == "birth" }) {
		t.Error("one of them was collected")
	}
	fsck(t, c.Exchange)
}
