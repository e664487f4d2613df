package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// live is a register that answers in its department's own system.
type live struct {
	topic, title string
	provider     sample.Department
	supply       sdk.Supplier
}

// nothing is what a register answers that holds nothing about somebody.
func nothing(context.Context, *sdk.Asked) (*sdk.Supplied, error) { return sdk.NotFound(), nil }

// registers are those that are asked live; the last of them is down.
func (s *story) registers() []live {
	return []live{
		{"land-now", "不动产实时核对", sample.Housing, nothing},
		{"business-now", "经营主体实时核对", sample.MarketRegulation, nothing},
		{"insurance-now", "社保缴费实时核对", sample.HumanResources, s.insured},
		{"household-now", "户籍实时核对", sample.PublicSecurity, nothing},
		{"relief-now", "其他救助实时核对", sample.CivilAffairs, nothing},
		{"aid-now", "残疾人补助实时核对", sample.DisabledPersons, nothing},
	}
}

// insured is the answer of the social insurance's register.
func (s *story) insured(_ context.Context, asked *sdk.Asked) (*sdk.Supplied, error) {
	return sdk.Found(&recordsv1.Income{
		RecordNumber: "SB-LIVE-1", IdType: asked.Subject.Type, IdNumber: asked.Subject.Number, Name: s.applicant().Name,
		Source: recordsv1.IncomeSource_INCOME_SOURCE_WAGE, PeriodFrom: "2026-01-01", PeriodUntil: "2026-10-31", GrossFen: 600_000, NetFen: 540_000,
		InsuranceFen: 60_000,
	}), nil
}

// meansTest asks ten sources in one call: four that the exchange holds, six that
// answer live, of which one is down for a while.
func meansTest(ctx context.Context, s *story) (err error) {
	s.meansFrom = s.exchange.node.Journal.Head().Size
	defer func() { s.meansUntil = s.exchange.node.Journal.Head().Size }()
	registers := s.registers()
	var supplying []*sdk.Subscription
	defer func() {
		for _, one := range supplying {
			one.Stop()
			<-one.Closed()
		}
	}()
	for i, r := range registers {
		if err := s.listLive(ctx, r); err != nil {
			return err
		}
		if i == len(registers)-1 {
			break // its system is down
		}
		one, err := s.systems.sources[r.provider.Code].Supply(ctx, r.topic, r.supply)
		if err != nil {
			return err
		}
		supplying = append(supplying, one)
	}
	down := registers[len(registers)-1]
	question := sdk.FanOutQuestion{Key: sdk.NewIdempotencyKey(), Acting: s.acting()}
	for _, topic := range []string{departments.Persons, departments.Marriages, departments.Properties, departments.Incomes} {
		question.Sources = append(question.Sources, sdk.Source{Topic: topic, Subject: residentOf(s.applicant())})
	}
	for _, r := range registers {
		wait := 10 * time.Second
		if r.topic == down.topic {
			wait = time.Second
		}
		question.Sources = append(question.Sources, sdk.Source{Topic: r.topic, Subject: residentOf(s.applicant()), Wait: wait})
	}
	began := time.Now()
	asked, err := s.systems.hall.AskAll(ctx, question)
	if err != nil {
		return err
	}
	count := map[sdk.SourceState]int{}
	for _, r := range asked.Results {
		count[r.State]++
	}
	if count[sdk.SourceFound] != 5 || count[sdk.SourceNotFound] != 4 || count[sdk.SourceTimedOut] != 1 {
		return fmt.Errorf("the ten sources answered %v", count)
	}
	s.tell("one call asks %d sources, %d of them live in their departments' own systems; answered in %s:", len(asked.Results), len(registers), short(time.Since(began)))
	s.tell("%d found, %d hold nothing, and %s of %s is down: timed out", count[sdk.SourceFound], count[sdk.SourceNotFound], down.topic, down.provider.Name)
	one, err := s.systems.sources[down.provider.Code].Supply(ctx, down.topic, down.supply)
	if err != nil {
		return err
	}
	supplying = append(supplying, one)
	return s.answeredLate(ctx, asked.ID)
}

// answeredLate waits until the system that was down has answered.
func (s *story) answeredLate(ctx context.Context, id string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for {
		again, err := s.systems.hall.GetFanOut(ctx, id, clerk)
		if err != nil {
			return err
		}
		if last := again.Results[len(again.Results)-1]; last.Late && last.State == sdk.SourceNotFound {
			s.tell("its system starts again and answers %s later, marked late; the report has another version, in entry %s", short(time.Since(began)), count(again.ReportEntry))
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("the system that was down never answered")
		}
	}
}

// listLive lists a topic that is answered live, and grants it to the hall.
func (s *story) listLive(ctx context.Context, r live) error {
	modes := []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY}
	err := s.exchange.CreateTopic(ctx, &cataloguev1.Topic{
		Name: r.topic, Title: r.title, Provider: r.provider.Code, Contract: "huitong.records.v1.Income", AnsweredLive: true, SignatureRequired: true,
		SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "社会救助家庭经济状况核对", DeliveryModes: modes,
	})
	if err != nil {
		return err
	}
	_, err = s.exchange.CreateGrant(ctx, &accessv1.Grant{
		Topic: r.topic, Consumer: sample.ServiceHall.Code, Basis: "社会救助暂行办法第五十八条", Scenario: "困难残疾人生活补贴审核",
		Fields: []string{"record_number", "source", "gross_fen"}, ServiceItems: []string{departments.HardshipSubsidy},
		DeliveryModes: modes, Scope: accessv1.GrantScope_GRANT_SCOPE_ALL_SUBJECTS,
	})
	return err
}
