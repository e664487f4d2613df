package node_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestAnUnconditionalTopicWithFieldsThatNeedAGrant: who has no grant reads the
// unconditional fields, cut so that what is left proves itself; who has one reads
// its fields; what is not shared leaves for nobody and is in no grant.
func TestAnUnconditionalTopicWithFieldsThatNeedAGrant(t *testing.T) {
	x := nodetest.Start(t)
	police, hall := x.Join(t, sample.PublicSecurity, "residents"), x.Join(t, sample.ServiceHall, "hall")
	topic := unconditional("mixed", "Person", sample.PublicSecurity)
	topic.Conditions, topic.LegalBasis = "按事项授权", "《政务数据共享条例》第十四条"
	topic.Items = []*cataloguev1.TopicItem{
		{Name: "birth_date", SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL},
		{Name: "sex", SharingClass: cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED, LegalBasis: "《政务数据共享条例》第十四条"},
	}
	if err := x.CreateTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	p := police.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { _ = p.Close(t.Context()) })
	m := sample.NewCity(3, 10).Persons()[0]
	if m.BirthDate == "" || m.Sex == 0 {
		t.Fatal("the sample has nothing to cut")
	}
	if _, err := p.Publish(t.Context(), "mixed", m); err != nil {
		t.Fatal(err)
	}
	x.OpenCase(t, hall, acting.Case, acting.Purpose, sdk.Subject{Type: m.IdType, Number: m.IdNumber})
	sees := func(what string, want *recordsv1.Person) {
		t.Helper()
		// The client checks the cut against what was published; Verify the release.
		a, err := hall.Query(t.Context(), sdk.Query{Topic: "mixed", Acting: acting, By: sdk.ByKey(m.IdNumber)})
		if err != nil {
			t.Fatal(what, err)
		}
		if len(a.Records) != 1 {
			t.Fatalf("%s: %d records", what, len(a.Records))
		}
		got, err := sdk.As[*recordsv1.Person](&a.Records[0])
		if err != nil {
			t.Fatal(what, err)
		}
		if !proto.Equal(got, want) {
			t.Errorf("%s: %v left, not %v", what, got, want)
		}
		if !a.Records[0].IsWithheld(5) {
			t.Errorf("%s: what is not shared is not told as withheld: %v", what, a.Records[0].Withheld)
		}
		if err := a.Release.Verify(x.Node.LedgerKey()); err != nil {
			t.Error(what, err)
		}
	}
	free := proto.CloneOf(m)
	free.BirthDate, free.Sex = "", 0
	sees("without a grant", free)
	granted := &accessv1.Grant{
		Topic: "mixed", Consumer: sample.ServiceHall.Code, Basis: "办法第五条", Scenario: "补贴审核", ServiceItems: []string{acting.Purpose},
		Fields:        []string{"id_type", "id_number", "birth_date", "sex"},
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	}
	_, err := x.Access.CreateGrant(t.Context(), &accessv1.CreateGrantRequest{Grant: granted})
	var refused *fault.Error
	if err = fault.FromStatus(err); !asFault(err, &refused) || len(refused.Violations) != 1 || refused.Violations[0].Rule != "field.not_shared" {
		t.Errorf("a field that is not shared is granted: %v", err)
	}
	granted.Fields = granted.Fields[:3]
	g, err := x.CreateGrant(t.Context(), granted)
	if err != nil {
		t.Fatal(err)
	}
	sees("with a grant", &recordsv1.Person{IdType: m.IdType, IdNumber: m.IdNumber, BirthDate: m.BirthDate})
	if _, err := x.Access.SuspendGrant(t.Context(), &accessv1.SuspendGrantRequest{Id: g.Id, Reason: "核查"}); err != nil {
		t.Fatal(err)
	}
	sees("with a suspended grant", free)
}

// TestADraftIsReadByNobody: not by its provider, to whom it is said why, and for
// others it does not exist.
func TestADraftIsReadByNobody(t *testing.T) {
	x := nodetest.Start(t)
	police, hall := x.Join(t, sample.PublicSecurity, "residents"), x.Join(t, sample.ServiceHall, "hall")
	if _, err := cataloguev1.NewCatalogueServiceClient(police.Conn()).CreateTopic(t.Context(), &cataloguev1.CreateTopicRequest{
		Topic: unconditional("draft", "Person", sample.PublicSecurity),
	}); err != nil {
		t.Fatal(err)
	}
	for rule, c := range map[string]*sdk.Client{"topic.unpublished": police, "topic.unknown": hall} {
		_, err := c.Query(t.Context(), sdk.Query{Topic: "draft", Acting: acting, By: sdk.ByKey("999999199001010016")})
		if fault.RuleOf(err) != rule {
			t.Errorf("not %s: %v", rule, err)
		}
	}
}
