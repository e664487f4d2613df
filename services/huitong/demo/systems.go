package demo

import (
	"context"
	"errors"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

// systems are the connected systems of the sample city.
type systems struct {
	sources map[string]*sdk.Client // by the department's code
	hall    *sdk.Client
	// stranger is enrolled and has no grant.
	stranger *sdk.Client
	auditor  *sdk.Client
}

func (s *systems) close() error {
	var err error
	for _, c := range s.sources {
		err = errors.Join(err, c.Close())
	}
	for _, c := range []*sdk.Client{s.hall, s.stranger, s.auditor} {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	return err
}

// admit registers the city's departments, enrols their systems, lists topics
// and grants the service hall what it needs. What it gives is to be closed,
// also beside an error.
func admit(ctx context.Context, a *authority.Authority) (*systems, error) {
	s := &systems{sources: make(map[string]*sdk.Client)}
	for _, source := range departments.Sources() {
		client, err := register(ctx, a, source.Department, source.System, cataloguev1.Role_ROLE_DEPARTMENT)
		if err != nil {
			return s, err
		}
		s.sources[source.Department.Code] = client
	}
	var err error
	if s.hall, err = register(ctx, a, sample.ServiceHall, "hall", cataloguev1.Role_ROLE_DEPARTMENT); err != nil {
		return s, err
	}
	if s.auditor, err = register(ctx, a, sample.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR); err != nil {
		return s, err
	}
	// A second system of a department that has no grant on incomes.
	if s.stranger, err = enrol(ctx, a, sample.MarketRegulation, "inspection", cataloguev1.Role_ROLE_DEPARTMENT); err != nil {
		return s, err
	}
	for _, t := range topics() {
		if err := t.list(ctx, a); err != nil {
			return s, err
		}
		if err := t.grant(ctx, a, sample.ServiceHall.Code); err != nil {
			return s, err
		}
	}
	return s, nil
}

// register registers a department and enrols its first system.
func register(ctx context.Context, a *authority.Authority, d sample.Department, system string, role cataloguev1.Role) (*sdk.Client, error) {
	if err := a.Register(ctx, &cataloguev1.Participant{Code: d.Code, Name: d.Name, Region: sample.Region}); err != nil {
		return nil, err
	}
	return enrol(ctx, a, d, system, role)
}

// enrol enrols a system and connects as it.
func enrol(ctx context.Context, a *authority.Authority, d sample.Department, system string, role cataloguev1.Role) (*sdk.Client, error) {
	return a.Enrol(ctx, &cataloguev1.System{
		Participant: d.Code, Name: system, Title: d.Name, Roles: []cataloguev1.Role{role},
	})
}
