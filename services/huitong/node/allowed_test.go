package node_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// allowed gives what a client may use, by topic and mode, and what it may not.
func allowed(t *testing.T, c *sdk.Client) (uses map[string]*accessv1.AllowedUse, refused map[string]string) {
	t.Helper()
	uses, refused = map[string]*accessv1.AllowedUse{}, map[string]string{}
	for topic, err := range c.TopicsAndRules(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range topic.Uses {
			uses[topic.Name+" "+mode(u.Mode)] = u
		}
		for _, r := range topic.Refused {
			refused[topic.Name+" "+mode(r.Mode)] = r.Rule
			if r.Message == "" {
				t.Errorf("%s does not say what would change it", r.Rule)
			}
		}
	}
	return uses, refused
}

func mode(m cataloguev1.DeliveryMode) string { return m.String()[len("DELIVERY_MODE_"):] }

func TestWhatACallerMayUse(t *testing.T) {
	in := newIncomes(t, 5)
	in.earn(t, 1, 400_000)
	free := unconditional("holidays", "Consultation", sample.CivilAffairs)
	in.Join(t, sample.CivilAffairs, "registry")
	if err := in.CreateTopic(t.Context(), free); err != nil {
		t.Fatal(err)
	}
	in.want(t, sdk.CheckYes, earner, "has-wage", "")

	uses, refused := allowed(t, in.hall)
	u := uses["income CHECK"]
	if u == nil || u.Grant != in.grant.Id || u.GetDailyLimit() != 5 || u.GetLeftToday() != 4 || len(u.Checks) != 3 || len(u.Fields) != 0 ||
		len(u.Purposes) != 1 || u.Purposes[0].Item != acting.Purpose {
		t.Errorf("the check: %v", u)
	}
	if u := uses["holidays QUERY"]; u == nil || !u.EveryField || u.Grant != "" || len(u.Purposes) != 0 || u.DailyLimit != nil {
		t.Errorf("the unconditional topic: %v", u)
	}
	for what, rule := range map[string]string{
		"income QUERY": "grant.delivery_mode", "income SUBSCRIBE": "topic.delivery_mode", "holidays CHECK": "topic.delivery_mode",
	} {
		if refused[what] != rule {
			t.Errorf("%s: %q, not %s", what, refused[what], rule)
		}
	}
	// What is told is what is decided.
	_, err := in.hall.Query(t.Context(), sdk.Query{Topic: "income", Acting: acting, By: sdk.ByKey("SR-01")})
	wantRule(t, err, fault.Denied, refused["income QUERY"])

	own, refused := allowed(t, in.tax)
	if u := own["income QUERY"]; u == nil || !u.EveryField || u.Grant != "" {
		t.Errorf("the provider's own topic: %v", u)
	}
	if refused["income CHECK"] != "check.unknown" {
		t.Errorf("the provider's check: %q", refused["income CHECK"])
	}
	if _, err := in.Access.SuspendGrant(t.Context(), &accessv1.SuspendGrantRequest{Id: in.grant.Id, Reason: "核查"}); err != nil {
		t.Fatal(err)
	}
	if uses, refused = allowed(t, in.hall); uses["income CHECK"] != nil || refused["income CHECK"] != "grant.suspended" {
		t.Errorf("a suspended grant: %v, %q", uses["income CHECK"], refused["income CHECK"])
	}
	for topic, err := range in.hall.AllowedTopics(t.Context()) {
		if err != nil || len(topic.Refused) > 0 || topic.Name == "income" {
			t.Errorf("%v, %v", topic, err)
		}
	}
}

// TestAllowedTopicsComeInPages of topics, however few of them may be used.
func TestAllowedTopicsComeInPages(t *testing.T) {
	in := newIncomes(t, 0)
	in.Join(t, sample.CivilAffairs, "registry")
	for _, name := range []string{"a", "b", "c", "x", "y"} {
		topic := unconditional(name, "Marriage", sample.CivilAffairs)
		if name == "b" || name == "x" {
			topic.SharingClass, topic.Conditions = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, "社会救助家庭经济状况核对"
		}
		if err := in.CreateTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	service := accessv1.NewAllowedServiceClient(in.hall.Conn())
	var names []string
	for r := (&accessv1.AllowedTopicsRequest{PageSize: 2}); ; {
		resp, err := service.AllowedTopics(t.Context(), r)
		if err != nil || len(resp.Topics) > 2 {
			t.Fatal(resp, err)
		}
		for _, topic := range resp.Topics {
			names = append(names, topic.Name)
		}
		if r = (&accessv1.AllowedTopicsRequest{PageSize: 2, PageToken: resp.NextPageToken}); resp.NextPageToken == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "c", "huitong-deadlines", "huitong-fanout-answers", "huitong-fanout-reports", "huitong-fanout-requests", "huitong-notices", "income", "y"}) {
		t.Errorf("%v", names)
	}
	resp, err := service.AllowedTopics(t.Context(), &accessv1.AllowedTopicsRequest{Topic: "b", IncludeRefused: true})
	if err != nil || len(resp.Topics) != 1 || len(resp.Topics[0].Refused) != 3 {
		t.Errorf("%v, %v", resp, err)
	}
	for _, bad := range []*accessv1.AllowedTopicsRequest{{PageToken: "%"}, {PageSize: 1001}} {
		if _, err := service.AllowedTopics(t.Context(), proto.CloneOf(bad)); fault.KindOf(fault.FromStatus(err)) != fault.Invalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
	_, err = service.AllowedTopics(t.Context(), &accessv1.AllowedTopicsRequest{Topic: "none"})
	wantRule(t, fault.FromStatus(err), fault.NotFound, "topic.unknown")
}
