package sample

import (
	"fmt"
	"math/rand/v2"
	"time"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// stream gives each kind of record its own chance, so that asking for one kind
// does not change another.
func (c *City) stream(kind uint64) *rand.Rand {
	return rand.New(rand.NewPCG(c.seed, kind))
}

func (c *City) enterprises() int { return max(1, len(c.Families)/8) }

// Properties are the real-estate register: every second family's home, owned
// jointly by spouses.
func (c *City) Properties() []*recordsv1.Property {
	r := c.stream(2)
	var all []*recordsv1.Property
	for i, f := range c.Families {
		if i%2 == 1 {
			continue
		}
		p := &recordsv1.Property{
			CertificateNumber: fmt.Sprintf("示(2024)示范市不动产权第%07d号", i+1),
			UnitNumber:        fmt.Sprintf("%s001001GB%05dF%08d", Region, 1+i/1000, i+1),
			HolderType:        resident, HolderNumber: f.Holder.Number, HolderName: f.Holder.Name,
			Ownership: recordsv1.OwnershipKind_OWNERSHIP_KIND_SOLE,
			Region:    Region, Location: f.Address, Use: "住宅",
			FloorAreaDm2:   uint64(4_500 + r.IntN(9_000)),
			RegisteredDate: day(time.Date(2024, time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC)),
			RegistrarCode:  Housing.Code, RegistrarName: Housing.Name,
		}
		if f.Spouse != nil {
			p.Ownership = recordsv1.OwnershipKind_OWNERSHIP_KIND_JOINT
			p.CoOwners = []*recordsv1.CoOwner{{Type: resident, Number: f.Spouse.Number, Name: f.Spouse.Name}}
		}
		all = append(all, p)
	}
	return all
}

// Enterprises are the business register.
func (c *City) Enterprises() []*recordsv1.Enterprise {
	r := c.stream(3)
	var all []*recordsv1.Enterprise
	for n := 1; n <= c.enterprises(); n++ {
		boss := c.Families[(n*8-1)%len(c.Families)].Holder
		trade := trades[r.IntN(len(trades))]
		all = append(all, &recordsv1.Enterprise{
			CreditCode: enterpriseCode(n),
			Name:       fmt.Sprintf("示范市第%d%s有限公司", n, trade),
			Kind:       "有限责任公司", State: recordsv1.EnterpriseState_ENTERPRISE_STATE_OPERATING,
			RepresentativeType: resident, RepresentativeNumber: boss.Number, RepresentativeName: boss.Name,
			RegisteredCapitalFen: int64(1+r.IntN(100)) * 10_000_000,
			EstablishedDate:      day(time.Date(2010+r.IntN(14), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC)),
			BusinessScope:        trade, Region: Region,
			RegistrarCode: MarketRegulation.Code, RegistrarName: MarketRegulation.Name,
		})
	}
	return all
}

// Disabilities are the disabled persons' federation's certificates: the first
// family's holder, and one family in twelve.
func (c *City) Disabilities() []*recordsv1.Disability {
	r := c.stream(4)
	var all []*recordsv1.Disability
	for i := 0; i < len(c.Families); i += 12 {
		p := c.Families[i].Holder
		grade := uint32(1 + r.IntN(4))
		kind := recordsv1.DisabilityKind(1 + r.IntN(6))
		all = append(all, &recordsv1.Disability{
			CertificateNumber: fmt.Sprintf("%s%d%d", p.Number, kind, grade),
			IdType:            resident, IdNumber: p.Number, Name: p.Name,
			Kinds: []recordsv1.DisabilityKind{kind}, Grade: grade,
			IssueDate: "2022-03-01", ValidFrom: "2022-03-01", ValidUntil: "2032-02-29",
			Region: Region, IssuerCode: DisabledPersons.Code, IssuerName: DisabledPersons.Name,
		})
	}
	return all
}

// Certificates are the same certificates as electronic ones.
func (c *City) Certificates() []*recordsv1.Certificate {
	kind := DisabledPersons.Code + "001"
	var all []*recordsv1.Certificate
	for i, d := range c.Disabilities() {
		all = append(all, &recordsv1.Certificate{
			Identifier: CertificateID(kind, DisabledPersons.Code, fmt.Sprintf("2022%06d", i+1), 1),
			TypeCode:   kind, TypeName: "残疾人证", Name: "中华人民共和国残疾人证", Number: d.CertificateNumber,
			IssuerCode: d.IssuerCode, IssuerName: d.IssuerName, IssueDate: d.IssueDate,
			HolderType: d.IdType, HolderNumber: d.IdNumber, HolderName: d.Name,
			ValidFrom: d.ValidFrom, ValidUntil: d.ValidUntil, Region: Region,
			FaceItems: []*recordsv1.FaceItem{{Title: "残疾等级", Value: fmt.Sprintf("%d级", d.Grade)}},
		})
	}
	return all
}
