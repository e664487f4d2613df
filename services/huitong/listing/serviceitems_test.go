package listing_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/huitong-bus/huitong/deploy"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestTheSampleServiceItems publishes them on an exchange with the sample
// catalogue, which refuses what is not whole and evidence that it does not have.
func TestTheSampleServiceItems(t *testing.T) {
	x := nodetest.Start(t)
	apply(t, planned(t, x, deploy.Catalogue()))
	client := x.Join(t, sample.DataAuthority, "items")
	publisher := client.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { _ = publisher.Close(t.Context()) })
	registered := map[string]bool{}
	for _, s := range planned(t, x, deploy.Catalogue()) {
		registered[s.ID] = s.Kind == "participant"
	}
	lines := bytes.Split(bytes.TrimSpace(deploy.ServiceItems()), []byte("\n"))
	most := 0
	for _, line := range lines {
		item := &recordsv1.ServiceItem{}
		if err := protojson.Unmarshal(line, item); err != nil {
			t.Fatal(err)
		}
		if err := sdk.DescribeItemDocuments(item, deploy.ItemDocuments(), func(string) string { return "text/plain" }); err != nil {
			t.Fatal(err)
		}
		documents, err := client.UploadItemDocuments(t.Context(), item, deploy.ItemDocuments())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := publisher.Do(t.Context(), sdk.Publication{Topic: "service-items", Message: item, Documents: documents}); err != nil {
			t.Errorf("%s: %v", item.Name, err)
		}
		if !registered[item.DepartmentCode] || !strings.HasPrefix(item.ImplementationCode, item.DepartmentCode+item.BasicCode) {
			t.Errorf("%s is of a department that the catalogue does not have, or has another one's code", item.Name)
		}
		shared := 0
		for _, m := range item.Materials {
			if len(m.Evidence) > 0 {
				shared++
			}
		}
		if len(item.Materials) < 3 || shared == 0 || len(item.Questions) == 0 || len(item.Conditions) == 0 {
			t.Errorf("%s: %d materials, %d shared", item.Name, len(item.Materials), shared)
		}
		most = max(most, len(item.Materials))
	}
	if len(lines) < 6 || most < 10 {
		t.Errorf("%d items, at most %d materials", len(lines), most)
	}
}

// TestTheSampleCatalogueAsksForConsent: what its conditions promise is asked for,
// under the codes by which cases are opened.
func TestTheSampleCatalogueAsksForConsent(t *testing.T) {
	known := map[string]bool{}
	for _, line := range bytes.Split(bytes.TrimSpace(deploy.ServiceItems()), []byte("\n")) {
		item := &recordsv1.ServiceItem{}
		if err := protojson.Unmarshal(line, item); err != nil {
			t.Fatal(err)
		}
		known[item.ImplementationCode] = true
	}
	x := nodetest.Start(t)
	apply(t, planned(t, x, deploy.Catalogue()))
	topics, err := x.Catalogue.ListTopics(t.Context(), &cataloguev1.ListTopicsRequest{PageSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	asking := 0
	for _, topic := range topics.Topics {
		asks := topic.Consent != cataloguev1.Consent_CONSENT_UNSPECIFIED
		for _, linked := range topic.ServiceItems {
			asks = asks || linked.Consent != cataloguev1.Consent_CONSENT_UNSPECIFIED
			if !known[linked.Code] {
				t.Errorf("%s: %s is the implementation code of no sample item", topic.Name, linked.Code)
			}
		}
		if promised := strings.Contains(topic.Conditions, "授权"); promised != asks {
			t.Errorf("%s: its conditions say %q, and consent is asked for: %v", topic.Name, topic.Conditions, asks)
		} else if promised {
			asking++
		}
	}
	if asking < 4 {
		t.Errorf("%d topics ask for consent", asking)
	}
}
