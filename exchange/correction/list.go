package correction

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// overseers see every dispute.
var overseers = []identity.Role{identity.Operator, identity.Auditor}

// Get gives a dispute to whom it concerns. To others there is none.
func (k *Corrections) Get(ctx context.Context, caller *identity.Caller, dispute uint64) (*exchangev1.Dispute, error) {
	if err := k.mayList(ctx, caller); err != nil {
		return nil, err
	}
	r, err := readRow(ctx, k.DB.Reader(), dispute)
	if err != nil {
		return nil, err
	}
	if !caller.Roles.Has(overseers...) && r.provider != caller.Participant && r.participant != caller.Participant {
		return nil, unknown()
	}
	return k.message(ctx, caller, r)
}

func (k *Corrections) mayList(ctx context.Context, caller *identity.Caller) error {
	if caller.Roles.Has(append([]identity.Role{identity.Department}, overseers...)...) {
		return nil
	}
	return k.refuse(ctx, access.Request{Caller: caller, Action: Dispute}, nil, "role.disputes", "disputes are for departments, operators and auditors")
}

// List gives the disputes that concern a caller, the newest first: those before an
// entry, at most limit.
func (k *Corrections) List(ctx context.Context, caller *identity.Caller, topic string, onlyOpen bool, before uint64, limit int) ([]*exchangev1.Dispute, error) {
	if err := k.mayList(ctx, caller); err != nil {
		return nil, err
	}
	where := "WHERE idx < $1"
	args := []any{int64(before)}
	and := func(condition string, value any) {
		args = append(args, value)
		where += fmt.Sprintf(" AND "+condition, len(args))
	}
	if !caller.Roles.Has(overseers...) {
		and("(provider = $%[1]d OR participant = $%[1]d)", caller.Participant)
	}
	if topic != "" {
		and("topic = $%d", topic)
	}
	if onlyOpen {
		and("state = $%d", int64(open))
	}
	and("0 = 0 ORDER BY idx DESC LIMIT $%d", int64(limit))
	rows, err := readRows(ctx, k.DB.Reader(), where, args...)
	if err != nil {
		return nil, err
	}
	list := make([]*exchangev1.Dispute, len(rows))
	for i, r := range rows {
		if list[i], err = k.message(ctx, caller, r); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// message gives a dispute as far as a caller may see it.
func (k *Corrections) message(ctx context.Context, caller *identity.Caller, r *row) (*exchangev1.Dispute, error) {
	entry, opening, err := k.line(ctx, k.DB.Reader(), r.idx)
	if err != nil {
		return nil, err
	}
	m := &exchangev1.Dispute{
		Entry: r.idx, Topic: r.topic, Provider: r.provider, Consumer: r.consumer, Index: r.version, State: r.state,
		DisputedAt: timeOf(entry.AtUs), Late: r.late, Record: r.keyToken, Fields: k.names(r),
	}
	auditor := caller.Roles.Has(identity.Auditor)
	provider, consumer := r.provider == caller.Participant, r.participant == caller.Participant
	if provider || consumer || auditor {
		m.Reason = opening.GetReason()
	}
	if consumer || auditor {
		m.Person, m.CaseNumber = opening.GetPerson(), opening.GetCaseNumber()
	}
	if provider {
		if m.Key, err = k.key(ctx, r); err != nil {
			return nil, err
		}
	}
	if r.answerPlusOne == 0 {
		return m, nil
	}
	m.AnswerEntry = r.answerPlusOne - 1
	if r.correctedPlusOne != 0 {
		m.Corrected = r.correctedPlusOne - 1
	}
	answer, told, err := k.line(ctx, k.DB.Reader(), m.AnswerEntry)
	if err != nil {
		return nil, err
	}
	m.AnsweredAt = timeOf(answer.AtUs)
	if provider || consumer || auditor {
		m.Answer = told.GetReason()
	}
	return m, nil
}

// names gives the names of the disputed fields by the newest contract.
func (k *Corrections) names(r *row) (names []string) {
	t, err := k.Topics.Topic(r.topic)
	if err != nil {
		return nil
	}
	contract, err := t.Contract(0)
	if err != nil {
		return nil
	}
	for _, n := range r.fields {
		if fd := contract.Descriptor().Fields().ByNumber(protoreflect.FieldNumber(n)); fd != nil {
			names = append(names, string(fd.Name()))
		}
	}
	return names
}

// key reads the disputed record's key; empty once it was erased.
func (k *Corrections) key(ctx context.Context, r *row) (string, error) {
	version, err := journal.ByIndex(ctx, k.DB.Reader(), r.version)
	if err != nil || version == nil || version.Body == nil {
		return "", err
	}
	var opening *ledgerv1.RecordOpening
	if opening, err = journal.OpenRecord(k.Sealer, k.Journal.Head().Origin, r.topic, version.KeyToken, version.Body); err != nil {
		return "", fmt.Errorf("entry %d: %w", r.version, err)
	}
	return opening.Key, nil
}
