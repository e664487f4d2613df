package reuse

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/query"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// errNothing refuses an entry that stands already.
var errNothing = errors.New("nothing to enter")

// Submit publishes a material that the applicant of a case submitted, and enters
// for which item it was.
func (r *Reuse) Submit(ctx context.Context, caller *identity.Caller, req *exchangev1.SubmitRequest) (*exchangev1.SubmitResponse, error) {
	publish := access.Request{Caller: caller, Action: access.Publish, Topic: req.GetMaterial().GetTopic()}
	if d := r.Policy.Decide(publish); !d.Allow {
		return nil, r.Queries.Refuse(ctx, publish, d)
	}
	m, err := r.submitted(req.Material)
	if err != nil {
		return nil, err
	}
	a := &assessment{subject: &ledgerv1.Subject{Type: m.ApplicantType, Number: m.ApplicantNumber}}
	var published *exchangev1.PublishResponse
	// The case is open until the record is published, or nothing is: what is refused
	// does not stand.
	err = r.Queries.Settled(ctx, func() error {
		if a.allowed, a.of, err = r.decide(ctx, caller, access.Submit, req.Acting, a.subject); err != nil {
			return err
		}
		if a.item, err = r.item(ctx, req.Acting.GetPurpose()); err != nil {
			return err
		}
		if err := a.fits(m, caller); err != nil {
			return err
		}
		published, err = r.Publisher.PublishUnder(ctx, caller, &exchangev1.PublishRequest{
			Records: []*exchangev1.Publication{req.Material}, Signature: req.Signature,
		}, a.allowed.Request.Facts.Guards)
		return err
	})
	if err != nil {
		return nil, err
	}
	result := published.Results[0]
	if p := result.GetProblem(); p != nil {
		return nil, refused(p)
	}
	// A crash here leaves the record published and not counted as submitted: the
	// repeat, by the same idempotency key, finds it and enters what is missing.
	if err := r.enterSubmitted(ctx, a, m, req.Material.Topic, result.GetReceipt().GetIndex()); err != nil {
		return nil, err
	}
	return &exchangev1.SubmitResponse{Receipt: result.GetReceipt(), Proof: published.Proof, Warnings: result.Warnings}, nil
}

// submitted reads a publication of a material.
func (r *Reuse) submitted(p *exchangev1.Publication) (*recordsv1.SubmittedMaterial, error) {
	t, err := r.Topics.Topic(p.Topic)
	if err != nil {
		return nil, err
	}
	put := p.Operation == ledgerv1.Operation_OPERATION_UNSPECIFIED || p.Operation == ledgerv1.Operation_OPERATION_PUT
	if t.ContractName != query.Submitted || !put {
		return nil, fault.Field("material.topic", "submit.contract", "a material is put on a topic under the contract %s", query.Submitted)
	}
	content := p.GetProtobuf()
	if _, isJSON := p.Content.(*exchangev1.Publication_Json); isJSON {
		k, err := t.Contract(p.ContractVersion)
		if err != nil {
			return nil, err
		}
		if content, err = k.FromJSON([]byte(p.GetJson())); err != nil {
			return nil, err
		}
	}
	m := &recordsv1.SubmittedMaterial{}
	if err := proto.Unmarshal(content, m); err != nil {
		return nil, fault.Field("material.content", "payload.decode", "is no message of the contract %s", query.Submitted)
	}
	return m, nil
}

// fits refuses a material that says otherwise than the case it is submitted for.
func (a *assessment) fits(m *recordsv1.SubmittedMaterial, caller *identity.Caller) error {
	acting := a.allowed.Request
	switch {
	case m.ItemCode != acting.Purpose:
		return fault.Field("item_code", "submit.item", "is the service item of the case that the material is submitted for")
	case m.CaseNumber != acting.Case:
		return fault.Field("case_number", "submit.case", "is the number of the case that the material is submitted for")
	case m.ReceiverCode != caller.Participant:
		return fault.Field("receiver_code", "submit.receiver", "is the department that submits: the caller's own credit code")
	case !slices.ContainsFunc(a.item.Materials, func(one *recordsv1.ItemMaterial) bool { return one.Code == m.MaterialCode }):
		return fault.Field("material_code", "material.unknown", "is the code of a material of the service item")
	case m.TrustGrade == recordsv1.TrustGrade_TRUST_GRADE_A:
		return fault.Field("trust_grade", "submit.grade", "is that of what an authority issues itself; what was checked against its original at a counter is B, what the applicant uploaded C, made by the applicant D")
	}
	return nil
}

// refused is the fault that refused a publication.
func refused(p *exchangev1.Problem) error {
	var violations []fault.Violation
	for _, v := range p.Violations {
		violations = append(violations, fault.Violation{Field: v.Field, Rule: v.Rule, Message: v.Message})
	}
	return fault.New(fault.ParseKind(p.Kind), p.Rule, "%s", p.Message).With(violations...)
}

// enterSubmitted enters for what a record was published. Nothing is decided any more:
// whatever has ended since, the record stands.
func (r *Reuse) enterSubmitted(ctx context.Context, a *assessment, m *recordsv1.SubmittedMaterial, topic string, publication uint64) error {
	who, err := a.commitments()
	if err != nil {
		return err
	}
	entry := a.entry(&ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Submitted{Submitted: &ledgerv1.MaterialSubmitted{
		Consumer: a.allowed.Request.Caller.System, Item: a.item.ImplementationCode, Material: m.MaterialCode, Topic: topic,
		Publication: publication, Grade: gradeOf(gradeSubmitted(m)),
		PersonCommitment: who.person, CaseCommitment: who.number, SubjectCommitment: who.subject,
	}}}, who)
	call := &journal.Call{From: a.allowed.Request.Caller.System, Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		result, err := tx.ExecContext(ctx, "INSERT INTO submissions (publication, idx) VALUES ($1, $2) ON CONFLICT DO NOTHING", int64(publication), int64(slot.Index))
		if err != nil {
			return nil, err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return nil, errors.Join(err, errNothing)
		}
		return []journal.Entry{entry}, nil
	}}
	if _, err = r.Queries.Journal.Submit(ctx, call); errors.Is(err, errNothing) {
		return nil
	}
	return err
}
