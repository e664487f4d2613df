package correction

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// end is how a dispute is to end.
type end struct {
	k       *Corrections
	caller  *identity.Caller
	dispute uint64
	outcome exchangev1.DisputeState
	// by is the version that corrects the record.
	by             uint64
	reason, person string
	validateOnly   bool
}

// Answer answers a dispute, for the provider.
func (k *Corrections) Answer(ctx context.Context, caller *identity.Caller, r *exchangev1.AnswerDisputeRequest) (*exchangev1.AnswerDisputeResponse, error) {
	e := &end{k: k, caller: caller, dispute: r.Dispute, reason: strings.TrimSpace(r.Reason), person: r.Person, validateOnly: r.ValidateOnly}
	switch o := r.Outcome.(type) {
	case *exchangev1.AnswerDisputeRequest_Corrected:
		e.outcome, e.by = corrected, o.Corrected
	case *exchangev1.AnswerDisputeRequest_Kept:
		e.outcome = kept
	}
	if e.outcome == 0 || e.outcome == kept && !r.GetKept() {
		return nil, fault.Field("outcome", "dispute.outcome", "is either the version that corrects the record, or that it is kept")
	}
	if err := catalog.First(text("reason", r.Reason, maxReason, e.outcome == kept), text("person", r.Person, maxReference, true)); err != nil {
		return nil, err
	}
	d, commit, err := e.run(ctx)
	if err != nil || commit == nil {
		return &exchangev1.AnswerDisputeResponse{}, err
	}
	return &exchangev1.AnswerDisputeResponse{Dispute: d, Receipt: receipt(commit), Proof: commit.Proof}, nil
}

// Withdraw takes a dispute back, for the department that raised it.
func (k *Corrections) Withdraw(ctx context.Context, caller *identity.Caller, r *exchangev1.WithdrawDisputeRequest) (*exchangev1.WithdrawDisputeResponse, error) {
	e := &end{k: k, caller: caller, dispute: r.Dispute, outcome: withdrawn, reason: strings.TrimSpace(r.Reason), person: r.Person, validateOnly: r.ValidateOnly}
	if err := catalog.First(text("reason", r.Reason, maxReason, false), text("person", r.Person, maxReference, true)); err != nil {
		return nil, err
	}
	d, commit, err := e.run(ctx)
	if err != nil || commit == nil {
		return &exchangev1.WithdrawDisputeResponse{}, err
	}
	return &exchangev1.WithdrawDisputeResponse{Dispute: d, Receipt: receipt(commit), Proof: commit.Proof}, nil
}

// run ends the dispute. The commit is nil where nothing was to be written.
func (e *end) run(ctx context.Context) (*exchangev1.Dispute, *journal.Commit, error) {
	request := access.Request{Caller: e.caller, Action: Answer, Person: e.person}
	if err := e.k.department(ctx, request); err != nil {
		return nil, nil, err
	}
	r, err := readRow(ctx, e.k.DB.Reader(), e.dispute)
	if err != nil {
		return nil, nil, err
	}
	if err := e.party(ctx, request, r); err != nil {
		return nil, nil, err
	}
	commit, err := e.k.submit(ctx, &journal.Call{From: e.caller.System, ValidateOnly: e.validateOnly, Build: e.build})
	if err != nil || e.validateOnly {
		return nil, nil, err
	}
	d, err := e.k.Get(ctx, e.caller, e.dispute)
	return d, commit, err
}

// party refuses whoever is not the one to end the dispute so. Who is no party to
// it is told nothing of it.
func (e *end) party(ctx context.Context, request access.Request, r *row) error {
	provider, consumer := r.provider == e.caller.Participant, r.participant == e.caller.Participant
	t, _ := e.k.Topics.Topic(r.topic)
	request.Topic = r.topic
	switch {
	case !provider && !consumer:
		return unknown()
	case e.outcome != withdrawn && !provider:
		return e.k.refuse(ctx, request, t, "dispute.provider", "the record's provider answers a dispute of it")
	case e.outcome == withdrawn && !consumer:
		return e.k.refuse(ctx, request, t, "dispute.consumer", "the department that raised a dispute withdraws it")
	}
	return nil
}

func (e *end) build(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
	r, err := readRow(ctx, tx, e.dispute)
	if err != nil {
		return nil, err
	}
	if r.state != open {
		return nil, fault.New(fault.Conflict, "dispute.ended", "the dispute has ended already")
	}
	if e.outcome == corrected {
		if err := e.corrects(ctx, tx, r); err != nil {
			return nil, err
		}
		r.correctedPlusOne = e.by + 1
	}
	late, err := deadline.Stop(ctx, tx, slot.At, deadline.CorrectionAnswer, object(r.idx))
	if err != nil {
		return nil, err
	}
	// Who takes a dispute back late is not the one that had to answer.
	r.late = late && e.outcome != withdrawn
	r.state, r.answerPlusOne, r.changed = e.outcome, slot.Index+1, slot.Index
	if err := r.end(ctx, tx); err != nil {
		return nil, err
	}
	entry, err := e.entry(r)
	return []journal.Entry{entry}, err
}

// corrects refuses a correction that is no later version of the record.
func (e *end) corrects(ctx context.Context, tx store.Tx, r *row) error {
	not := fault.Field("corrected", "dispute.correction", "is no entry that publishes a version of the record later than the disputed one")
	if e.by <= r.version || e.by >= 1<<62 {
		return not
	}
	row, err := journal.ByIndex(ctx, tx, e.by)
	if err != nil {
		return err
	}
	if row == nil || row.Topic != journal.Number(r.topic) || string(row.KeyToken) != string(r.keyToken) || row.Body == nil {
		return not
	}
	return nil
}

var outcomes = map[exchangev1.DisputeState]string{corrected: "corrected", kept: "kept", withdrawn: "withdrawn"}

// entry makes the ledger's line.
func (e *end) entry(r *row) (journal.Entry, error) {
	secret, err := newSecret()
	if err != nil {
		return journal.Entry{}, err
	}
	body := &ledgerv1.DisputeAnswered{
		Topic: r.topic, Provider: r.provider, Consumer: r.consumer, Dispute: r.idx, Outcome: outcomes[e.outcome],
		CorrectedPlusOne: r.correctedPlusOne, Late: r.late,
		ReasonCommitment: verify.CommitText(verify.Reason, 0, secret, e.reason),
		PersonCommitment: verify.CommitText(verify.Person, 0, secret, e.person),
	}
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: e.caller.System, ActorCertificate: e.caller.Fingerprint[:], Body: &ledgerv1.LedgerEntry_DisputeAnswered{DisputeAnswered: body},
		},
		Opening: &ledgerv1.ReadOpening{Secret: secret, Person: e.person, Reason: e.reason},
	}, nil
}

func receipt(c *journal.Commit) *exchangev1.Receipt {
	return &exchangev1.Receipt{Index: c.Index, At: timeOf(c.At), Leaf: c.Leaves[0]}
}

func timeOf(us int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMicro(us).UTC()) }

// line reads an entry and its opening, which is nil once it was erased.
func (k *Corrections) line(ctx context.Context, tx store.Tx, index uint64) (*ledgerv1.LedgerEntry, *ledgerv1.ReadOpening, error) {
	var leaf, body []byte
	err := tx.QueryRowContext(ctx, "SELECT l.leaf, s.body FROM ledger l JOIN sealed s ON s.idx = l.idx WHERE l.idx = $1", int64(index)).Scan(&leaf, &body)
	if err != nil {
		return nil, nil, fmt.Errorf("entry %d: %w", index, err)
	}
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(leaf, entry); err != nil {
		return nil, nil, fmt.Errorf("entry %d: %w", index, err)
	}
	if body == nil {
		return entry, nil, nil
	}
	opening, err := journal.OpenEntry(k.Sealer, k.Journal.Head().Origin, body)
	if err != nil {
		return nil, nil, fmt.Errorf("the opening of entry %d: %w", index, err)
	}
	return entry, opening, nil
}
