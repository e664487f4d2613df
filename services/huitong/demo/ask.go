package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

const (
	clerk      = "窗口-017"
	caseNumber = "SF-2026-000042"
	// threshold is the city's: yuan a month and person.
	threshold = 1_200
)

func (s *story) applicant() *sample.Person { return s.city.Families[0].Holder }

// material is what the item asks for, and the topic that has it.
type material struct{ name, topic string }

var materials = []material{
	{"居民身份信息", departments.Persons},
	{"户口簿", departments.Households},
	{"结婚证", departments.Marriages},
	{"残疾人证", departments.Disabilities},
	{"收入证明", departments.Incomes},
	{"不动产权属证明", departments.Properties},
	{"企业登记情况", departments.Enterprises},
}

// ask queries what the application of the first family's holder needs, and
// decides by it.
func ask(ctx context.Context, s *story) error {
	applicant, began := s.applicant(), time.Now()
	s.tell("%s, %s, applies at %s, case %s", applicant.Name, veiled(applicant.Number), sample.ServiceHall.Name, caseNumber)
	if err := s.openCase(ctx); err != nil {
		return err
	}
	answers := make(map[string]*sdk.Answer)
	for _, m := range materials {
		started := time.Now()
		answer, err := s.hall.Ask(ctx, m.topic, applicant.Number, clerk, caseNumber)
		if err != nil {
			return fmt.Errorf("query %s: %w", m.topic, err)
		}
		answers[m.topic] = answer
		found := "none found"
		if n := len(answer.Records); n > 0 {
			found = fmt.Sprintf("%d found, %d fields withheld", n, len(answer.Records[0].Withheld))
		}
		s.tell("%s %s %8s  entry %s", column(m.name, 16), column(found, 30), short(time.Since(started)), count(answer.Release.Index))
	}
	s.tell("%d materials in %s that the applicant need not bring; each read is an entry with person, purpose and case", len(materials), short(time.Since(began)))
	if err := emptyIsNotWithheld(s, answers[departments.Persons]); err != nil {
		return err
	}
	if err := keepReceipt(s, answers[departments.Incomes].Release); err != nil {
		return err
	}
	return decide(ctx, s, answers)
}

// emptyIsNotWithheld shows the two ways in which a field has no content.
func emptyIsNotWithheld(s *story, answer *sdk.Answer) error {
	if len(answer.Records) != 1 {
		return fmt.Errorf("%d records of the applicant, not 1", len(answer.Records))
	}
	r := &answer.Records[0]
	p, err := sdk.As[*recordsv1.Person](r)
	if err != nil {
		return err
	}
	fields := p.ProtoReflect().Descriptor().Fields()
	died, telephone := uint32(fields.ByName("death_date").Number()), uint32(fields.ByName("telephone").Number())
	if p.DeathDate != "" || r.IsWithheld(died) || p.Telephone != "" || !r.IsWithheld(telephone) {
		return errors.New("death_date should be granted and empty, telephone withheld")
	}
	s.tell("death_date is granted and empty: there is none. telephone is withheld: not in the bytes, and the hall can tell")
	return nil
}

// keepReceipt shows what a department has to keep to prove a read in ten years.
func keepReceipt(s *story, r *sdk.Receipt) error {
	text, err := r.TlogProof()
	if err != nil {
		return err
	}
	kept, err := sdk.ReadReceipt(r.Leaf, text)
	if err != nil {
		return err
	}
	if err := kept.Verify(s.systems.hall.LedgerKey()); err != nil {
		return err
	}
	s.tell("the receipt of entry %s is %d bytes of leaf and %d of proof, verified with the ledger's public key alone", count(r.Index), len(r.Leaf), len(text))
	return nil
}

// decide adds up the couple's incomes, as the item demands.
func decide(ctx context.Context, s *story, answers map[string]*sdk.Answer) error {
	households, family := answers[departments.Households].Records, s.city.Families[0]
	if len(households) != 1 || len(answers[departments.Disabilities].Records) != 1 || len(answers[departments.Enterprises].Records) != 0 {
		return errors.New("the registers should have one household, one disability and no enterprise")
	}
	household, err := sdk.As[*recordsv1.Household](&households[0])
	if err != nil {
		return err
	}
	if len(household.Members) != len(family.Members()) {
		return fmt.Errorf("the household has %d members, not %d", len(household.Members), len(family.Members()))
	}
	income, err := s.hall.Ask(ctx, departments.Incomes, family.Spouse.Number, clerk, caseNumber)
	if err != nil {
		return err
	}
	var fen int64
	for _, r := range append(answers[departments.Incomes].Records, income.Records...) {
		i, err := sdk.As[*recordsv1.Income](&r)
		if err != nil {
			return err
		}
		fen += i.GrossFen
		s.doubted = r
	}
	yuan := fen / 100 / 12 / int64(len(household.Members))
	if len(income.Records) != 1 || yuan <= 0 || yuan > threshold {
		return fmt.Errorf("%d yuan a month and person is not what was published", yuan)
	}
	s.tell("%d members, %d yuan a month each, the limit is %d: granted", len(household.Members), yuan, threshold)
	return nil
}

// refuse asks without a grant and expects the rule that says so.
func refuse(ctx context.Context, s *story) error {
	stranger := departments.NewHall(s.systems.stranger)
	_, err := stranger.Ask(ctx, departments.Incomes, s.applicant().Number, "稽查-003", "JC-2026-0007")
	if err == nil {
		return errors.New("a system without a grant was answered")
	}
	if fault.KindOf(err) != fault.Denied || fault.RuleOf(err) != withoutGrant {
		return fmt.Errorf("a system without a grant failed otherwise than by %s: %w", withoutGrant, err)
	}
	s.tell("%s of %s is refused by rule %s; nothing left", s.systems.stranger.System(), sample.MarketRegulation.Name, fault.RuleOf(err))
	s.tell("the refusal is committed too: the auditor will meet it")
	return nil
}

// withoutGrant is the rule that refuses a consumer who has no grant.
const withoutGrant = "grant.required"
