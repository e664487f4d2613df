package sample

import (
	"fmt"
	"time"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

const resident = "111" // holder code type of a resident identity number

func day(t time.Time) string { return t.Format("2006-01-02") }

// Persons are public security's records of everybody.
func (c *City) Persons() []*recordsv1.Person {
	r := c.stream(5)
	var all []*recordsv1.Person
	for _, f := range c.Families {
		for _, p := range f.Members() {
			sex := recordsv1.Sex_SEX_MALE
			if p.Woman {
				sex = recordsv1.Sex_SEX_FEMALE
			}
			all = append(all, &recordsv1.Person{
				IdType: resident, IdNumber: p.Number, Name: p.Name, Sex: sex, BirthDate: day(p.Birth),
				RegisteredRegion: Region, RegisteredAddress: p.Address, Telephone: telephone(r),
			})
		}
	}
	return all
}

// Households are public security's household registers; each member is a
// subject.
func (c *City) Households() []*recordsv1.Household {
	var all []*recordsv1.Household
	for _, f := range c.Families {
		h := &recordsv1.Household{
			HouseholdNumber: f.Number, Kind: recordsv1.HouseholdKind_HOUSEHOLD_KIND_FAMILY,
			Region: Region, Address: f.Address, RegisteredDate: day(f.Since),
			RegistrarCode: PublicSecurity.Code, RegistrarName: PublicSecurity.Name,
		}
		h.Members = append(h.Members, member(f.Holder, "head"))
		if f.Spouse != nil {
			h.Members = append(h.Members, member(f.Spouse, "spouse"))
		}
		for _, child := range f.Children {
			h.Members = append(h.Members, member(child, "child"))
		}
		all = append(all, h)
	}
	return all
}

func member(p *Person, role string) *recordsv1.HouseholdMember {
	return &recordsv1.HouseholdMember{IdType: resident, IdNumber: p.Number, Name: p.Name, Role: role}
}

// Marriages are civil affairs' registrations.
func (c *City) Marriages() []*recordsv1.Marriage {
	var all []*recordsv1.Marriage
	for i, f := range c.Families {
		if f.Spouse == nil {
			continue
		}
		all = append(all, &recordsv1.Marriage{
			CertificateNumber: fmt.Sprintf("J%s-%d-%06d", Region, f.Since.Year(), i+1),
			State:             recordsv1.MarriageState_MARRIAGE_STATE_MARRIED,
			PartyAType:        resident, PartyANumber: f.Holder.Number, PartyAName: f.Holder.Name,
			PartyBType: resident, PartyBNumber: f.Spouse.Number, PartyBName: f.Spouse.Name,
			RegisteredDate: day(f.Since), RegistrarCode: CivilAffairs.Code, RegistrarName: CivilAffairs.Name,
		})
	}
	return all
}

// Incomes are human resources' records of last year's wages, one an adult. The
// first family's are low.
func (c *City) Incomes() []*recordsv1.Income {
	r := c.stream(1)
	var all []*recordsv1.Income
	for i, f := range c.Families {
		for _, p := range f.Adults() {
			gross := int64(2_400_000 + r.IntN(18_000_000))
			if i == 0 {
				gross = 720_000
			}
			employer := enterpriseCode(1 + r.IntN(c.enterprises()))
			insurance, tax := gross/10, max(0, gross-6_000_000)/20
			all = append(all, &recordsv1.Income{
				RecordNumber: fmt.Sprintf("S2025%07d", len(all)+1),
				IdType:       resident, IdNumber: p.Number, Name: p.Name,
				Source:     recordsv1.IncomeSource_INCOME_SOURCE_WAGE,
				PeriodFrom: "2025-01-01", PeriodUntil: "2025-12-31",
				GrossFen: gross, TaxFen: tax, InsuranceFen: insurance, NetFen: gross - tax - insurance,
				PayerCode: employer,
			})
		}
	}
	return all
}
