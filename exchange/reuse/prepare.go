package reuse

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// Prepare says of each material of a case's item whether it is held.
func (r *Reuse) Prepare(ctx context.Context, caller *identity.Caller, req *exchangev1.PrepareRequest) (*exchangev1.PrepareResponse, error) {
	var answer *exchangev1.PrepareResponse
	err := r.Queries.Settled(ctx, func() error {
		a, err := r.assess(ctx, caller, access.Prepare, req.Acting, req.Subject)
		if err != nil {
			return err
		}
		commit, err := r.enterPrepared(ctx, &binding{r: r, a: a})
		if err != nil {
			return err
		}
		answer = &exchangev1.PrepareResponse{
			Item: a.item.version(), Materials: r.showAll(a), Proof: commit.Proof, Receipt: receipt(commit, 0),
		}
		return nil
	})
	return answer, err
}

// enterPrepared enters what is shown of a preparation's records, and behind it the
// preparation.
func (r *Reuse) enterPrepared(ctx context.Context, shown *binding) (*journal.Commit, error) {
	a := shown.a
	who, err := a.commitments()
	if err != nil {
		return nil, err
	}
	prepared := &ledgerv1.MaterialsPrepared{
		Consumer: a.allowed.Request.Caller.System, Item: a.item.ImplementationCode, ItemIndex: a.item.index, Materials: a.outcomes(),
		PersonCommitment: who.person, CaseCommitment: who.number, SubjectCommitment: who.subject, Previews: uint32(len(shown.entries)),
	}
	entries := append(slices.Clone(shown.entries), a.entry(&ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Prepared{Prepared: prepared}}, who))
	all := append([]access.Allowed{a.allowed}, shown.allowed...)
	call := r.Policy.Call(all, entries, func(ctx context.Context, tx store.Tx, slot journal.Slot) error {
		if err := shown.notDeclined(ctx, tx); err != nil {
			return err
		}
		again, err := r.preparedBefore(ctx, tx, a, slot.Index+uint64(len(shown.entries)))
		prepared.Again = again
		return err
	})
	call.Seen = shown.seen
	// A crash before this is committed leaves nothing, and nothing was told.
	commit, err := r.Queries.Journal.Submit(ctx, call)
	switch {
	case errors.Is(err, errChosen):
		return nil, errChosen
	case err != nil:
		return nil, r.Queries.Denied(ctx, a.allowed.Request, a.allowed.Decision, err)
	}
	return commit, nil
}

// preparedBefore says whether the case was prepared for the subject before, and
// remembers that it is now.
func (r *Reuse) preparedBefore(ctx context.Context, tx store.Tx, a *assessment, index uint64) (bool, error) {
	result, err := tx.ExecContext(ctx, "INSERT INTO preparations (case_token, subject_token, idx) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
		a.of.Token, r.Queries.Cases.SubjectToken(a.subject), int64(index))
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 0, err
}

// outcomes are the materials as the ledger has them.
func (a *assessment) outcomes() []*ledgerv1.MaterialOutcome {
	var all []*ledgerv1.MaterialOutcome
	for _, m := range a.materials {
		o := &ledgerv1.MaterialOutcome{Code: m.Code, State: m.state}
		if m.source != nil {
			o.Topic, o.Provider = m.source.topic.Name, m.source.topic.Provider
		}
		all = append(all, o)
	}
	return all
}

// committed are an entry's commitments to who acts, for which case and about whom.
type committed struct {
	secret                  []byte
	person, number, subject []byte
}

func (a *assessment) commitments() (*committed, error) {
	secret := make([]byte, verify.SecretSize)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	subject := verify.CommitSubject(verify.Question, 0, secret, a.subject)
	return &committed{
		secret: secret, subject: subject[:],
		person: verify.CommitText(verify.Person, 0, secret, a.allowed.Request.Person),
		number: verify.CommitText(verify.Case, 0, secret, a.allowed.Request.Case),
	}, nil
}

// entry completes a leaf and gives it its opening.
func (a *assessment) entry(leaf *ledgerv1.LedgerEntry, who *committed) journal.Entry {
	request := a.allowed.Request
	leaf.Actor, leaf.ActorCertificate = request.Caller.System, request.Caller.Fingerprint[:]
	return journal.Entry{
		Leaf:    leaf,
		Opening: &ledgerv1.ReadOpening{Secret: who.secret, Person: request.Person, CaseNumber: request.Case, Subject: a.subject},
	}
}

func (r *Reuse) showAll(a *assessment) []*exchangev1.PreparedMaterial {
	var all []*exchangev1.PreparedMaterial
	for _, m := range a.materials {
		all = append(all, r.show(m))
	}
	return all
}

// show tells how a material stands.
func (r *Reuse) show(m *material) *exchangev1.PreparedMaterial {
	p := &exchangev1.PreparedMaterial{
		Code: m.Code, Name: m.Name, Necessity: m.Necessity, Optional: m.Necessity != recordsv1.Necessity_NECESSITY_REQUIRED,
		State: m.state, Rule: m.rule, Reason: m.reason, NextStep: m.next, Disputed: m.state == isDisputed,
	}
	if m.Source == recordsv1.MaterialSource_MATERIAL_SOURCE_DEPARTMENT {
		p.Issuer = m.SourceName
	}
	if m.source != nil {
		p.Topic, p.Provider = m.source.topic.Name, m.source.topic.Provider
	}
	if m.usable() {
		first := m.found[0]
		p.Since = timestamppb.New(time.UnixMicro(first.at).UTC())
		p.ValidUntil, p.Grade = dateOf(first.held.Present.ValidUntil), gradeOf(first.grade)
		p.Shows = m.source.topic.Titles(m.source.allowed.Decision.Fields)
	}
	return p
}

// dateOf gives a day as a date; empty for no last day.
func dateOf(days int64) string {
	if days > maxDay {
		return ""
	}
	return time.Unix(days*24*60*60, 0).UTC().Format(time.DateOnly)
}

// maxDay is the last day that is a date of four digits.
const maxDay = 2932896

func gradeOf(g recordsv1.TrustGrade) string {
	if g < recordsv1.TrustGrade_TRUST_GRADE_A || g > recordsv1.TrustGrade_TRUST_GRADE_D {
		return ""
	}
	return string(rune('A' + g - recordsv1.TrustGrade_TRUST_GRADE_A))
}

// receipt is that of the n-th entry of a commit; the journal gives each entry its
// time, and a leaf says its own.
func receipt(commit *journal.Commit, n int) *exchangev1.Receipt {
	return &exchangev1.Receipt{
		Index: commit.Index + uint64(n), At: timestamppb.New(time.UnixMicro(commit.At + int64(n)).UTC()), Leaf: commit.Leaves[n],
	}
}
