package reuse

import (
	"context"
	"errors"
	"slices"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// ReportPapers enters which papers were accepted unasked, and which of them the
// exchange held. A paper of a case is reported once; a repeat changes nothing.
func (r *Reuse) ReportPapers(ctx context.Context, caller *identity.Caller, req *exchangev1.ReportPapersRequest) (*exchangev1.ReportPapersResponse, error) {
	var answer *exchangev1.ReportPapersResponse
	err := r.Queries.Settled(ctx, func() error {
		a, err := r.assess(ctx, caller, access.Prepare, req.Acting, req.Subject)
		if err != nil {
			return err
		}
		answer, err = r.enterPapers(ctx, a, req.Materials)
		return err
	})
	return answer, err
}

func (r *Reuse) enterPapers(ctx context.Context, a *assessment, codes []string) (*exchangev1.ReportPapersResponse, error) {
	if len(codes) == 0 {
		return nil, fault.Field("materials", "papers.required", "names the materials that were accepted on paper")
	}
	codes = slices.Compact(slices.Sorted(slices.Values(codes)))
	who, err := a.commitments()
	if err != nil {
		return nil, err
	}
	reported := &ledgerv1.PapersReported{
		Consumer: a.allowed.Request.Caller.System, Item: a.item.ImplementationCode,
		PersonCommitment: who.person, CaseCommitment: who.number, SubjectCommitment: who.subject,
	}
	answer := &exchangev1.ReportPapersResponse{}
	held := map[string]bool{}
	for _, code := range codes {
		i := slices.IndexFunc(a.materials, func(m *material) bool { return m.Code == code })
		if i < 0 {
			return nil, fault.Field("materials", "material.unknown", "the service item has no material of a code that is reported; name codes of the item")
		}
		if held[code] = a.materials[i].usable(); held[code] {
			answer.Avoidable = append(answer.Avoidable, code)
		}
	}
	entry := a.entry(&ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Papers{Papers: reported}}, who)
	call := r.Policy.Call([]access.Allowed{a.allowed}, []journal.Entry{entry}, func(ctx context.Context, tx store.Tx, slot journal.Slot) error {
		reported.Papers = nil
		for _, code := range codes {
			isNew, err := r.firstReport(ctx, tx, a, code, slot)
			if err != nil {
				return err
			}
			if isNew {
				reported.Papers = append(reported.Papers, &ledgerv1.ReportedPaper{Material: code, Avoidable: held[code]})
			}
		}
		if len(reported.Papers) == 0 {
			return errNothing
		}
		return nil
	})
	commit, err := r.Queries.Journal.Submit(ctx, call)
	switch {
	case errors.Is(err, errNothing):
		return answer, nil
	case err != nil:
		return nil, r.Queries.Denied(ctx, a.allowed.Request, a.allowed.Decision, err)
	}
	answer.Receipt, answer.Proof = receipt(commit, 0), commit.Proof
	return answer, nil
}

func (r *Reuse) firstReport(ctx context.Context, tx store.Tx, a *assessment, code string, slot journal.Slot) (bool, error) {
	result, err := tx.ExecContext(ctx, "INSERT INTO papers (case_token, subject_token, material, idx) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		a.of.Token, r.Queries.Cases.SubjectToken(a.subject), code, int64(slot.Index))
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
