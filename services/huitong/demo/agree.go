package demo

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// The officials of the two departments, by what they are to each other.
const (
	hallHandler   = "大厅经办"
	hallHead      = "大厅负责人"
	incomeHandler = "人社经办"
	incomeHead    = "人社负责人"
)

// subsidyFen is what one earner of a family of three may earn in a year, in fen.
const subsidyFen = threshold * 12 * 3 * 100

// incomeUnder is the predicate that the departments agree on: the year's income
// of one person, all records together, at most the threshold.
func incomeUnder() *accessv1.GrantCheck {
	return &accessv1.GrantCheck{
		Name: "income-under", Title: "上年收入不高于标准", Fields: []string{"gross_fen"},
		Predicate: "sum(records.map(r, r.gross_fen)) <= threshold",
		Thresholds: []*accessv1.Threshold{
			{Name: "subsidy", Title: "困难残疾人生活补贴", Value: subsidyFen}, {Name: "minimum", Title: "最低生活保障", Value: 10_000 * 100},
		},
	}
}

// agree plays how two departments come to a grant: requested, returned once for
// what is missing, requested again, answered late, and agreed by two officials on
// each side.
func agree(ctx context.Context, s *story) error {
	hall, income := s.systems.hall, s.systems.sources[sample.HumanResources.Code]
	for name, of := range map[string]struct {
		client *sdk.Client
		is     cataloguev1.Capacity
	}{hallHandler: {hall, sdk.AsHandler}, hallHead: {hall, sdk.AsHead}, incomeHandler: {income, sdk.AsHandler}, incomeHead: {income, sdk.AsHead}} {
		if err := s.official(ctx, of.client, name, of.is); err != nil {
			return err
		}
	}
	s.tell("%s and %s enrol two officials each; every official holds a key of its own", sample.ServiceHall.Name, sample.HumanResources.Name)
	terms := &accessv1.Grant{
		Topic: departments.Incomes, Consumer: sample.ServiceHall.Code, Basis: "工作需要", Scenario: "补贴审核",
		ServiceItems: []string{departments.HardshipSubsidy}, Checks: []*accessv1.GrantCheck{incomeUnder()},
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK},
	}
	g, err := s.take(ctx, hall, hallHandler, nil, "consumer", "request", terms, nil)
	if err != nil {
		return err
	}
	if _, err := s.take(ctx, hall, hallHandler, g, "consumer", "approve", nil, nil); fault.RuleOf(err) != "person.capacity" {
		return fmt.Errorf("one official went both steps of a side: %w", err)
	}
	if g, err = s.take(ctx, hall, hallHead, g, "consumer", "approve", nil, nil); err != nil {
		return err
	}
	s.tell("the hall's handler requests to check incomes, its head approves: grant %s; the handler alone cannot do both", g.Id)
	missing := []string{"写明依据的法规条款", "写明使用期限"}
	if g, err = s.take(ctx, income, incomeHandler, g, "provider", "return", nil, missing); err != nil {
		return err
	}
	s.tell("returned once, with all that is missing: %s; %s", missing[0], missing[1])
	terms.Basis, terms.ValidUntil = "社会救助暂行办法第五十八条", s.now().AddDate(1, 0, 0).Format(time.DateOnly)
	if g, err = s.take(ctx, hall, hallHandler, g, "consumer", "request", terms, nil); err != nil {
		return err
	}
	if g, err = s.take(ctx, hall, hallHead, g, "consumer", "approve", nil, nil); err != nil {
		return err
	}
	return s.answerLate(ctx, income, g)
}

// answerLate lets the provider's ten working days pass before it answers.
func (s *story) answerLate(ctx context.Context, income *sdk.Client, g *accessv1.Grant) error {
	s.exchange.clock.Add(int64(20 * 24 * time.Hour))
	var due *sdk.Deadline
	for d, err := range income.Deadlines(ctx, sdk.DeadlineFilter{Object: g.Id, Open: true}) {
		if err != nil {
			return err
		}
		due = d
	}
	if due == nil || !due.Late {
		return errors.New("the deadline is not late")
	}
	s.tell("twenty days pass on the exchange's clock: the answer was due on %s, and is %d working days late; the event is on its topic", due.Due, due.DaysLate)
	g, err := s.take(ctx, income, incomeHandler, g, "provider", "accept", nil, nil)
	if err != nil {
		return err
	}
	if g, err = s.take(ctx, income, incomeHead, g, "provider", "approve", nil, nil); err != nil {
		return err
	}
	last := g.Steps[len(g.Steps)-1]
	if g.State != accessv1.GrantState_GRANT_STATE_ACTIVE || !last.Late {
		return fmt.Errorf("the grant is %v, late %v", g.State, last.Late)
	}
	s.tell("accepted and approved by two officials of %s, marked late; in force from %s with entry %s", sample.HumanResources.Name, g.ValidFrom, count(last.Entry))
	s.tell("each step is an entry over the exact terms, signed by system and official, and follows the step before")
	return nil
}

// official enrols one, with a key that stays with the department.
func (s *story) official(ctx context.Context, c *sdk.Client, name string, is ...cataloguev1.Capacity) error {
	key, err := sdk.NewPersonKey()
	if err != nil {
		return err
	}
	s.keys[name] = key
	_, err = c.EnrolPerson(ctx, sdk.NewPerson{Reference: name, Name: name, Capacities: is, Key: key})
	return err
}

// take takes a step as a department's system and one of its officials.
func (s *story) take(ctx context.Context, c *sdk.Client, official string, g *accessv1.Grant, side, name string, terms *accessv1.Grant, missing []string) (*accessv1.Grant, error) {
	person := s.keys[official].Fingerprint()
	says := &ledgerv1.StepStatement{
		LedgerOrigin: c.Origin(), Grant: g.GetId(), Version: uint32(max(g.GetVersion(), 1)), Side: side, Step: name,
		Missing: missing, SignedAtUs: s.now().UnixMicro(), Person: person[:],
	}
	bytes := g.GetTerms()
	if terms != nil {
		var err error
		if bytes, err = proto.Marshal(terms); err != nil {
			return nil, err
		}
		if g != nil {
			says.Version++
		}
	} else if n := len(g.Steps); n > 0 {
		before := sha256.Sum256(g.Steps[n-1].Statement)
		says.Previous = before[:]
	}
	digest := sha256.Sum256(bytes)
	says.TermsDigest = digest[:]
	statement, err := proto.Marshal(says)
	if err != nil {
		return nil, err
	}
	signed := verify.GrantStepStatement(c.System(), statement)
	request := &accessv1.TakeStepRequest{Statement: statement}
	if terms != nil {
		request.Terms = bytes
	}
	if request.Signature, err = c.Sign(signed); err != nil {
		return nil, err
	}
	if request.PersonSignature, err = s.keys[official].Sign(signed); err != nil {
		return nil, err
	}
	answer, err := accessv1.NewAgreementServiceClient(c.Conn()).TakeStep(ctx, request)
	return answer.GetGrant(), fault.FromStatus(err)
}
