package reuse

import (
	"context"
	"errors"
	"fmt"
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
		if held[code], err = r.wasHeld(ctx, a, a.materials[i]); err != nil {
			return nil, err
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
	case err == nil:
		answer.Receipt, answer.Proof = receipt(commit, 0), commit.Proof
	case !errors.Is(err, errNothing):
		return nil, r.Queries.Denied(ctx, a.allowed.Request, a.allowed.Decision, err)
	}
	answer.Avoidable, err = r.avoidable(ctx, a, codes)
	return answer, err
}

// wasHeld says whether the exchange held a material without what was submitted for
// the case itself: the paper that was accepted does not make itself avoidable.
func (r *Reuse) wasHeld(ctx context.Context, a *assessment, m *material) (bool, error) {
	if !m.usable() {
		return false, nil
	}
	for _, from := range a.sources.known {
		if from.topic.ContractName != query.Submitted {
			continue
		}
		var others []journal.Held
		for _, h := range from.held {
			if h.Row.Body == nil {
				continue
			}
			opening, err := r.open(from, h)
			if err != nil {
				return false, err
			}
			of := &recordsv1.SubmittedMaterial{}
			if err := proto.Unmarshal(opening.Payload, of); err != nil {
				return false, fmt.Errorf("entry %d: %w", h.Row.Index, err)
			}
			if of.CaseNumber != a.allowed.Request.Case || of.ReceiverCode != a.allowed.Request.Caller.Participant {
				others = append(others, h)
			}
		}
		from.held = others
	}
	without := &material{ItemMaterial: m.ItemMaterial}
	err := r.weigh(ctx, a.sources, without)
	return without.usable(), err
}

// avoidable are those of some papers that were entered as such: a repeat hears what
// the first report did, whatever has come to be held since.
func (r *Reuse) avoidable(ctx context.Context, a *assessment, codes []string) (avoidable []string, err error) {
	for _, code := range codes {
		var index uint64
		err := r.Queries.DB.Brief().QueryRowContext(ctx, "SELECT idx FROM papers WHERE case_token = $1 AND subject_token = $2 AND material = $3",
			a.of.Token, r.Queries.Cases.SubjectToken(a.subject), code).Scan(&index)
		if err != nil {
			return nil, err
		}
		_, entry, err := r.receiptOf(ctx, index)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(entry.GetPapers().GetPapers(), func(p *ledgerv1.ReportedPaper) bool { return p.Material == code && p.Avoidable }) {
			avoidable = append(avoidable, code)
		}
	}
	return avoidable, nil
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
