package departments

import (
	"context"

	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// Source is a department system that publishes what its register holds.
type Source struct {
	Department sample.Department
	// System is the system's name within the department.
	System string
	Topics []string
	// Publish publishes the department's share of the city.
	Publish func(ctx context.Context, p *sdk.Publisher, c *sample.City) (Published, error)
}

// Sources are the departments that publish.
func Sources() []Source {
	return []Source{
		{sample.PublicSecurity, "population", []string{Persons, Households}, PublicSecurity},
		{sample.CivilAffairs, "marriage", []string{Marriages}, CivilAffairs},
		{sample.HumanResources, "insurance", []string{Incomes}, HumanResources},
		{sample.Housing, "real-estate", []string{Properties}, Housing},
		{sample.MarketRegulation, "register", []string{Enterprises}, MarketRegulation},
		{sample.DisabledPersons, "certificates", []string{Disabilities, Certificates}, DisabledPersons},
	}
}

// PublicSecurity publishes persons and household registers.
func PublicSecurity(ctx context.Context, p *sdk.Publisher, c *sample.City) (Published, error) {
	return publishTwo(ctx, p, Persons, c.Persons(), Households, c.Households())
}

// CivilAffairs publishes marriage registrations.
func CivilAffairs(ctx context.Context, p *sdk.Publisher, c *sample.City) (Published, error) {
	return publish(ctx, p, Marriages, c.Marriages())
}

// HumanResources publishes last year's incomes.
func HumanResources(ctx context.Context, p *sdk.Publisher, c *sample.City) (Published, error) {
	return publish(ctx, p, Incomes, c.Incomes())
}

// Housing publishes the real-estate register.
func Housing(ctx context.Context, p *sdk.Publisher, c *sample.City) (Published, error) {
	return publish(ctx, p, Properties, c.Properties())
}

// MarketRegulation publishes the business register.
func MarketRegulation(ctx context.Context, p *sdk.Publisher, c *sample.City) (Published, error) {
	return publish(ctx, p, Enterprises, c.Enterprises())
}

// DisabledPersons publishes disability records and the electronic certificates
// that go with them.
func DisabledPersons(ctx context.Context, p *sdk.Publisher, c *sample.City) (Published, error) {
	return publishTwo(ctx, p, Disabilities, c.Disabilities(), Certificates, c.Certificates())
}

// RevokeCertificate withdraws one electronic certificate.
func RevokeCertificate(ctx context.Context, p *sdk.Publisher, identifier, reason string) (*sdk.Receipt, error) {
	return p.Revoke(ctx, Certificates, identifier, reason)
}
