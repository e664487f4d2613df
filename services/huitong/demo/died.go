package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// died enrols the elder of the case with a subscription to the register of
// persons, which tells the hall of that person alone, and for as long as the case
// is open.
func died(ctx context.Context, s *story) error {
	elder := s.adults()[2]
	_, err := s.exchange.CreateGrant(ctx, &accessv1.Grant{
		Topic: departments.Persons, Consumer: sample.ServiceHall.Code, Basis: "社会救助暂行办法第十三条", Scenario: "在办家庭成员状况变化",
		Fields: []string{"id_number", "name", "death_date"}, ServiceItems: []string{departments.HardshipSubsidy},
		DeliveryModes:   []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
		StandingPurpose: departments.HardshipSubsidy, StandingLegalBasis: "社会救助暂行办法第十三条",
		Scope: accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS,
	})
	if err != nil {
		return err
	}
	hall := s.systems.hall
	if _, err := hall.CreateSubscription(ctx, sdk.NewSubscription{Name: "family", Topic: departments.Persons}); err != nil {
		return err
	}
	heard := make(chan *recordsv1.Person, 16)
	subscription, err := hall.Subscribe(ctx, "family", sdk.Handle(func(_ context.Context, _ *sdk.Delivery, p *recordsv1.Person) error {
		heard <- p
		return nil
	}))
	if err != nil {
		return err
	}
	defer func() { subscription.Stop(); <-subscription.Closed() }()
	if _, err := hall.Enrol(ctx, "family", clerk, sdk.Enrolment{Subject: sdk.Subject{Type: "111", Number: elder.Number}, Case: caseNumber}); err != nil {
		return err
	}
	present, err := next(ctx, heard)
	if err != nil || present.IdNumber != elder.Number || present.DeathDate != "" {
		return fmt.Errorf("the elder's present record did not come first: %v: %w", present.GetName(), err)
	}
	s.tell("the hall enrols %s with the case; the present record comes, of 2,104 persons this one alone", elder.Name)
	began, day := time.Now(), s.now().Format(time.DateOnly)
	if err := s.publishPersons(ctx, elder.Number, day); err != nil {
		return err
	}
	notice, err := next(ctx, heard)
	if err != nil || notice.IdNumber != elder.Number || notice.DeathDate != day {
		return fmt.Errorf("the death notice did not come: %w", err)
	}
	s.tell("%s records the death; the hall knows %s later, and of nobody else whose record changed", sample.PublicSecurity.Name, short(time.Since(began)))
	return s.closeCase(ctx, heard)
}

func next(ctx context.Context, heard <-chan *recordsv1.Person) (*recordsv1.Person, error) {
	select {
	case p := <-heard:
		return p, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// publishPersons changes the elder's record, and those of others before and after
// it.
func (s *story) publishPersons(ctx context.Context, elder, died string) error {
	publisher := s.publishers[sample.PublicSecurity.Code]
	for _, p := range s.city.Persons()[:60] {
		p = proto.CloneOf(p)
		if p.IdNumber == elder {
			continue
		}
		p.ResidenceAddress = "示范市和平里1号"
		if _, err := publisher.Publish(ctx, departments.Persons, p); err != nil {
			return err
		}
	}
	for _, p := range s.city.Persons() {
		if p.IdNumber != elder {
			continue
		}
		p = proto.CloneOf(p)
		p.DeathDate = died
		_, err := publisher.Publish(ctx, departments.Persons, p)
		return err
	}
	return errors.New("the register does not hold the elder")
}

// closeCase ends the case, and with it the enrolment.
func (s *story) closeCase(ctx context.Context, heard <-chan *recordsv1.Person) error {
	closed, err := s.systems.hall.CloseCase(ctx, caseNumber, clerk, "准予补贴")
	if err != nil {
		return err
	}
	answer, err := ledgerv1.NewLedgerServiceClient(s.systems.auditor.Conn()).ListEntries(ctx, &ledgerv1.ListEntriesRequest{
		Filter: &ledgerv1.EntryFilter{Kinds: []string{"enrolled"}, FromIndex: closed.ClosedPlusOne - 1},
	})
	if err != nil {
		return fault.FromStatus(err)
	}
	if len(answer.Entries) != 1 || !answer.Entries[0].GetEntry().GetEnrolled().GetRemoved() {
		return fmt.Errorf("closing the case ended %d enrolments", len(answer.Entries))
	}
	_, err = s.check(ctx, s.applicant())
	if fault.RuleOf(err) != "case.closed" {
		return fmt.Errorf("a closed case was read for: %w", err)
	}
	if len(heard) > 0 {
		return errors.New("the hall heard of somebody it had not enrolled")
	}
	s.tell("the case is closed: the enrolment ends with entry %s, and what is asked for it is refused by case.closed", count(answer.Entries[0].GetEntry().GetIndex()))
	return nil
}
