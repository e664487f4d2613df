package node_test

import (
	"context"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// personRows are the officials of o's department: of its own systems and of
// operators.
func (p *permissions) personRows() []matrixRow {
	own := map[string]string{"o": "ok", "M": "ok", "": "DENIED participant.other + refused"}
	read := map[string]string{"o": "ok", "M": "ok", "A": "ok", "W": noCatalogue, "": "NOT_FOUND person.unknown"}
	id := func() []byte { f := p.person.Fingerprint(); return f[:] }
	return []matrixRow{
		{"catalogue.EnrolPerson", func(ctx context.Context, c clientsOf) error {
			k, err := sdk.NewPersonKey()
			if err != nil {
				return err
			}
			possession, err := k.Possession(p.Client.Origin(), sample.CivilAffairs.Code)
			if err != nil {
				return err
			}
			return tried(c.EnrolPerson(ctx, &cataloguev1.EnrolPersonRequest{
				Participant: sample.CivilAffairs.Code, Reference: "MZ-02", Name: "李", Capacities: []cataloguev1.Capacity{sdk.AsHead},
				PublicKey: k.PublicKey(), Possession: possession, ValidateOnly: true,
			}))
		}, own},
		{"catalogue.ListPersons", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListPersons(ctx, &cataloguev1.ListPersonsRequest{Participant: sample.CivilAffairs.Code}))
		}, map[string]string{"o": "ok", "M": "ok", "A": "ok", "W": noCatalogue, "": "DENIED participant.other + refused"}},
		{"catalogue.GetPerson", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetPerson(ctx, &cataloguev1.GetPersonRequest{Fingerprint: id()}))
		}, read},
		{"catalogue.ChangePerson", func(ctx context.Context, c clientsOf) error {
			return tried(c.ChangePerson(ctx, &cataloguev1.ChangePersonRequest{Fingerprint: id(), Capacities: []cataloguev1.Capacity{sdk.AsClerk}, ValidateOnly: true}))
		}, own},
		{"catalogue.SuspendPerson", func(ctx context.Context, c clientsOf) error {
			return tried(c.SuspendPerson(ctx, &cataloguev1.SuspendPersonRequest{Fingerprint: id(), Reason: "r", ValidateOnly: true}))
		}, own},
		{"catalogue.ResumePerson", func(ctx context.Context, c clientsOf) error {
			return tried(c.ResumePerson(ctx, &cataloguev1.ResumePersonRequest{Fingerprint: id(), ValidateOnly: true}))
		}, own},
		{"catalogue.RemovePerson", func(ctx context.Context, c clientsOf) error {
			return tried(c.RemovePerson(ctx, &cataloguev1.RemovePersonRequest{Fingerprint: id(), Reason: "r", ValidateOnly: true}))
		}, own},
		{"catalogue.PutGroup", func(ctx context.Context, c clientsOf) error {
			return tried(c.PutGroup(ctx, &cataloguev1.PutGroupRequest{ValidateOnly: true, Group: &cataloguev1.Group{
				Id: "halls", Title: "政务大厅", Members: []string{sample.ServiceHall.Code, sample.Housing.Code}, Lead: sample.ServiceHall.Code,
			}}))
		}, map[string]string{"M": "ok", "": notOperator}},
		{"catalogue.ListGroups", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListGroups(ctx, &cataloguev1.ListGroupsRequest{}))
		}, map[string]string{"": "ok", "W": noCatalogue}},
		{"catalogue.RemoveGroup", func(ctx context.Context, c clientsOf) error {
			return tried(c.RemoveGroup(ctx, &cataloguev1.RemoveGroupRequest{Id: "halls", Reason: "r"}))
		}, map[string]string{"M": "NOT_FOUND group.unknown + refused", "": notOperator}},
	}
}
