package demo

import (
	"context"
	"slices"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

// topic is one entry of the demo's catalogue, and what the service hall may
// see of it.
type topic struct {
	name, title, contract string
	provider              sample.Department
	fields                []string
	subscribe             bool
}

// topics leave out what a hardship subsidy does not need: no telephone, no
// former names, no kind of disability.
func topics() []topic {
	return []topic{
		{departments.Persons, "人口基本信息", "Person", sample.PublicSecurity,
			[]string{"id_type", "id_number", "name", "registered_region", "registered_address", "death_date"}, false},
		{departments.Households, "户籍信息", "Household", sample.PublicSecurity,
			[]string{"household_number", "kind", "members"}, false},
		{departments.Marriages, "婚姻登记信息", "Marriage", sample.CivilAffairs,
			[]string{"certificate_number", "state", "party_a_name", "party_b_name", "registered_date"}, true},
		{departments.Incomes, "工资收入信息", "Income", sample.HumanResources,
			[]string{"record_number", "source", "period_from", "period_until", "gross_fen"}, false},
		{departments.Properties, "不动产登记信息", "Property", sample.Housing,
			[]string{"certificate_number", "ownership", "use", "floor_area_dm2"}, true},
		{departments.Enterprises, "企业登记信息", "Enterprise", sample.MarketRegulation,
			[]string{"credit_code", "name", "state"}, false},
		{departments.Disabilities, "残疾人证信息", "Disability", sample.DisabledPersons,
			[]string{"certificate_number", "name", "grade", "valid_from", "valid_until"}, false},
		{departments.Certificates, "残疾人证电子证照", "Certificate", sample.DisabledPersons,
			[]string{"identifier", "type_name", "holder_name", "valid_from", "valid_until"}, true},
	}
}

func (t topic) modes() []cataloguev1.DeliveryMode {
	modes := []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY}
	if t.name == departments.Incomes {
		modes = append(modes, cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK)
	}
	if t.subscribe || t.name == departments.Persons {
		modes = append(modes, cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE)
	}
	return modes
}

// items are what the topic's records serve; incomes are read for a means test,
// with the consent of every adult of the family.
func (t topic) items() []*cataloguev1.LinkedItem {
	item := &cataloguev1.LinkedItem{Code: departments.HardshipSubsidy, Title: "困难残疾人生活补贴"}
	if t.name == departments.Incomes {
		item.Consent = cataloguev1.Consent_CONSENT_EVERY_ADULT
	}
	return []*cataloguev1.LinkedItem{item}
}

// granted are the modes of the grants that the operator records; checks are
// agreed on by the departments themselves.
func (t topic) granted() []cataloguev1.DeliveryMode {
	return slices.DeleteFunc(t.modes(), func(m cataloguev1.DeliveryMode) bool {
		return m == cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK || m == cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE && !t.subscribe
	})
}

// list puts a topic into the catalogue.
func (t topic) list(ctx context.Context, a *authority.Authority) error {
	return a.CreateTopic(ctx, &cataloguev1.Topic{
		Name: t.name, Title: t.title, Provider: t.provider.Code,
		Contract:      "huitong.records.v1." + t.contract,
		SharingClass:  cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL,
		Conditions:    "社会救助家庭经济状况核对",
		DeliveryModes: t.modes(), SignatureRequired: true, ServiceItems: t.items(),
	})
}

// grant lets the service hall read a topic for the hardship subsidy.
func (t topic) grant(ctx context.Context, a *authority.Authority, consumer string) error {
	g := &accessv1.Grant{
		Topic: t.name, Consumer: consumer,
		Basis: "社会救助暂行办法第五十八条", Scenario: "困难残疾人生活补贴审核",
		Fields: t.fields, ServiceItems: []string{departments.HardshipSubsidy},
		DeliveryModes: t.granted(), Scope: accessv1.GrantScope_GRANT_SCOPE_ALL_SUBJECTS,
	}
	if t.subscribe {
		g.StandingPurpose, g.StandingLegalBasis = departments.HardshipSubsidy, g.Basis
	}
	_, err := a.CreateGrant(ctx, g)
	return err
}
